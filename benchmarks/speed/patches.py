"""The same scores without the dense map: every patch handed to the model by itself, or in batches."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry
from runtime.engines import Engine


def one_patch_a_call(frame: npt.NDArray[np.uint8], engine: Engine, geometry: Geometry) -> npt.NDArray[np.float32]:
    """Expected grade of every cell, float32 [h, w], each patch in a call of its own."""
    return in_batches(frame, engine, geometry, 1)


def in_batches(frame: npt.NDArray[np.uint8], engine: Engine, geometry: Geometry, size: int) -> npt.NDArray[np.float32]:
    """The same with so many patches a call."""
    rows, columns = (geometry.cells(length) for length in frame.shape)
    grades = np.empty(rows * columns, np.float32)
    for first, patches in _batches(frame, geometry, size):
        probabilities = engine.run(patches).probabilities[:, :, 0, 0]
        grades[first : first + len(patches)] = probabilities @ np.arange(probabilities.shape[1], dtype=np.float32)
    return grades.reshape(rows, columns)


def _batches(
    frame: npt.NDArray[np.uint8], geometry: Geometry, size: int
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """The number of the first patch, and the patches: uint8 [N, 1, P, P]."""
    windows = np.lib.stride_tricks.sliding_window_view(frame, (geometry.patch_px, geometry.patch_px))
    windows = windows[:: geometry.stride_px, :: geometry.stride_px]
    rows, columns = windows.shape[:2]
    for first in range(0, rows * columns, size):
        places = range(first, min(first + size, rows * columns))
        yield first, np.stack([windows[divmod(place, columns)] for place in places])[:, None]
