"""What of a batch goes to the GPU at once: all of it where the plan's profile allows, else some images, some cells."""

from collections.abc import Iterator

import msgspec

from runtime.dense_map import Geometry
from runtime.engines.tensorrt.plan import Profile


class Piece(msgspec.Struct, frozen=True):
    """Some cells of some images, and the pixels that these cells see.

    Attributes:
        images: of the batch.
        rows, columns: of pixels; at least a patch, and whole strides beyond it.
        cell_rows, cell_columns: of the map.
    """

    images: slice
    rows: slice
    columns: slice
    cell_rows: slice
    cell_columns: slice


def pieces(count: int, height: int, width: int, geometry: Geometry, profile: Profile) -> Iterator[Piece]:
    """Cut a batch of `count` images of `height` x `width` pixels so that every cell is in exactly one piece.

    A convolution sees the same pixels in a piece as in the whole, so that no result depends on the cuts.
    """
    batch, _, largest_height, largest_width = profile.largest
    down = list(_spans(geometry.cells(height), geometry.cells(largest_height)))
    across = list(_spans(geometry.cells(width), geometry.cells(largest_width)))
    for images in _spans(count, batch):
        for cell_rows in down:
            for cell_columns in across:
                yield Piece(
                    images, _pixels(cell_rows, geometry), _pixels(cell_columns, geometry), cell_rows, cell_columns
                )


def _spans(length: int, longest: int) -> Iterator[slice]:
    """`length` cut into pieces of `longest` and a rest."""
    for start in range(0, length, longest):
        yield slice(start, min(start + longest, length))


def _pixels(cells: slice, geometry: Geometry) -> slice:
    """The pixels that some cells see, and no more."""
    return slice(cells.start * geometry.stride_px, (cells.stop - 1) * geometry.stride_px + geometry.patch_px)
