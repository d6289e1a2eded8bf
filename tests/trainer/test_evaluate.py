"""Evaluation: only on patches the model never saw, by the one path every score takes."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from runtime.bundle import abbreviate
from runtime.dense_map import Geometry
from runtime.engines import EngineOutput
from runtime.errors import DataError
from trainer.dataset import ScoredPatches, read_scored_patches
from trainer.evaluate import Evaluation, TorchEngine, evaluate, rater_agreement, read_severity, unseen
from trainer.phantom import oracle_accuracy, write_phantom
from trainer.split import seen_in_training

GRADES = ("0", "1", "2", "3", "4")


class Brightness:
    """An engine that takes a patch's mean grey level for its grade, and remembers what it was given."""

    name, precision = "brightness", "fp32"

    def __init__(self) -> None:
        self.seen: list[npt.NDArray[np.uint8]] = []

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        self.seen.append(images)
        grade = int(images.mean().round())
        probabilities = np.full((1, 5, 1, 1), 0.05, np.float32)
        probabilities[0, grade] = 0.8
        return EngineOutput(probabilities, np.zeros((1, 1, 1), np.float32))


def said_by_brightness(
    data: ScoredPatches, levels: Sequence[int], *, severity: npt.NDArray[np.float64] | None = None
) -> Evaluation:
    """Evaluates patches of flat grey levels 0 to 4."""
    pixels = tuple(np.full((4, 4), level, np.uint8) for level in levels)
    return evaluate(
        dataclasses.replace(data, pixels=pixels),
        Brightness(),
        Geometry(4, 4, 0.5),
        GRADES,
        severity=severity,
        progress=lambda *_step: None,
    )


def test_a_trained_network_agrees_on_patches_it_never_saw(trained, tiny):
    held_out = unseen(trained.data, seen_in_training(trained.run), trained.folder)
    found = evaluate(
        held_out,
        TorchEngine(trained.network, tiny.total_stride),
        Geometry(tiny.patch_px, tiny.total_stride, tiny.um_per_px),
        tiny.grades,
        severity=None,
        progress=lambda *_step: None,
    )
    assert found.patches == trained.parts.count("test") == 50
    assert found.figures["accuracy"].value > 0.9
    assert found.figures["qwk"].value > 0.9
    assert found.confusion.sum() == 50
    assert found.subjects == 12


def test_the_middle_of_each_patch_is_scored(make_patches):
    noise = np.random.default_rng(0).integers(0, 5, (6, 8), np.uint8)
    data = dataclasses.replace(make_patches([(0,), (1,)]), pixels=(noise, np.ones((4, 4), np.uint8)))
    engine, told = Brightness(), []
    evaluate(data, engine, Geometry(4, 4, 0.5), GRADES, severity=None, progress=lambda *step: told.append(step))
    np.testing.assert_array_equal(engine.seen[0], noise[None, None, 1:5, 2:6])
    assert told == [("scoring patches", 1, 2), ("scoring patches", 2, 2)]


def test_a_run_goes_the_one_path_of_every_model(trained):
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 40, 36), np.uint8)
    output = TorchEngine(trained.network, 4).run(images)
    assert output.probabilities.shape == (2, 3, 3, 2)
    assert output.unfamiliarity.shape == (2, 3, 2)
    with torch.inference_mode():
        logits = trained.network(torch.from_numpy(images[:, :, 4:36, 4:36]).float())
        wanted = torch.softmax(logits / trained.network.temperature, 1)
    np.testing.assert_allclose(output.probabilities[:, :, 1, 1], wanted.numpy(), atol=1e-5)


def test_what_was_trained_on_is_known_by_content_under_any_name(make_patches, tmp_path):
    data = make_patches([(0,), (1,), (2,)])
    renamed = dataclasses.replace(
        data, patches=tuple(dataclasses.replace(patch, path=f"other/{patch.path}") for patch in data.patches)
    )
    left = unseen(renamed, frozenset({abbreviate(data.sha256[0]), abbreviate(data.sha256[2])}), tmp_path)
    assert [patch.path for patch in left.patches] == ["other/p0001.png"]
    with pytest.raises(DataError, match="nothing to evaluate on; seen: all 3 patches were trained or chosen by"):
        unseen(data, frozenset(map(abbreviate, data.sha256)), tmp_path)


def test_the_json_document_has_the_keys_of_the_contract(make_patches):
    data = make_patches([(0, 0), (1, 2), (4, 4)], subjects=["a", "a", "b"])
    document = said_by_brightness(data, [0, 2, 4], severity=np.array([0.0, 1.2, 3.9])).to_json()
    for name in ("accuracy", "mad", "mad_normalised", "qwk", "ece"):
        assert set(document[name]) == {"value", "ci95"}
        low, high = document[name]["ci95"]
        assert low <= document[name]["value"] <= high
    assert document["accuracy"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert document["mad_normalised"]["value"] == pytest.approx(1 / 12, abs=1e-6)
    assert document["patches"] == 3
    assert document["subjects"] == 2
    assert document["synthetic"] is False
    assert 0 < document["oracle"]["accuracy"] < 1
    assert set(document["raters"]) == {"r0", "r1"}
    assert document["per_grade"] == {
        "0": {"patches": 1, "recall": 1.0},
        "1": {"patches": 1, "recall": 0.0},
        "2": {"patches": 0, "recall": None},
        "3": {"patches": 0, "recall": None},
        "4": {"patches": 1, "recall": 1.0},
    }
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_confusions_are_told_with_the_raters_in_the_rows(make_patches):
    document = said_by_brightness(make_patches([(1,), (1,), (3,)]), [2, 2, 3]).to_json()
    assert document["confusion"]["grades"] == list(GRADES)
    rows = document["confusion"]["rows_raters_columns_model"]
    assert rows[1] == [0, 0, 2, 0, 0]
    assert rows[3] == [0, 0, 0, 1, 0]
    assert document["oracle"] is None


def test_a_data_set_that_lacks_the_highest_grades_is_measured_on_the_models_scale(make_patches):
    document = said_by_brightness(make_patches([(0,), (1,)], grades=2), [0, 4]).to_json()
    assert document["mad"]["value"] == pytest.approx(1.5)
    assert document["mad_normalised"]["value"] == pytest.approx(1.5 / 4)


def test_each_rater_is_compared_with_the_median_of_the_others(make_patches):
    found = rater_agreement(make_patches([(0, 0, 2), (1, 3, 4), (2,)]))
    # r0: others (0, 2) and (3, 4), ties down; r1: (0, 2) and (1, 4); r2: (0, 0) and (1, 3)
    assert found == {
        "r0": {"patches": 2, "accuracy": 0.5, "mad": 1.0},
        "r1": {"patches": 2, "accuracy": 0.5, "mad": 1.0},
        "r2": {"patches": 2, "accuracy": 0.0, "mad": 2.5},
    }
    assert rater_agreement(make_patches([(0,), (1,)])) == {}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder, patches=10, frames=0, seed=1)
    return folder


def test_on_a_phantom_the_oracle_knows_the_severity_of_the_patches_left(phantom):
    data = read_scored_patches(phantom, patch_px=128, model_um_per_px=0.5).select([7, 2, 5])
    severity = read_severity(phantom, data)
    assert severity is not None
    truth = [line.split(",") for line in (phantom / "truth.csv").read_text().splitlines()[1:]]
    np.testing.assert_allclose(severity, [float(truth[row][1]) for row in (7, 2, 5)])
    found = said_by_brightness(data, [0, 1, 2], severity=severity)
    assert found.synthetic
    assert found.oracle == pytest.approx(oracle_accuracy(severity))


def test_without_a_phantoms_truth_there_is_no_oracle(phantom, tmp_path):
    data = read_scored_patches(phantom, patch_px=128, model_um_per_px=0.5)
    assert read_severity(phantom, dataclasses.replace(data, synthetic=False)) is None
    assert read_severity(tmp_path, data) is None
    (tmp_path / "truth.csv").write_text("path,severity\npatches/p00000.png,high\n")
    with pytest.raises(DataError, match=r"truth\.csv: not the truth of these patches; seen: .*high"):
        read_severity(tmp_path, data)
    (tmp_path / "truth.csv").write_text("path,severity\npatches/p00000.png,0.5\n")
    with pytest.raises(DataError, match=r"seen: KeyError.*p00001.*next: draw the phantom again"):
        read_severity(tmp_path, data)
