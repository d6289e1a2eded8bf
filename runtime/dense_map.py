"""The dense map: the patch score at every stride, computed in one pass over the whole frame.

A network of unpadded convolutions, average pooling and a 1x1 head gives, run over a frame, the same numbers as
run over each patch of it. What is left to do here is to cut frames that are too large into tiles whose cells
agree, and to hold the result's geometry.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.engines.protocol import Engine
from runtime.errors import InflamapError

# bounds the activations of a tile to some 200 MB; a 1000 px frame stays whole
DEFAULT_TILE_PX = 1536


class Geometry(msgspec.Struct, frozen=True):
    """Where the cells of a map lie on the frame at the model's scale.

    Attributes:
        patch_px: side of the square patch one cell scores, in pixels.
        stride_px: distance between neighbouring cells, in pixels.
        um_per_px: the model's sampling.
    """

    patch_px: int
    stride_px: int
    um_per_px: float

    def cells(self, length_px: int) -> int:
        """Number of cells along a side of `length_px` pixels (0 when it is shorter than a patch)."""
        return max(0, (length_px - self.patch_px) // self.stride_px + 1)

    @property
    def origin_um(self) -> float:
        """Distance of the centre of cell [0, 0] from the frame's left (and upper) edge."""
        return self.patch_px / 2 * self.um_per_px

    @property
    def cell_um(self) -> float:
        """Physical size of a map pixel."""
        return self.stride_px * self.um_per_px


class InflammationMap(msgspec.Struct, frozen=True):
    """Scores of one frame; cell [i, j] is the patch with its top-left pixel at [i·stride, j·stride].

    Attributes:
        probabilities: float32 [K, h, w], a softmax over the K grades.
        unfamiliarity: float32 [h, w], see `EngineOutput`.
        geometry: where the cells lie.
    """

    probabilities: npt.NDArray[np.float32]
    unfamiliarity: npt.NDArray[np.float32]
    geometry: Geometry

    @property
    def shape(self) -> tuple[int, int]:
        return self.unfamiliarity.shape[0], self.unfamiliarity.shape[1]

    def grade(self) -> npt.NDArray[np.int64]:
        """Most probable grade of each cell, int64 [h, w]."""
        grade: npt.NDArray[np.int64] = np.argmax(self.probabilities, axis=0)
        return grade

    def expected_grade(self) -> npt.NDArray[np.float32]:
        """Mean of the grade under the cell's probabilities, float32 [h, w], 0 to K - 1."""
        grades = np.arange(self.probabilities.shape[0], dtype=np.float32)
        expected: npt.NDArray[np.float32] = np.tensordot(grades, self.probabilities, axes=1)
        return expected

    def confidence(self) -> npt.NDArray[np.float32]:
        """Probability of the most probable grade, float32 [h, w]."""
        highest: npt.NDArray[np.float32] = self.probabilities.max(axis=0)
        return highest


class Sampled(Protocol):
    """Pixels that are made where they are asked for, as `runtime.images.FrameOnGrid`."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def window(self, rows: slice, columns: slice) -> npt.NDArray[np.uint8]:
        """uint8 [rows, columns], contiguous; windows that overlap agree to the last bit."""
        ...


Cells = tuple[slice, slice]


def _seen_by_nobody(_cells: Cells, _pixels: npt.NDArray[np.uint8]) -> None:
    pass


def dense_map(
    pixels: npt.NDArray[np.uint8] | Sampled,
    engine: Engine,
    geometry: Geometry,
    *,
    tile_px: int = DEFAULT_TILE_PX,
    seen: Callable[[Cells, npt.NDArray[np.uint8]], object] = _seen_by_nobody,
) -> InflammationMap:
    """Score every cell of a frame, tile by tile; of a large frame no more than a tile is sampled at once.

    Args:
        pixels: uint8 [H, W] at the model's scale, or what samples them; a patch is a frame of exactly patch size.
        engine: the model.
        geometry: the model's geometry.
        tile_px: longest side handed to the engine at once; the map does not depend on it.
        seen: told of each tile: its cells (rows, columns) and the pixels below them, uint8 [h, w].

    Raises:
        InflamapError: the frame is smaller than one patch, or the tile is.
    """
    height, width = pixels.shape
    rows, columns = geometry.cells(height), geometry.cells(width)
    if rows == 0 or columns == 0:
        raise InflamapError(
            "frame smaller than one patch at the model's scale",
            seen=f"{width}x{height} px",
            wanted=f"at least {geometry.patch_px}x{geometry.patch_px} px",
        )
    per_tile = geometry.cells(tile_px)
    if per_tile == 0:
        raise InflamapError("tile smaller than one patch", seen=tile_px, wanted=f">= {geometry.patch_px}")

    probabilities: npt.NDArray[np.float32] | None = None
    unfamiliarity = np.empty((rows, columns), np.float32)
    for cells in _tiles(rows, columns, per_tile):
        below = _pixels_under(pixels, cells, geometry)
        output = engine.run(below[None, None])
        if probabilities is None:
            probabilities = np.empty((output.probabilities.shape[1], rows, columns), np.float32)
        probabilities[:, cells[0], cells[1]] = output.probabilities[0]
        unfamiliarity[cells] = output.unfamiliarity[0]
        seen(cells, below)
    assert probabilities is not None
    return InflammationMap(probabilities, unfamiliarity, geometry)


def _tiles(rows: int, columns: int, most: int) -> Iterator[Cells]:
    """The cells in tiles of at most so many a side, all about alike: a narrow one costs nearly as much as a whole."""
    down, across = (-(-cells // most) for cells in (rows, columns))
    for i in range(down):
        for j in range(across):
            yield (
                np.s_[i * rows // down : (i + 1) * rows // down],
                np.s_[j * columns // across : (j + 1) * columns // across],
            )


def _pixels_under(pixels: npt.NDArray[np.uint8] | Sampled, cells: Cells, geometry: Geometry) -> npt.NDArray[np.uint8]:
    """The pixels that the given cells see, and no more, as a contiguous array."""
    down, across = (
        slice(side.start * geometry.stride_px, (side.stop - 1) * geometry.stride_px + geometry.patch_px)
        for side in cells
    )
    return np.ascontiguousarray(pixels[down, across]) if isinstance(pixels, np.ndarray) else pixels.window(down, across)
