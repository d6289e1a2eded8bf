"""A patch and a frame: the same skin through the same camera."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .camera import FRAME_PX, draw_camera, expose
from .fields import smooth_field
from .honeycomb import paint_honeycomb
from .infiltrate import paint_infiltrate
from .section import draw_section
from .signs import draw_course
from .subject import Subject

_MARGIN_PX = 40
"""More than one cell of the largest pitch: cells at the rim of the painted field have no neighbours outside."""


def paint_patch(
    subject: Subject, severity: float, rng: np.random.Generator, patch_px: int = 128
) -> npt.NDArray[np.uint8]:
    """Paint one patch, uint8 [patch_px, patch_px] at 0.5 µm/px, of one `severity` in 0..4.

    It is cut from anywhere in an imagined 1000 x 1000 frame, so that its illumination is a frame's.
    """
    camera = draw_camera(subject, rng)
    row, col = rng.uniform(0.0, max(FRAME_PX - patch_px, 1), 2)
    scene = paint_scene(subject, np.full((patch_px, patch_px), severity, np.float32), rng)
    return expose(scene, camera, rng, origin=(float(row), float(col)))


def paint_frame(
    subject: Subject, severity_map: npt.NDArray[np.float32], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Paint one frame, uint8 [H, W] at 0.5 µm/px, whose severity at every pixel is `severity_map`, [H, W] in 0..4."""
    camera = draw_camera(subject, rng)
    return expose(paint_scene(subject, np.asarray(severity_map, np.float32), rng), camera, rng)


def paint_scene(
    subject: Subject, severity: npt.NDArray[np.float32], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Reflectance of the skin, free of blur and noise, float32 [H, W] about 0..2, for `severity` float32 [H, W]."""
    wider = np.pad(severity, _MARGIN_PX, mode="edge")
    course = draw_course(subject, wider, rng)
    section = draw_section(subject, rng)
    skin = paint_honeycomb(section, course, (wider.shape[0], wider.shape[1]), rng)
    scene = _deform(paint_infiltrate(section, course, skin, rng), rng)
    scene = scene * (1.0 + 0.12 * smooth_field(scene.shape, 150.0, rng))
    return np.ascontiguousarray(scene[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX])


def _deform(scene: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Bend straight cell walls by about a pixel, as tissue under a cover glass does."""
    height, width = scene.shape
    shift_y, shift_x = (1.1 * smooth_field(scene.shape, 24.0, rng) for _ in range(2))
    to_x = np.arange(width, dtype=np.float32)[None, :] + shift_x
    to_y = np.arange(height, dtype=np.float32)[:, None] + shift_y
    return np.asarray(cv2.remap(scene, to_x, to_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))
