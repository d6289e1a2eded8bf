"""Random fields and soft edges that tissue and camera are made of."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)


def smooth_field(shape: tuple[int, ...], wavelength_px: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Gaussian field, float32 [H, W], mean 0 and variance 1 everywhere, that varies over `wavelength_px` pixels.

    A lattice of normal numbers, one every half wavelength, read between its nodes: a blur of the full-size field
    would cost a hundred times as much.
    """
    height, width = shape
    rows, cols = (_between_nodes(n, wavelength_px / 2.0, rng.uniform()) for n in (height, width))
    nodes = rng.standard_normal((rows.shape[1], cols.shape[1]), dtype=np.float32)
    # Not numpy's product: its threads cost more than they bring here, and their number could change the last bit.
    across = cv2.gemm(nodes, cols, 1.0, None, 0.0, flags=cv2.GEMM_2_T)
    return np.asarray(cv2.gemm(rows, across, 1.0, None, 0.0), dtype=np.float32)


def _between_nodes(pixels: int, step: float, start: float) -> npt.NDArray[np.float32]:
    """How much of every node a pixel takes, float32 [pixels, nodes]; squares sum to 1, which keeps the variance."""
    at = np.arange(pixels)[:, None] / step + start + 2.0
    weights = np.exp(-((at - np.arange(int(pixels / step) + 6)[None, :]) ** 2) / 0.72)
    return np.asarray(weights / np.sqrt((weights**2).sum(axis=1, keepdims=True)), dtype=np.float32)


def grain(shape: tuple[int, ...], sigma_px: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Gaussian noise, float32 [H, W], standard deviation 1, blurred by `sigma_px` (0 = white)."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    if sigma_px <= 0.0:
        return noise
    kernel = cv2.getGaussianKernel(2 * int(3.0 * sigma_px + 1.0) + 1, sigma_px).ravel()
    blurred = cv2.sepFilter2D(noise, cv2.CV_32F, kernel, kernel)
    return np.asarray(blurred / np.float32((kernel**2).sum()), dtype=np.float32)


def even_shares(steps: npt.NDArray[np.integer], kinds: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Numbers uniform in 0..1 that take turns: of any few neighbours nearly the same share is below any bound.

    Additive recurrences with the roots of the primes (Niederreiter 1992, Random Number Generation and Quasi-Monte
    Carlo Methods), one for each kind. Independent numbers would make the share of affected cells in a patch of forty
    a matter of luck.

    Args:
        steps: places on a lattice, int [n, 2].
        kinds: how many numbers for each place, at most 5.
        rng: where each recurrence starts.

    Returns:
        float64 [n, kinds].
    """
    slopes = np.sqrt(np.array(_PRIMES[: 2 * kinds], np.float64)).reshape(kinds, 2)
    return np.asarray((steps @ slopes.T + rng.random(kinds)) % 1.0)


def even_points(shape: tuple[int, ...], side_px: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """One point (row, col) at a random place of every square of a grid, float64 [n, 2], those inside the field.

    Args:
        shape: (H, W) of the field.
        side_px: of a square.
        rng: the only source of chance, the grid's place included.
    """
    start = rng.uniform(-side_px, 0.0, 2)
    corners = np.meshgrid(*(np.arange(at, end, side_px) for at, end in zip(start, shape, strict=True)), indexing="ij")
    corner = np.stack(corners, axis=-1).reshape(-1, 2)
    points = corner + rng.uniform(0.0, side_px, corner.shape)
    return np.asarray(points[((points >= 0.0) & (points < shape)).all(axis=1)])


def erf_edge(x: npt.NDArray[np.float32], width: npt.NDArray[np.float32] | float) -> npt.NDArray[np.float32]:
    """Soft step from 0 to 1 at x = 0, standard deviation `width`: the error function within 0.01.

    tanh stands in for erf because numpy has none and this runs on every pixel.
    """
    return np.asarray(0.5 + 0.5 * np.tanh(x * np.float32(0.85) / np.float32(width)), dtype=np.float32)
