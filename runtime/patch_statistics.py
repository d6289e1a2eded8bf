"""What the pixels of each patch come to: brightness, spread, and how far neighbouring pixels agree.

A patch is laid of square blocks that patch and stride have in common, and a figure of it is the mean over its blocks;
pairs of pixels are taken within a block, so that a patch has the same figures in a frame and alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry

# pixels between the two of a pair; at the models' 0.5 µm/px an image in focus has detail of 1.5 µm
NEAR, FINE, COARSE = 1, 3, 6
# of the variance; with less between them, pairs tell nothing of detail
LEAST_CONTRAST = 0.05
# looked at together: what a processor's cache holds, and of a mosaic a small part
_BAND_PIXELS = 1 << 20

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
    band = max(1, _BAND_PIXELS // (columns * block)) * block
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


def _blocks(pixels: npt.NDArray[np.uint8], block: int) -> tuple[Cells, ...]:
    """Means over blocks, float64 [H / block, W / block]: of the levels, their squares, those at 255, and the squared
    differences of pairs that are `NEAR`, `FINE` and `COARSE` apart, along rows and columns together."""
    height, width = pixels.shape[0] // block, pixels.shape[1]
    columns = np.arange(0, width, block)

    # The rows of a block are added first, in bytes, and what is left is a block's part of the pixels. A float32 holds
    # sums of up to 258 squares of 8 bits exactly.
    def add_rows(into: npt.NDArray[np.float32], values: npt.NDArray[np.uint8], add: Callable[..., object]) -> None:
        for row in range(block):
            add(values[row::block], into)

    def means(values: npt.NDArray[np.uint8], add: Callable[..., object]) -> Cells:
        sums = np.zeros((height, width), np.float32)
        add_rows(sums, values, add)
        return np.add.reduceat(sums, columns, axis=1, dtype=np.float64) / block**2

    def differences(apart: int) -> Cells:
        pairs = 2 * block * (block - apart)
        if pairs <= 0:
            return np.zeros((height, len(columns)))
        sums = np.zeros((height, width), np.float32)
        across = cv2.absdiff(pixels[:, :-apart], pixels[:, apart:])
        add_rows(sums[:, :-apart], across, cv2.accumulateSquare)
        # of pairs that two blocks share
        sums[:, np.arange(width) % block >= block - apart] = 0
        down = cv2.absdiff(pixels[:-apart], pixels[apart:])
        for row in range(block - apart):
            cv2.accumulateSquare(down[row::block], sums)
        return np.add.reduceat(sums, columns, axis=1, dtype=np.float64) / pairs

    at_white = cv2.threshold(pixels, 254, 1, cv2.THRESH_BINARY)[1]
    return (
        means(pixels, cv2.accumulate),
        means(pixels, cv2.accumulateSquare),
        means(at_white, cv2.accumulate),
        *(differences(apart) for apart in (NEAR, FINE, COARSE)),
    )


def _over_patches(blocks: Cells, geometry: Geometry, block: int) -> Cells:
    """Means over the patches, float64 [h, w], of means over the blocks."""
    side, step = geometry.patch_px // block, geometry.stride_px // block
    sums = cv2.integral(blocks)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    means: Cells = inside[::step, ::step] / side**2
    return means
