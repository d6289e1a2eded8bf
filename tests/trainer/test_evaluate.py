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
from trainer.evaluate import (
    Evaluation,
    evaluate,
    evaluate_network,
    read_severity,
    unseen,
)
from trainer.parts import Part
from trainer.phantom import oracle_agreement, write_phantom
from trainer.predict import predict
from trainer.split_record import seen_in_training
from trainer.subject_agreement import SubjectAgreement, by_subject
from trainer.torch_engine import TorchEngine

GRADES = ("0", "1", "2", "3", "4")


class Brightness:
    """An engine that takes each patch's mean grey level for its grade, and remembers what it was given."""

    name, precision = "brightness", "fp32"

    def __init__(self, patch_px: int = 4, stride_px: int = 4) -> None:
        self.seen: list[npt.NDArray[np.uint8]] = []
        self.patch_px, self.stride_px = patch_px, stride_px

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        self.seen.append(images)
        side, step = self.patch_px, self.stride_px
        cells = np.lib.stride_tricks.sliding_window_view(images[0, 0], (side, side))[::step, ::step]
        grades = cells.mean(axis=(2, 3)).round().astype(int)
        probabilities = np.where(np.arange(5)[:, None, None] == grades, 0.8, 0.05).astype(np.float32)
        return EngineOutput(probabilities[None], np.zeros((1, *grades.shape), np.float32))


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


def test_a_trained_network_agrees_on_patches_it_never_saw(trained):
    held_out = unseen(trained.data, seen_in_training(trained.run).sha256, trained.folder)
    found = evaluate_network(trained.network, held_out, severity=None, progress=lambda *_step: None)
    assert found.patches == trained.parts.count("test") == 50
    assert found.figures["accuracy"].value > 0.9
    assert found.figures["qwk"].value > 0.9
    assert found.confusion.sum() == 50
    assert found.subjects == 12


def test_an_image_of_patch_size_is_scored_as_it_is(make_patches):
    noise = np.random.default_rng(0).integers(0, 5, (4, 4), np.uint8)
    data = dataclasses.replace(make_patches([(0,), (1,)]), pixels=(noise, np.ones((4, 4), np.uint8)))
    engine, told = Brightness(), []
    found = evaluate(data, engine, Geometry(4, 4, 0.5), GRADES, severity=None, progress=lambda *step: told.append(step))
    np.testing.assert_array_equal(engine.seen[0], noise[None, None])
    assert found.probabilities.dtype == np.float32
    np.testing.assert_array_equal(found.probabilities[1], np.float32([0.05, 0.8, 0.05, 0.05, 0.05]))
    assert told == [("scoring patches", 1, 2), ("scoring patches", 2, 2)]


def test_a_larger_image_gets_the_mean_of_its_patches_logits_as_its_experts_saw_all_of_it(make_patches):
    halves = np.zeros((4, 8), np.uint8)
    halves[:, 4:] = 3
    sizes = dataclasses.replace(make_patches([(3,), (0,)]), pixels=(halves, np.zeros((2100, 9), np.uint8)))
    found = evaluate(sizes, Brightness(), Geometry(4, 4, 0.5), GRADES, severity=None, progress=lambda *_step: None)
    # patches at columns 0, 2 and 4, of grades 0, 2 and 3: each lifts the logarithm of its own grade by a third
    lifted = np.array([1, 0, 1, 1, 0]) * np.log(0.8 / 0.05) / 3
    wanted = np.exp(lifted) / np.exp(lifted).sum()
    np.testing.assert_allclose(found.probabilities[0], wanted, atol=1e-6)
    np.testing.assert_allclose(found.probabilities[1], [0.8, 0.05, 0.05, 0.05, 0.05], atol=1e-6)


def test_a_trained_network_is_evaluated_as_its_epoch_was_chosen(trained, tiny):
    data = trained.data.select([0, 1])
    photograph = np.random.default_rng(1).integers(0, 256, (201, 333), np.uint8)
    data = dataclasses.replace(data, pixels=(photograph, data.pixels[1][:32, :32]))
    found = evaluate_network(trained.network, data, severity=None, progress=lambda *_step: None)
    logits = predict(trained.network, Part.of(data, ["val", "val"], "val"), tiny.patch_px)
    wanted = torch.softmax(logits / trained.network.temperature, 1)
    np.testing.assert_allclose(found.probabilities, wanted.numpy(), atol=1e-6)


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
    assert document["ordered"] is True
    oracle = document["oracle"]
    assert set(oracle) == {"accuracy", "mad", "mad_normalised", "qwk", "accuracy_of_oracle"}
    assert 0 < oracle["accuracy"] < 1
    assert oracle["accuracy_of_oracle"]["value"] == pytest.approx(2 / 3 / oracle["accuracy"], abs=1e-5)
    assert set(document["raters"]) == {"r0", "r1"}
    assert document["raters"]["r0"]["patches"] == 3
    assert document["raters"]["r0"]["accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert document["raters"]["r0"]["mad"] == pytest.approx(1 / 3, abs=1e-6)
    assert document["experts"]["icc_patches"] == 3
    assert document["per_grade"] == {
        "0": {"patches": 1, "recall": 1.0, "ci95": [0.0, 1.0]},
        "1": {"patches": 1, "recall": 0.0, "ci95": [0.0, 1.0]},
        "2": {"patches": 0, "recall": None, "ci95": None},
        "3": {"patches": 0, "recall": None, "ci95": None},
        "4": {"patches": 1, "recall": 1.0, "ci95": [0.0, 1.0]},
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


def test_without_a_second_rater_there_are_no_experts(make_patches):
    found = said_by_brightness(make_patches([(0,), (1,)]), [0, 1])
    assert found.experts is None
    document = found.to_json()
    assert document["experts"] is None
    assert document["raters"] == {}


def test_the_model_that_the_experts_are_compared_with_is_this_one(make_patches):
    found = said_by_brightness(make_patches([(0, 1), (2, 2), (4, 3)]), [0, 2, 4])
    assert found.experts is not None
    accuracy = found.experts.raters["r0"].model.accuracy
    assert accuracy is not None
    assert accuracy.value == 1
    # three patches say little
    assert accuracy.low < 0.2
    assert found.experts.raters["r1"].model.accuracy is not None
    assert found.experts.raters["r1"].model.accuracy.value == pytest.approx(1 / 3)


def test_subjects_are_told_one_by_one(make_patches):
    data = make_patches([(0,), (1,), (4,), (2,)], subjects=["b", "b", "a", "b"])
    found = by_subject(said_by_brightness(data, [0, 3, 3, 1]))
    assert found == (
        SubjectAgreement("a", 1, accuracy=0.0, mad=1.0, signed_error=-1.0),
        SubjectAgreement("b", 3, accuracy=pytest.approx(1 / 3), mad=1.0, signed_error=pytest.approx(1 / 3)),
    )


def test_classes_without_an_order_are_judged_by_the_raters_majority(make_patches):
    scores = [(0, 2, 4), (4, 0, 4), (1, 1, 0)]
    found = said_by_brightness(make_patches(scores, subjects=["a", "a", "b"], ordered=False), [0, 4, 1])
    assert not found.ordered
    assert found.consensus == "majority"
    assert found.figures["accuracy"] is not None
    assert found.figures["accuracy"].value == 1
    assert np.diag(found.confusion).tolist() == [1, 1, 0, 0, 1]
    assert by_subject(found) == (
        SubjectAgreement("a", 2, accuracy=1.0, mad=None, signed_error=None),
        SubjectAgreement("b", 1, accuracy=1.0, mad=None, signed_error=None),
    )
    steps = said_by_brightness(make_patches(scores), [0, 4, 1])
    assert steps.consensus == "median"
    assert steps.figures["accuracy"] is not None
    assert steps.figures["accuracy"].value == pytest.approx(2 / 3)


@pytest.mark.parametrize("ordered", [True, False])
def test_without_an_order_no_verdict_rests_on_weighted_kappas(make_patches, ordered):
    scores = [(number % 3, (number + number // 8) % 3) for number in range(24)]
    data = make_patches(scores, subjects=[f"s{number % 6}" for number in range(24)], ordered=ordered)
    verdict = said_by_brightness(data, [number % 3 for number in range(24)]).verdict()
    assert (verdict is not None) is ordered


def test_the_evaluation_keeps_what_a_report_draws(make_patches):
    data = make_patches([(0, 1), (2, 2)], subjects=["a", "b"])
    found = said_by_brightness(data, [0, 2])
    assert found.data.patches == data.patches
    assert found.probabilities.shape == (2, 5)
    assert list(found.recall) == list(GRADES)
    assert found.recall["1"] is None
    assert (found.patches, found.subjects) == (2, 2)


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
    assert found.oracle == pytest.approx(oracle_agreement(severity))
    classes = dataclasses.replace(
        data, patches=tuple(dataclasses.replace(patch, ordered=False) for patch in data.patches)
    )
    by_majority = said_by_brightness(classes, classes.consensus_grades().tolist(), severity=severity)
    assert by_majority.oracle == pytest.approx(oracle_agreement(severity, ordered=False))
    assert by_majority.oracle is not None
    assert by_majority.oracle != found.oracle
    assert by_majority.accuracy_of_oracle is not None
    assert by_majority.accuracy_of_oracle.value == pytest.approx(1 / by_majority.oracle["accuracy"])


def test_the_share_of_the_oracle_is_of_both_on_the_same_patches(make_patches):
    # hard patches in one half of the subjects: the model is wrong there, and the oracle in near to half of them
    severity = np.array([0.0, 1.45] * 40)
    levels = [0, 2] * 40
    data = make_patches([(0,), (1,)] * 40, subjects=[f"s{number % 20}" for number in range(80)])
    found = said_by_brightness(data, levels, severity=severity)
    assert found.accuracy_of_oracle is not None
    assert found.oracle is not None
    ratio = found.accuracy_of_oracle
    assert ratio.value == pytest.approx(0.5 / found.oracle["accuracy"])
    accuracy = found.figures["accuracy"]
    assert accuracy is not None
    # the oracle's accuracy moves with the model's, so the share is known better than the model's accuracy
    assert ratio.high / ratio.low < 0.85 * accuracy.high / accuracy.low
    assert said_by_brightness(data, levels).accuracy_of_oracle is None


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
