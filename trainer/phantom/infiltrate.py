"""What comes into the inflamed epidermis: bright inflammatory cells, vesicles, dilated papillary vessels.

Sizes from the literature in FIELD (Actas Dermosifiliogr 2019; Astner 2006; Hicks 2003): inflammatory cells 8-12 µm,
vessel loops 5-20 µm wide in papillae 50-100 µm across.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .fields import even_points, grain
from .honeycomb import Honeycomb
from .section import UM_PER_PX, Section
from .signs import Course, signs_at

Reflectance = npt.NDArray[np.float32]

_SUBPIXEL_BITS = 4


def paint_infiltrate(section: Section, course: Course, skin: Honeycomb, rng: np.random.Generator) -> Reflectance:
    """Return the epidermis `skin`, float32 [H, W], with vessels, inflammatory cells and vesicles painted into it."""
    scene = _paint_vessels(skin.reflectance, section, course, rng)
    scene = _paint_exocytosis(scene, skin.border_px, course, rng)
    return _paint_vesicles(scene, course, rng)


def _paint_vessels(scene: Reflectance, section: Section, course: Course, rng: np.random.Generator) -> Reflectance:
    lumen, blood = np.zeros(scene.shape, np.uint8), np.zeros(scene.shape, np.uint8)
    for row, col in _scatter(rng, scene.shape, section.vessels_per_mm2):
        calibre = float(signs_at(course, *_pixel(row, col)).calibre[0]) * rng.uniform(0.85, 1.15)
        loop = _loop(row, col, rng)
        thickness = max(2, round(calibre / UM_PER_PX))
        cv2.polylines(lumen, [_fixed(loop)], False, 255, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
        for at in loop[rng.random(len(loop)) < 0.12]:
            _disc(blood, at + rng.normal(0.0, 0.2 * thickness, 2), rng.uniform(2.0, 4.0))
    dark = _soft(lumen, 1.2)
    flow = 0.12 + 0.25 * _soft(blood, 1.0)
    return np.asarray(scene + dark * (flow - scene), dtype=np.float32)


def _loop(row: float, col: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A capillary loop in the optical section: part of a wobbling ellipse; points (row, col), float64 [n, 2]."""
    radii = rng.uniform(8.0, 22.0, 2) / UM_PER_PX
    start, sweep, lean = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.8, 1.6) * np.pi, rng.uniform(0.0, np.pi)
    along = start + np.linspace(0.0, sweep, 40)
    wobble = 1.0 + 0.12 * np.sin(3.0 * along + rng.uniform(0.0, 6.3))
    y, x = radii[0] * wobble * np.sin(along), radii[1] * wobble * np.cos(along)
    return np.stack([row + y * np.cos(lean) - x * np.sin(lean), col + y * np.sin(lean) + x * np.cos(lean)], axis=1)


def _paint_exocytosis(
    scene: Reflectance, border_px: npt.NDArray[np.float32], course: Course, rng: np.random.Generator
) -> Reflectance:
    halo, cell = np.zeros(scene.shape, np.uint8), np.zeros(scene.shape, np.uint8)
    densest = float(signs_at(course, *_everywhere(scene.shape)).exocytosis.max())
    for row, col in _scatter(rng, scene.shape, densest):
        radius = rng.uniform(4.0, 6.0) / UM_PER_PX
        bright = rng.uniform(150, 255)
        if rng.random() * densest > signs_at(course, *_pixel(row, col)).exocytosis[0]:
            continue
        at = _between_cells(row, col, border_px, rng)
        _disc(halo, at, radius + 2.0)
        _disc(cell, at, radius, bright)
    grains = 1.0 + 0.15 * grain(scene.shape, 1.2, rng)
    pushed = scene * (1.0 - 0.8 * _soft(halo, 0.8))
    body = _soft(cell, 1.0)
    return np.asarray(pushed * (1.0 - body) + 1.7 * body * grains, dtype=np.float32)


def _between_cells(
    row: float, col: float, border_px: npt.NDArray[np.float32], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    tries = np.array([row, col]) + np.vstack([np.zeros(2), rng.normal(0.0, 8.0, (5, 2))])
    pixels = np.clip(np.rint(tries), 0, np.array(border_px.shape) - 1).astype(np.intp)
    return np.asarray(tries[np.argmin(border_px[pixels[:, 0], pixels[:, 1]])])


def _paint_vesicles(scene: Reflectance, course: Course, rng: np.random.Generator) -> Reflectance:
    hollow, cells = np.zeros(scene.shape, np.uint8), np.zeros(scene.shape, np.uint8)
    densest = float(signs_at(course, *_everywhere(scene.shape)).vesicles.max())
    for row, col in _scatter(rng, scene.shape, densest):
        if rng.random() * densest > signs_at(course, *_pixel(row, col)).vesicles[0]:
            continue
        radius = rng.uniform(3.5, 7.0) / UM_PER_PX
        for _ in range(int(rng.integers(2, 5))):
            _disc(
                hollow,
                np.array([row, col]) + rng.normal(0.0, 0.45 * radius, 2),
                radius * rng.uniform(0.5, 0.9),
            )
        for _ in range(int(rng.integers(1, 6))):
            within = np.array([row, col]) + rng.normal(0.0, 0.45 * radius, 2)
            _disc(cells, within, rng.uniform(3.5, 5.0) / UM_PER_PX, rng.uniform(90, 200))
    grains = 1.0 + 0.15 * grain(scene.shape, 1.2, rng)
    inside = 0.06 + 0.75 * _soft(cells, 1.0) * grains
    return np.asarray(scene + _soft(hollow, 0.7) * (inside - scene), dtype=np.float32)


def _scatter(rng: np.random.Generator, shape: tuple[int, ...], per_mm2: float) -> npt.NDArray[np.float64]:
    """Points (row, col), float64 [n, 2], in the field: they keep some distance, as cells and papillae do."""
    return even_points(shape, 1000.0 / UM_PER_PX / float(np.sqrt(per_mm2)), rng) if per_mm2 > 0.0 else np.empty((0, 2))


def _pixel(row: float, col: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.array([int(row)], dtype=np.intp), np.array([int(col)], dtype=np.intp)


def _everywhere(shape: tuple[int, ...]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Every 16th pixel: the courses are smooth, their maximum is not between."""
    rows, cols = np.meshgrid(np.arange(0, shape[0], 16), np.arange(0, shape[1], 16), indexing="ij")
    return rows.ravel(), cols.ravel()


def _fixed(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """(row, col) -> OpenCV's (x, y) in 1/16 px."""
    return np.rint(points[:, ::-1] * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _disc(canvas: npt.NDArray[np.uint8], at: npt.NDArray[np.float64], radius: float, value: float = 255) -> None:
    x, y = _fixed(at[None])[0]
    cv2.circle(
        canvas,
        (int(x), int(y)),
        round(radius * (1 << _SUBPIXEL_BITS)),
        value,
        -1,
        cv2.LINE_AA,
        _SUBPIXEL_BITS,
    )


def _soft(canvas: npt.NDArray[np.uint8], sigma_px: float) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(canvas.astype(np.float32) / 255.0, (0, 0), sigma_px), dtype=np.float32)
