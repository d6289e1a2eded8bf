"""What the pixels of each patch come to: brightness, spread, and how far neighbouring pixels agree.

A patch is laid of square blocks that patch and stride have in common, and a figure of it is the mean over its blocks;
pairs of pixels are taken within a block, so that a patch has the same figures in a frame and alone.
"""

import math
from collections.abc import Callable, Sequence

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import asdict

from runtime.dense_map import Geometry

# pixels between the two of a pair; at the models' 0.5 µm/px an image in focus has detail of 1.5 µm
NEAR, FINE, COARSE = 1, 3, 6
# of the variance; with less between them, pairs tell nothing of detail
LEAST_CONTRAST = 0.05
# looked at together: what a processor's cache holds, and of a mosaic a small part
_BAND_PIXELS = 1 << 20

Cells = npt.NDArray[np.float64]


class PatchStatistics(msgspec.Struct, frozen=True):
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

    @staticmethod
    def of_tiles(tiles: Sequence[tuple[tuple[slice, slice], "PatchStatistics"]]) -> "PatchStatistics":
        """Of a frame, from those of its tiles, each with the cells (rows, columns) that it holds; in any order."""
        if len(tiles) == 1:
            return tiles[0][1]
        shape = tuple(max(cells[axis].stop for cells, _ in tiles) for axis in (0, 1))
        whole = PatchStatistics(*(np.empty(shape) for _ in PatchStatistics.__struct_fields__))
        for cells, part in tiles:
            for name, values in asdict(part).items():
                getattr(whole, name)[cells] = values
        return whole


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
    # whole numbers until here, so that a patch comes to the very same in any tile and band
    sums = [_over_patches(np.concatenate(parts), geometry, block) for parts in zip(*bands, strict=True)]
    mean, square, saturated = (each / geometry.patch_px**2 for each in sums[:3])
    blocks = (geometry.patch_px // block) ** 2
    near, fine, coarse = (
        each / (blocks * _pairs(block, apart)) for each, apart in zip(sums[3:], (NEAR, FINE, COARSE), strict=True)
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
    """Sums over blocks, float64 [H / block, W / block]: of the levels, their squares, those at 255, and the squared
    differences of pairs that are `NEAR`, `FINE` and `COARSE` apart, along rows and columns together."""
    height, width = pixels.shape[0] // block, pixels.shape[1]
    columns = np.arange(0, width, block)

    # The rows of a block are added first, in bytes, and what is left is a block's part of the pixels. A float32 holds
    # sums of up to 258 squares of 8 bits exactly.
    def add_rows(into: npt.NDArray[np.float32], values: npt.NDArray[np.uint8], add: Callable[..., object]) -> None:
        for row in range(block):
            add(values[row::block], into)

    def add_blocks(values: npt.NDArray[np.uint8], add: Callable[..., object]) -> Cells:
        sums = np.zeros((height, width), np.float32)
        add_rows(sums, values, add)
        return np.add.reduceat(sums, columns, axis=1, dtype=np.float64)

    def differences(apart: int) -> Cells:
        sums = np.zeros((height, width), np.float32)
        if apart >= block:
            return sums[:, columns].astype(np.float64)
        across = cv2.absdiff(pixels[:, :-apart], pixels[:, apart:])
        add_rows(sums[:, :-apart], across, cv2.accumulateSquare)
        # of pairs that two blocks share
        sums[:, np.arange(width) % block >= block - apart] = 0
        down = cv2.absdiff(pixels[:-apart], pixels[apart:])
        for row in range(block - apart):
            cv2.accumulateSquare(down[row::block], sums)
        return np.add.reduceat(sums, columns, axis=1, dtype=np.float64)

    at_white = cv2.threshold(pixels, 254, 1, cv2.THRESH_BINARY)[1]
    return (
        add_blocks(pixels, cv2.accumulate),
        add_blocks(pixels, cv2.accumulateSquare),
        add_blocks(at_white, cv2.accumulate),
        *(differences(apart) for apart in (NEAR, FINE, COARSE)),
    )


def _pairs(block: int, apart: int) -> int:
    """How many pairs a block holds; 1 where none fits, whose sums are zero."""
    return max(1, 2 * block * (block - apart))


def _over_patches(blocks: Cells, geometry: Geometry, block: int) -> Cells:
    """Sums over the patches, float64 [h, w], of sums over the blocks."""
    side, step = geometry.patch_px // block, geometry.stride_px // block
    sums = cv2.integral(blocks)
    inside: Cells = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return inside[::step, ::step]
