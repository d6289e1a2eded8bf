"""What the pixels of each patch come to: brightness, spread, and how far neighbouring pixels agree.

A patch is laid of square blocks that patch and stride have in common, and a figure of it is the mean over its blocks;
pairs of pixels are taken within a block, so that a patch has the same figures in a frame and alone.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry

# pixels between the two of a pair; at the models' 0.5 µm/px an image in focus has detail of 1.5 µm
NEAR, FINE, COARSE = 1, 3, 6
# of the variance; with less between them, pairs tell nothing of detail
LEAST_CONTRAST = 0.05
# rows of a frame looked at together: a mosaic's floats would be many times its bytes
_BAND_PX = 1024

Cells = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PatchStatistics:
    """One figure a patch each, float64 [h, w].

    Attributes:
        mean: grey level.
        spread: standard deviation of the grey levels.
        saturated: share of pixels at 255.
        structure: correlation of neighbouring pixels, 0 to 1: 0 for grain alone, towards 1 for what is larger than a
            pixel.
        detail: what pixels 3 apart differ by as a share of what those 6 apart do, each less what neighbours do, 0 to 1:
            the blurrier, the lower. White grain and what is much larger than 6 pixels add to neither, so a noisy camera
            does not hide a blur, and vignetting or a dark vessel do not make one. 1 where there is too little to
            compare, and where the blocks are too small for such pairs.
    """

    mean: Cells
    spread: Cells
    saturated: Cells
    structure: Cells
    detail: Cells


def patch_statistics(pixels: npt.NDArray[np.uint8], geometry: Geometry) -> PatchStatistics:
    """The figures of every patch of a frame.

    Args:
        pixels: uint8 [H, W], not smaller than a patch.
        geometry: where the patches lie.
    """
    block = math.gcd(geometry.patch_px, geometry.stride_px)
    rows, columns = ((geometry.cells(side) - 1) * geometry.stride_px + geometry.patch_px for side in pixels.shape)
    band = max(block, _BAND_PX // block * block)
    bands = [_blocks(pixels[top : min(top + band, rows), :columns], block) for top in range(0, rows, band)]
    mean, square, saturated, near, fine, coarse = (
        _over_patches(np.concatenate(parts), geometry, block) for parts in zip(*bands, strict=True)
    )
    variance = np.maximum(square - mean * mean, 0.0)
    # half the mean squared difference of a pair is the variance less their covariance
    structure = _share(variance - near / 2, variance, above=0.0, otherwise=0.0)
    contrast = LEAST_CONTRAST * variance if block > COARSE else np.inf
    detail = _share(fine - near, coarse - near, above=2 * contrast, otherwise=1.0)
    return PatchStatistics(mean, np.sqrt(variance), saturated, structure, detail)


def _share(part: Cells, whole: Cells, *, above: Cells | float, otherwise: float) -> Cells:
    """part / whole, kept to 0 to 1; `otherwise` where the whole is not above so much."""
    share: Cells = np.divide(part, whole, out=np.full_like(whole, otherwise), where=whole > above)
    return np.clip(share, 0.0, 1.0, out=share)


def _blocks(pixels: npt.NDArray[np.uint8], block: int) -> tuple[npt.NDArray[np.float32], ...]:
    """Means over blocks, float32 [H / block, W / block]: of the levels, their squares, those at 255, and the squared
    differences of pairs that are `NEAR`, `FINE` and `COARSE` apart, along rows and columns together."""
    size = pixels.shape[1] // block, pixels.shape[0] // block

    def means(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        averaged: npt.NDArray[np.float32] = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
        return averaged

    def differences(apart: int) -> npt.NDArray[np.float32]:
        inside = np.arange(max(pixels.shape)) % block < block - apart
        share = inside[:block].mean()
        if not share:
            return np.zeros(size[::-1], np.float32)
        sums = np.zeros(pixels.shape, np.float32)
        for axis in (0, 1):
            first, second = (pixels[:-apart], pixels[apart:]) if axis == 0 else (pixels[:, :-apart], pixels[:, apart:])
            apart_levels = cv2.absdiff(first, second)
            squares = cv2.multiply(apart_levels, apart_levels, dtype=cv2.CV_32F)
            squares *= inside[: squares.shape[axis], None] if axis == 0 else inside[: squares.shape[axis]]
            sums[: squares.shape[0], : squares.shape[1]] += squares
        return means(sums) / np.float32(2 * share)

    grey = pixels.astype(np.float32)
    at_white = (pixels == 255).astype(np.float32)
    pairs = (differences(apart) for apart in (NEAR, FINE, COARSE))
    return means(grey), means(grey * grey), means(at_white), *pairs


def _over_patches(blocks: npt.NDArray[np.float32], geometry: Geometry, block: int) -> Cells:
    """Means over the patches, float64 [h, w], of means over the blocks."""
    side, step = geometry.patch_px // block, geometry.stride_px // block
    sums = cv2.integral(blocks.astype(np.float64))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    means: Cells = inside[::step, ::step] / side**2
    return means
