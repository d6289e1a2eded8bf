"""The confocal microscope: optics, tone, illumination, speckle, 8 bits.

Ranges are those measured on six real skin frames (FIELD): noise 13-21 grey levels, lag-1 pixel correlation
0.74-0.85, corner over centre 0.35-0.97, saturated pixels 0.05-2.3 %. None of them knows the severity.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .fields import grain, smooth_field
from .subject import Subject

FRAME_PX = 1000
RANK_WINDOW_PX = 128
"""Grey levels are ranked within windows of a patch's size, in a frame as in a patch."""

_REFERENCE_GREY = 65.0
_RANKS = 65535
_HIGHLIGHT_POWER = 14


@dataclass(frozen=True)
class Camera:
    """Settings of one exposure. Lengths in px at 0.5 µm/px, noise in grey levels, fractions 0..1."""

    psf_px: float
    noise: float
    speckle_px: float
    gamma: float
    highlights: float
    saturated: float
    black: float
    corner: float
    centre: tuple[float, float]


def draw_camera(subject: Subject, rng: np.random.Generator) -> Camera:
    """Draw the settings of one exposure of `subject`."""
    return Camera(
        psf_px=float(rng.uniform(0.6, 1.4)),
        noise=float(rng.uniform(15.0, 20.0)),
        speckle_px=float(rng.uniform(0.2, 0.45)),
        gamma=subject.gamma * float(np.exp(rng.normal(0.0, 0.15))),
        highlights=float(rng.uniform(0.4, 0.7)),
        saturated=float(np.exp(rng.uniform(np.log(0.0005), np.log(0.012)))),
        black=float(rng.uniform(6.0, 30.0)),
        corner=float(rng.uniform(0.42, 0.95)),
        centre=(float(rng.normal(500.0, 40.0)), float(rng.normal(500.0, 40.0))),
    )


def expose(
    scene: npt.NDArray[np.float32],
    camera: Camera,
    rng: np.random.Generator,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
) -> npt.NDArray[np.uint8]:
    """Photograph `scene` (reflectance, float32 [H, W]) whose top-left pixel stands at `origin` = (row, col) of a
    1000 x 1000 frame; returns uint8 [H, W]."""
    return digitise(illuminate(scene, camera, rng, origin), camera, rng)


def illuminate(
    scene: npt.NDArray[np.float32],
    camera: Camera,
    rng: np.random.Generator,
    origin: tuple[float, float] = (0.0, 0.0),
) -> npt.NDArray[np.float32]:
    """The image before noise: blurred, given the exposure's grey-level distribution, vignetted; float32 [H, W]."""
    blurred = cv2.GaussianBlur(scene, (0, 0), camera.psf_px)
    light = _vignette(scene.shape, camera, origin) * (1.0 + 0.06 * smooth_field(scene.shape, 300.0, rng))
    return np.asarray(_tone(_local_rank(blurred), camera) * light, dtype=np.float32)


def digitise(image: npt.NDArray[np.float32], camera: Camera, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Speckle grows with the light, the detector's own noise does not; then 8 bits."""
    share = np.float32(0.4) + np.float32(0.6 / _REFERENCE_GREY) * image
    noisy = image + np.float32(camera.noise) * share * grain(image.shape, camera.speckle_px, rng)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), dtype=np.uint8)


def _local_rank(scene: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rank of every pixel within its surroundings, 0..1.

    Ranks are what keeps the histogram from giving the grade away: whatever the severity, they are uniform in every
    window of a patch's size. OpenCV's adaptive equalisation, without a clip limit, is exactly this.
    """
    low, high = float(scene.min()), float(scene.max())
    levels = ((scene - low) * (_RANKS / max(high - low, 1e-6))).astype(np.uint16)
    height, width = scene.shape
    windows = (max(1, round(width / RANK_WINDOW_PX)), max(1, round(height / RANK_WINDOW_PX)))
    ranks = cv2.createCLAHE(clipLimit=0.0, tileGridSize=windows).apply(levels)
    return np.asarray(ranks, dtype=np.float32) / np.float32(_RANKS)


def _tone(rank: npt.NDArray[np.float32], camera: Camera) -> npt.NDArray[np.float32]:
    """Grey level of every rank: a power with a tail of highlights, of which `saturated` exceed 255."""
    ranks = np.linspace(0.0, 1.0, 1025)
    curve = (1.0 - camera.highlights) * ranks**camera.gamma + camera.highlights * ranks**_HIGHLIGHT_POWER
    scale = (255.0 - camera.black) / np.interp(1.0 - camera.saturated, ranks, curve)
    table = (camera.black + scale * curve).astype(np.float32)
    return table[(rank * np.float32(1024.0)).astype(np.intp)]


def _vignette(shape: tuple[int, ...], camera: Camera, origin: tuple[float, float]) -> npt.NDArray[np.float32]:
    rows = (np.arange(shape[0]) + origin[0] - camera.centre[0]) / (FRAME_PX / 2)
    cols = (np.arange(shape[1]) + origin[1] - camera.centre[1]) / (FRAME_PX / 2)
    from_centre = 0.5 * (rows[:, None] ** 2 + cols[None, :] ** 2)
    return np.asarray(1.0 - (1.0 - camera.corner) * np.minimum(from_centre, 1.2), dtype=np.float32)
