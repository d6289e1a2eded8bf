"""Each file is judged once by what nothing was chosen by, and one that misses is left out."""

import numpy as np
import pytest
from msgspec.structs import replace

from export.models import Models, make_models
from export.run_files import read_run
from export.run_images import read_part
from runtime.gate import GateFigures, Strangers, Verdict

FILES = ["model.fp32.onnx", "model.fp16.trt.onnx", "model.int8.onnx", "model.int8.trt.onnx"]
KEPT = GateFigures(100, 1.0, 0.0, 0.001, 1.0, 0.0, 0.0)


class Judge:
    """A gate that objects to some files, whatever they do."""

    def __init__(self, *objects_to: str) -> None:
        self._objects_to = objects_to
        self.judged: list[str] = []

    def judge(self, engine) -> Verdict:
        self.judged.append(engine.name)
        figures = replace(KEPT, unchanged=0.5) if engine.name in self._objects_to else KEPT
        return Verdict(figures, figures, Strangers(9, 0), engine.int8_share())


@pytest.fixture
def calibration(finished) -> list[np.ndarray]:
    return [read_part(read_run(finished.folder), None, finished.geometry, "train", 40).patches[:, None]]


def made(graphs, calibration, choosing: Judge, judging: Judge) -> Models:
    return make_models(graphs[8], calibration, choosing, judging, threads=1, say=lambda _line: None)


def test_attempts_are_chosen_by_one_gate_and_files_judged_by_the_other(graphs, calibration):
    choosing, judging = Judge(), Judge()
    found = made(graphs, calibration, choosing, judging)
    assert choosing.judged == FILES[2:]
    assert judging.judged == FILES
    assert [file.name for file in found.files] == FILES
    assert found.missed == {}
    assert found.files[2].made["calibrator"] == "percentile"
    assert found.files[0].made == {}


def test_a_file_that_was_chosen_and_misses_in_the_end_is_left_out_and_nothing_else_is_tried(graphs, calibration):
    choosing, judging = Judge(), Judge("model.int8.onnx")
    found = made(graphs, calibration, choosing, judging)
    assert choosing.judged == FILES[2:]
    assert [file.name for file in found.files] == [FILES[0], FILES[1], FILES[3]]
    missed = found.missed["model.int8.onnx"]
    assert missed.verdict.patches.unchanged == 0.5
    assert missed.chosen
    assert missed.made["calibrator"] == "percentile"


def test_a_file_that_nothing_was_chosen_for_is_not_judged_and_told_with_its_last_attempt(graphs, calibration):
    choosing, judging = Judge("model.int8.trt.onnx"), Judge()
    found = made(graphs, calibration, choosing, judging)
    assert judging.judged == FILES[:3]
    missed = found.missed["model.int8.trt.onnx"]
    assert not missed.verdict.passed
    assert not missed.chosen
    assert [attempt["calibrator"] for attempt in missed.made["tried"]] == ["percentile", "minmax"]
    assert missed.made["calibrator"] == "entropy"


def test_the_float_file_is_judged_too(graphs, calibration):
    found = made(graphs, calibration, Judge(), Judge("model.fp32.onnx"))
    assert list(found.missed) == ["model.fp32.onnx"]
