"""The map is the patch score at every stride, whatever the frame's size and the tiles."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.dense_map import Geometry, InflammationMap, dense_map
from runtime.engines import EngineOutput
from runtime.errors import InflamapError
from runtime.images import EIGHT_BIT, Frame, on_grid, read_frame, to_model_scale
from runtime.model import Model


class CornerEngine:
    """Scores a patch by its four corner pixels, so that a shift by one pixel, or a tile cut one short, shows."""

    name, precision = "corners", "fp32"

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self.largest_px = 0

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        grey = images[:, 0].astype(np.float32)
        self.largest_px = max(self.largest_px, *grey.shape[1:])
        last, stride = self._geometry.patch_px - 1, self._geometry.stride_px
        rows, columns = self._geometry.cells(grey.shape[1]), self._geometry.cells(grey.shape[2])
        ends = [
            grey[:, y::stride][:, :rows][:, :, x::stride][:, :, :columns]
            for y, x in ((0, 0), (0, last), (last, 0), (last, last))
        ]
        shares = np.stack(ends, axis=1) + 1
        return EngineOutput(shares / shares.sum(axis=1, keepdims=True), ends[0] - ends[3])


def patch_by_patch(pixels: npt.NDArray[np.uint8], model: Model) -> npt.NDArray[np.float32]:
    """Probabilities [K, h, w], every patch scored as a frame of its own."""
    geometry = model.bundle.geometry
    side, stride = geometry.patch_px, geometry.stride_px
    rows, columns = (geometry.cells(length) for length in pixels.shape)
    scores = [
        dense_map(
            np.ascontiguousarray(pixels[i * stride : i * stride + side, j * stride : j * stride + side]),
            model.engine,
            geometry,
        ).probabilities[:, 0, 0]
        for i in range(rows)
        for j in range(columns)
    ]
    return np.array(scores).T.reshape(-1, rows, columns)


@settings(max_examples=150, deadline=None)
@given(
    patch=st.integers(2, 20),
    stride=st.integers(1, 12),
    extra=st.tuples(st.integers(0, 70), st.integers(0, 70)),
    tile_extra=st.integers(0, 50),
    seed=st.integers(0, 1000),
)
def test_tiling_changes_nothing(patch: int, stride: int, extra: tuple[int, int], tile_extra: int, seed: int) -> None:
    geometry = Geometry(patch, stride, 0.5)
    pixels = np.random.default_rng(seed).integers(0, 256, (patch + extra[0], patch + extra[1]), dtype=np.uint8)
    whole = dense_map(pixels, CornerEngine(geometry), geometry, tile_px=10_000)
    engine = CornerEngine(geometry)
    tiled = dense_map(pixels, engine, geometry, tile_px=patch + tile_extra)

    assert whole.shape == ((extra[0]) // stride + 1, (extra[1]) // stride + 1)
    np.testing.assert_array_equal(tiled.probabilities, whole.probabilities)
    np.testing.assert_array_equal(tiled.unfamiliarity, whole.unfamiliarity)
    assert engine.largest_px <= patch + tile_extra
    for i in {0, whole.shape[0] - 1}:
        for j in {0, whole.shape[1] - 1}:
            below = np.ascontiguousarray(pixels[i * stride :, j * stride :][:patch, :patch])
            alone = dense_map(below, CornerEngine(geometry), geometry)
            np.testing.assert_array_equal(alone.probabilities[:, 0, 0], whole.probabilities[:, i, j])


@pytest.mark.parametrize("residue", range(16))
def test_cell_equals_patch_score_at_every_residue_on_real_frames(
    residue: int, real_frames: list[Path], model: Model
) -> None:
    geometry = model.bundle.geometry
    assert geometry.stride_px == 16
    frame = to_model_scale(read_frame(real_frames[residue], um_per_px=400 / 384), geometry.um_per_px)
    # every residue of H against another of W: 11 is prime to 16
    height, width = 160 + residue, 176 + residue * 11 % 16
    pixels = np.ascontiguousarray(frame[100 : 100 + height, 200 : 200 + width])

    found = dense_map(pixels, model.engine, geometry)
    tiled = dense_map(pixels, model.engine, geometry, tile_px=geometry.patch_px + geometry.stride_px)

    assert found.shape == (3, 4)
    np.testing.assert_allclose(found.probabilities, patch_by_patch(pixels, model), rtol=0, atol=1e-5)
    np.testing.assert_allclose(tiled.probabilities, found.probabilities, rtol=0, atol=1e-5)
    np.testing.assert_allclose(tiled.unfamiliarity, found.unfamiliarity, rtol=1e-4)


def test_cell_equals_patch_score_on_synthetic_skin(skin: npt.NDArray[np.uint8], model: Model) -> None:
    pixels = np.ascontiguousarray(skin[:193, :208])
    found = dense_map(pixels, model.engine, model.bundle.geometry)
    np.testing.assert_allclose(found.probabilities, patch_by_patch(pixels, model), rtol=0, atol=1e-5)
    # a map of one value would pass the comparison emptily
    assert found.expected_grade().std() > 0.01


@pytest.mark.parametrize(("shape", "seen"), [((127, 300), "300x127"), ((300, 127), "127x300"), ((1, 1), "1x1")])
def test_frame_smaller_than_a_patch_is_refused(shape: tuple[int, int], seen: str, model: Model) -> None:
    with pytest.raises(InflamapError, match=f"smaller than one patch.*seen: {seen} px.*at least 128x128"):
        dense_map(np.zeros(shape, np.uint8), model.engine, model.bundle.geometry)


def test_tile_smaller_than_a_patch_is_refused() -> None:
    geometry = Geometry(8, 4, 0.5)
    with pytest.raises(InflamapError, match="tile smaller"):
        dense_map(np.zeros((20, 20), np.uint8), CornerEngine(geometry), geometry, tile_px=7)


def test_grades_of_a_map() -> None:
    probabilities = np.array([[0.5, 0.1], [0.3, 0.2], [0.2, 0.7]], np.float32).reshape(3, 1, 2)
    found = InflammationMap(probabilities, np.zeros((1, 2), np.float32), Geometry(8, 4, 0.5))
    assert found.grade().tolist() == [[0, 2]]
    np.testing.assert_allclose(found.expected_grade(), [[0.7, 1.6]], rtol=1e-6)
    np.testing.assert_allclose(found.confidence(), [[0.5, 0.7]])


def test_physical_geometry() -> None:
    geometry = Geometry(patch_px=128, stride_px=16, um_per_px=0.5)
    assert (geometry.origin_um, geometry.cell_um) == (32.0, 8.0)
    assert [geometry.cells(length) for length in (0, 127, 128, 143, 144, 1000)] == [0, 0, 1, 1, 2, 55]


def test_pixels_that_are_sampled_tile_by_tile_are_told_of_and_map_as_the_whole(
    skin: npt.NDArray[np.uint8], model: Model
) -> None:
    geometry = model.bundle.geometry
    # a fractional scale, so that a tile that began its own grid would be some fraction of a pixel off
    grid = on_grid(Frame(skin[:500, :600], EIGHT_BIT, "00", 0.37, "option"), geometry.um_per_px)
    told: list[tuple[slice, slice]] = []

    def look(cells: tuple[slice, slice], pixels: npt.NDArray[np.uint8]) -> None:
        told.append(cells)
        rows, columns = (np.s_[16 * side.start : 16 * (side.stop - 1) + 128] for side in cells)
        np.testing.assert_array_equal(pixels, grid.whole()[rows, columns])

    tiled = dense_map(grid, model.engine, geometry, tile_px=200, seen=look)
    whole = dense_map(grid.whole(), model.engine, geometry)
    assert len(told) > 4
    assert sum(whole.grade()[cells].size for cells in told) == whole.grade().size
    np.testing.assert_allclose(tiled.probabilities, whole.probabilities, rtol=0, atol=1e-5)
