"""The epidermis: keratinocytes that tile the field, each a dark nucleus in bright cytoplasm.

The radial profile of a cell is the product of two error-function edges, nucleus and cell border (Gareau 2011,
PMC3077366), scaled from the paper's cell (nucleus 8.6 µm, border 3.6 µm) to the section's pitch.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import cv2
import numpy as np
import numpy.typing as npt

from .fields import erf_edge, even_shares, grain, smooth_field
from .section import Section
from .signs import Course, Signs, signs_at

_NUCLEUS_SPREAD = 0.12
_CORNER_PX = 1.6
_REFERENCE_PITCH_UM = 11.0
"""The pitch at which the signs' gaps are given."""
_PYKNOTIC = 0.6
"""Radius of a nucleus retained in parakeratosis over that of a healthy one."""
_RETAINED_BRIGHTNESS = 2.0
_MELANOSOME = 4.0
"""In one pixel; the optics spread it to a tenth of that."""
_LOST, _RETAINED, _BRIGHTNESS, _DISTANCE, _DIRECTION = range(5)
"""What is dealt evenly among the cells of a field, see `even_shares`."""
_FARTHEST = 2.5
"""Of a displaced cell, in standard deviations."""


@dataclass(frozen=True)
class Honeycomb:
    """Painted cells. `reflectance` float32 [H, W], about 0..1.5; `border_px` float32 [H, W], distance of every pixel
    to the nearest cell border, by which inflammatory cells find their way between the keratinocytes."""

    reflectance: npt.NDArray[np.float32]
    border_px: npt.NDArray[np.float32]


def paint_honeycomb(section: Section, course: Course, shape: tuple[int, int], rng: np.random.Generator) -> Honeycomb:
    """Paint `shape` = (H, W) pixels of epidermis whose order, gaps and contrast follow `course`."""
    rows, cols, dealt = _place_cells(section, course, shape, rng)
    centre_px, border_px, owner = _tessellate(rows, cols, shape)
    signs = signs_at(course, rows, cols)
    return Honeycomb(_paint_cells(section, signs, dealt, centre_px, border_px, owner, rng), border_px)


def _place_cells(
    section: Section, course: Course, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Row and column of every cell, intp [n], and what was dealt to it, float64 [n, 5]."""
    height, width = shape
    pitch = section.pitch_px
    points, steps = _hexagonal_lattice(pitch, section.anisotropy, shape, rng)
    dealt = even_shares(steps, 5, rng)
    # Even healthy rows bend: without this the grid would be a crystal.
    bend = [smooth_field(shape, 7.0 * pitch, rng) for _ in range(2)]
    at_rows, at_cols = _inside(points, shape)
    points = points + 0.22 * pitch * np.stack([b[at_rows, at_cols] for b in bend], axis=1)
    signs = signs_at(course, at_rows, at_cols)
    points = points + (pitch * signs.jitter)[:, None] * _displacements(dealt)
    present = dealt[:, _LOST] >= signs.lost
    inside = (points >= 0).all(axis=1) & (points < (height - 0.5, width - 0.5)).all(axis=1)
    points, dealt = points[present & inside], dealt[present & inside]
    # Two cells on one pixel are one cell to the tessellation.
    pixels, first = np.unique(np.rint(points).astype(np.intp), axis=0, return_index=True)
    return *_inside(pixels.astype(np.float64), shape), dealt[first]


def _displacements(dealt: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of standard deviation 1 along each axis, normal up to `_FARTHEST`, float64 [n, 2]."""
    distance = np.minimum(np.sqrt(-2.0 * np.log1p(-dealt[:, _DISTANCE])), _FARTHEST)
    direction = 2.0 * np.pi * dealt[:, _DIRECTION]
    return np.asarray(distance[:, None] * np.stack([np.sin(direction), np.cos(direction)], axis=1))


def _hexagonal_lattice(
    pitch: float, anisotropy: float, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Points (row, col), float64 [n, 2], of a randomly turned and stretched lattice, a pitch beyond the field; and
    how many steps along the lattice's two axes each of them lies, intp [n, 2]."""
    height, width = shape
    turn, stretch_along = rng.uniform(0.0, np.pi, 2)
    stretch = np.sqrt(anisotropy)
    lean = _rotation(stretch_along)
    basis = lean @ np.diag([stretch, 1.0 / stretch]) @ lean.T @ _rotation(turn)
    basis = pitch * basis @ np.array([[1.0, 0.5], [0.0, np.sqrt(0.75)]])
    reach = int(np.hypot(height, width) / (1.4 * pitch)) + 4
    steps = np.arange(-2 * reach, 2 * reach + 1)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    points = grid @ basis.T + np.array([height, width]) / 2.0 + rng.uniform(0.0, pitch, 2)
    near = (points > -pitch).all(axis=1) & (points < (height + pitch, width + pitch)).all(axis=1)
    return np.asarray(points[near]), np.asarray(grid[near], dtype=np.intp)


def _rotation(angle: float) -> npt.NDArray[np.float64]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _inside(
    points: npt.NDArray[np.float64], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    pixels = np.clip(np.rint(points), 0, np.array(shape) - 1).astype(np.intp)
    return pixels[:, 0], pixels[:, 1]


def _tessellate(
    rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp], shape: tuple[int, int]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Distance to the own cell's centre and to the nearest border, px, and the index of the cell, all [H, W]."""
    elsewhere = np.ones(shape, np.uint8)
    elsewhere[rows, cols] = 0
    centre_px, labels = cv2.distanceTransformWithLabels(
        elsewhere, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index = np.zeros(len(rows) + 1, np.intp)
    index[labels[rows, cols]] = np.arange(len(rows))
    within = np.ones(shape, np.uint8)
    across, along = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    within[:, 1:][across] = 0
    within[:, :-1][across] = 0
    within[1:][along] = 0
    within[:-1][along] = 0
    border_px = cv2.distanceTransform(within, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # the last bit of OpenCV's roots depends on where in memory the image lies; their squares are whole numbers
    border_px = np.sqrt(np.rint(border_px * border_px))
    # Where three cells meet, membranes round their corners off and leave a wider space.
    border_px = cv2.GaussianBlur(border_px, (0, 0), _CORNER_PX)
    return np.asarray(centre_px), np.asarray(border_px), index[labels]


def _paint_cells(
    section: Section,
    signs: Signs,
    dealt: npt.NDArray[np.float64],
    centre_px: npt.NDArray[np.float32],
    border_px: npt.NDArray[np.float32],
    owner: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    n, shape = len(signs.gap), centre_px.shape
    # Gaps grow with the cells: it is the relation of the two that tells the severity.
    gap = signs.gap * np.float32(section.pitch_px / _REFERENCE_PITCH_UM) * rng.normal(1.0, 0.1, n).astype(np.float32)
    # A cell that shrinks from its neighbours takes its nucleus with it.
    nucleus = section.nucleus_px * rng.normal(1.0, _NUCLEUS_SPREAD, n) - 0.45 * np.maximum(gap, 0)
    darkness = section.nucleus_darkness * (1.0 - signs.fading)
    brightness = np.clip(1.0 + signs.unevenness * _normal(dealt[:, _BRIGHTNESS]), 0.25, 1.9)
    retained = _PYKNOTIC * nucleus * np.where(dealt[:, _RETAINED] < signs.parakeratosis, 1.0, -1.0)
    outside_nucleus = erf_edge(centre_px - nucleus.astype(np.float32)[owner], section.edge_px)
    inside_border = erf_edge(border_px - gap[owner], section.membrane_px)
    cytoplasm = 1.0 - darkness.astype(np.float32)[owner] * (1.0 - outside_nucleus)
    cytoplasm += _RETAINED_BRIGHTNESS * erf_edge(retained.astype(np.float32)[owner] - centre_px, 1.0)
    grains = 1.0 + np.float32(section.grain_contrast) * grain(shape, section.grain_px, rng)
    melanosomes = np.float32(_MELANOSOME) * (rng.random(shape, dtype=np.float32) < section.melanin)
    body = brightness.astype(np.float32)[owner] * cytoplasm * (grains + melanosomes)
    gap_level = np.float32(section.gap_reflectance)
    return np.asarray(gap_level + (body - gap_level) * inside_border, dtype=np.float32)


def _normal(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Normal numbers of which `share` lie below, within ±2.6."""
    of = NormalDist().inv_cdf
    return np.array([of(x) for x in np.clip(share, 0.005, 0.995)])
