"""The truth of each cell, the figures over cells, and the verdict."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.cell_calibration import __main__ as cell_calibration
from benchmarks.cell_calibration.__main__ import FULL, SHORT, show, table
from benchmarks.cell_calibration.cells import KnownFrame, Reliability, mosaics, phantom_frames
from benchmarks.cell_calibration.spots import SPOTS_PER_PATCH, draw_spots, write_spots
from benchmarks.cell_calibration.temperatures import IMAGES, LIKELIHOOD, NONE, PATCHES, fit_temperatures
from runtime.dense_map import Geometry, InflammationMap
from trainer.dataset import read_scored_patches
from trainer.network import NetworkConfig, TextureNetwork
from trainer.parts import Part
from trainer.phantom import grade_distribution, write_phantom

GEOMETRY = Geometry(32, 8, 0.5)


def test_a_mosaics_cells_have_the_grade_of_the_image_at_their_centre():
    grades = torch.arange(53) % 3
    images = tuple(np.full((48, 48), number, np.uint8) for number in range(53))
    frames = mosaics(Part(images, torch.zeros(53, 3), grades), 3, GEOMETRY)
    assert len(frames) == 2
    for number, frame in enumerate(frames):
        assert frame.pixels.shape == (240, 240)
        assert frame.truth.shape == (27, 27, 3)
        for row, column in np.ndindex(27, 27):
            below = frame.pixels[row * 8 : row * 8 + 32, column * 8 : column * 8 + 32]
            assert frame.inside[row, column] == (len(np.unique(below)) == 1)
            assert frame.truth[row, column].argmax() == grades[below[16, 16]]
        assert frame.pixels[0, 0] == 25 * number


def test_a_phantom_cells_truth_is_what_raters_say_of_its_mean_severity(tmp_path):
    write_phantom(tmp_path, patches=0, frames=1, seed=3)
    geometry = Geometry(128, 16, 0.5)
    [frame] = phantom_frames(tmp_path / "frames", geometry)
    severity = np.load(tmp_path / "frames" / "v0000000.severity.npy")
    assert frame.pixels.shape == severity.shape
    assert frame.truth.shape == (55, 55, 5)
    for row, column in ((0, 0), (54, 54), (20, 33)):
        below = severity[row * 16 : row * 16 + 128, column * 16 : column * 16 + 128]
        wanted = grade_distribution(below.mean(dtype=np.float64))
        np.testing.assert_allclose(frame.truth[row, column], wanted, atol=1e-6)
    assert frame.inside.all()


def test_confidence_and_accuracy_are_summed_by_tenths_over_the_cells_chosen():
    probabilities = np.float32([[[0.95, 0.55, 1.0, 0.3]], [[0.05, 0.45, 0.0, 0.7]]])
    found = InflammationMap(probabilities, np.zeros((1, 4), np.float32), GEOMETRY)
    truth = np.array([[[1.0, 0.0], [0.2, 0.8], [1.0, 0.0], [0.0, 1.0]]])
    frame = KnownFrame(np.zeros((32, 56), np.uint8), truth, np.array([[True, True, True, False]]))
    figures = Reliability.of([found], [frame], inside=True)
    assert figures.accuracy == pytest.approx(2.2 / 3)
    assert figures.mean_confidence == pytest.approx(2.5 / 3)
    assert figures.ece == pytest.approx((0.05 + 0.35) / 3)
    document = figures.to_json()
    assert document["cells"] == 3
    assert [row["from"] for row in document["bins"]] == [0.5, 0.9]
    assert document["bins"][0] == {"from": 0.5, "share": 0.3333, "confidence": 0.55, "accuracy": 0.2}
    assert Reliability.of([found], [frame], inside=False).to_json()["accuracy"] == 1


def test_spots_have_the_grades_density(tmp_path):
    rng = np.random.default_rng(0)
    drawn = [[draw_spots(grade, 128, rng) for _ in range(20)] for grade in range(len(SPOTS_PER_PATCH))]
    bright = [np.mean([image > np.median(image) + 40 for image in images]) for images in drawn]
    assert np.diff(np.log(bright)) == pytest.approx(np.diff(np.log(SPOTS_PER_PATCH)), abs=0.2)
    write_spots(tmp_path, 7, 40, 1)
    data = read_scored_patches(tmp_path, patch_px=32, model_um_per_px=0.5)
    assert [patch.grade for patch in data.patches] == [0, 1, 2, 3, 4, 0, 1]
    assert data.grades == ("0", "1", "2", "3", "4")
    assert {pixels.shape for pixels in data.pixels} == {(40, 40)}


def test_images_whose_patches_disagree_get_a_far_lower_temperature_than_their_patches():
    tiny = NetworkConfig(("0", "1", "2"), kernels=(4, 3), strides=(2, 2), widths=(16, 16), patch_px=32, hidden=16)

    class Noisy(TextureNetwork):
        """Right in each position by a little more than chance, so that only an image is right for certain."""

        def cell_logits(self, grey: torch.Tensor) -> torch.Tensor:
            rows, columns = ((length - 32) // 4 + 1 for length in grey.shape[2:])
            grade = (grey[:, :, 0, 0] // 100).long()
            generator = torch.Generator().manual_seed(int(grey.sum()))
            noise = torch.randn((len(grey), 3, rows, columns), generator=generator)
            return 0.5 * (torch.nn.functional.one_hot(grade[:, 0], 3)[:, :, None, None] + noise)

    rng = np.random.default_rng(0)
    grades = torch.arange(300) % 3
    images = tuple((100 * int(grade) + rng.integers(0, 50, (64, 64))).astype(np.uint8) for grade in grades)
    ways = fit_temperatures(Noisy(tiny), Part(images, torch.zeros(300, 3), grades))
    assert list(ways) == [NONE, IMAGES, LIKELIHOOD, PATCHES]
    assert ways[NONE] == 1
    assert ways[IMAGES] < 0.5 * ways[PATCHES]
    assert ways[PATCHES] == pytest.approx(ways[LIKELIHOOD], rel=0.3)


def figures(confidence: float, accuracy: float) -> dict[str, Any]:
    bins = [{"from": 0.9, "share": 1.0, "confidence": confidence, "accuracy": accuracy}]
    return {"confidence": confidence, "accuracy": accuracy, "ece": abs(confidence - accuracy), "bins": bins}


def found(confidence: float, accuracy: float = 0.8) -> dict[str, Any]:
    images = {"accuracy": 0.9, "accuracy_by_mean_probability": 0.8}
    cells = {"mosaics": figures(confidence, accuracy), "across": figures(0.7, 0.5)}
    return {way: {"temperature": 0.5, **cells, "images": images} for way in (NONE, IMAGES, LIKELIHOOD, PATCHES)}


def test_the_table_has_a_row_for_each_way_and_for_each_tenth():
    lines = table("spots", found(0.82)).splitlines()
    assert lines[0] == "### spots"
    assert f"| {PATCHES} | 0.50 | 0.820, 0.800, 0.020 | 0.700, 0.500, 0.200 | 0.900, 0.800 |" in lines
    assert lines[-1] == f"| {PATCHES} | 0.9 | 1.000 | 0.820 | 0.800 |"
    assert all(len(line) == 0 or line.startswith(("#", "|")) for line in lines)


@pytest.mark.parametrize(("confidence", "code"), [(0.85, 0), (0.95, 1), (0.65, 1)])
def test_it_ends_with_1_where_confidence_is_far_from_accuracy(tmp_path, monkeypatch, capsys, confidence, code):
    monkeypatch.setattr(cell_calibration, "write_phantom", lambda *_arguments, **_options: None)
    monkeypatch.setattr(cell_calibration, "write_spots", lambda *_arguments: None)
    monkeypatch.setattr(cell_calibration, "measure", lambda *_arguments: found(confidence))
    assert show(tmp_path, SHORT, 0) == code
    assert ("limit 0.1 apart" in capsys.readouterr().out) is bool(code)
    assert json.loads((tmp_path / "found.json").read_text()).keys() == {"phantom", "spots"}


def test_the_full_form_asks_for_more():
    assert FULL.images > SHORT.images
    assert FULL.limit < SHORT.limit


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_confidence_is_accuracy_on_mosaics(tmp_path):
    assert show(tmp_path, SHORT, 0) == 0
    document = json.loads((tmp_path / "found.json").read_text())
    before, after = (document["spots"][way]["mosaics"] for way in (IMAGES, PATCHES))
    assert before["confidence"] > before["accuracy"] + 0.1
    assert after["ece"] < before["ece"] / 2
