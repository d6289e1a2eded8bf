"""A map is held against what was drawn, cell by cell."""

from pathlib import Path, PurePath

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.demo.truth import against_truth, mean_over_patches
from runtime.acquisition import Acquisition
from runtime.dense_map import Geometry
from runtime.model import Model
from runtime.scoring import score_file


def test_mean_over_patches_is_the_mean_under_each_cell() -> None:
    values = np.random.default_rng(1).uniform(0, 4, (75, 90)).astype(np.float32)
    geometry = Geometry(patch_px=32, stride_px=8, um_per_px=0.5)
    cells = mean_over_patches(values, geometry)
    assert cells.shape == (geometry.cells(75), geometry.cells(90))
    for i, j in np.ndindex(cells.shape):
        assert cells[i, j] == pytest.approx(values[8 * i : 8 * i + 32, 8 * j : 8 * j + 32].mean(), abs=1e-4)


def test_a_frame_is_compared_with_the_severity_it_was_drawn_with(
    tmp_path: Path, model: Model, skin: npt.NDArray[np.uint8]
) -> None:
    frame_file, name = tmp_path / "v0000000.bmp", PurePath("v0000000.bmp")
    cv2.imwrite(str(frame_file), skin)
    score_file(frame_file, name, tmp_path / "out", model, acquisition=Acquisition(0.5))
    severity = np.tile(np.linspace(0.0, 4.0, 400, dtype=np.float32), (400, 1))

    def difference(drawn: npt.NDArray[np.float32]) -> float:
        np.save(frame_file.with_suffix(".severity.npy"), drawn)
        found = against_truth(frame_file, tmp_path / "out", name, model.bundle)
        assert found.frame.shape == (400, 400, 3)
        assert found.difference is not None
        return found.difference

    assert difference(severity) < 0.8 < difference(4.0 - severity)


def test_a_withheld_frame_has_no_difference(tmp_path: Path, model: Model) -> None:
    frame_file, name = tmp_path / "v0000000.bmp", PurePath("v0000000.bmp")
    cv2.imwrite(str(frame_file), np.zeros((400, 400), np.uint8))
    np.save(frame_file.with_suffix(".severity.npy"), np.zeros((400, 400), np.float32))
    score_file(frame_file, name, tmp_path / "out", model, acquisition=Acquisition(0.5))
    assert against_truth(frame_file, tmp_path / "out", name, model.bundle).difference is None
