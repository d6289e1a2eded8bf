"""The search gives way step by step, and only as far as it must."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from export.graph import feature_convolutions
from export.int8_search import Int8Search
from export.quantize import CALIBRATORS, PROCESSOR, TENSORRT
from export.run_files import read_run
from export.run_images import read_part
from runtime.bundle import DEFAULT_BUNDLE
from runtime.bundle_files import FP32_MODEL
from runtime.gate import GateFigures, Strangers, Verdict


def figures(shift: float) -> GateFigures:
    return GateFigures(100, 1.0, 0.0, shift, 1.0, 0.0, 0.0)


class Judge:
    """A gate whose verdict is made of the layers that it finds quantised, and the number of the attempt."""

    def __init__(self, shift: Callable[[frozenset[str], int], float]) -> None:
        self._shift = shift
        self.seen: list[frozenset[str]] = []

    def judge(self, engine) -> Verdict:
        model = onnx.load_from_string(engine._model)
        dequantised = {
            output for node in model.graph.node if node.op_type == "DequantizeLinear" for output in node.output
        }
        inside = frozenset(
            node.name for node in model.graph.node if node.op_type == "Conv" and set(node.input[:2]) <= dequantised
        )
        self.seen.append(inside)
        shift = figures(self._shift(inside, len(self.seen)))
        return Verdict(shift, shift, Strangers(9, 0), None)


@pytest.fixture
def search(finished, graphs) -> Callable[[Judge], tuple[Int8Search, list[str]]]:
    patches = read_part(read_run(finished.folder), None, finished.geometry, "train", 40).patches[:, None]

    def make(judge: Judge, graph: bytes = graphs[8]) -> tuple[Int8Search, list[str]]:
        said: list[str] = []
        # the shipped network sees sixteen times as much at once
        images = patches if graph == graphs[8] else np.kron(patches, np.ones((1, 1, 4, 4), np.uint8))
        return Int8Search(graph, [images], judge, threads=1, say=said.append), said

    return make


def test_the_first_calibrator_that_keeps_the_grades_is_taken(search):
    judge = Judge(lambda _layers, _attempt: 0.001)
    found, said = search(judge)
    outcome = found.find(PROCESSOR)
    assert outcome.model is not None
    assert outcome.file == "model.int8.onnx"
    assert [attempt.calibrator for attempt in outcome.attempts] == ["percentile"]
    assert outcome.attempts[0].in_float == ()
    assert outcome.sensitivity == {}
    assert said == []


def test_the_other_calibrators_are_tried_before_any_layer_is_given_up(search):
    judge = Judge(lambda _layers, attempt: 0.001 if attempt == 3 else 0.5)
    found, said = search(judge)
    outcome = found.find(PROCESSOR)
    assert [attempt.calibrator for attempt in outcome.attempts] == list(CALIBRATORS)
    assert outcome.sensitivity == {}
    assert [line.split(": missed: ")[0] for line in said] == ["model.int8.onnx: percentile", "model.int8.onnx: minmax"]


@pytest.fixture
def default_graph() -> bytes:
    """The shipped network, of which a layer may stay in float."""
    return (DEFAULT_BUNDLE / FP32_MODEL).read_bytes()


def test_then_the_most_sensitive_layer_stays_in_float_by_the_nearest_calibrator(search, default_graph):
    layers = feature_convolutions(onnx.load_from_string(default_graph))

    def shift(inside: frozenset[str], attempt: int) -> float:
        if len(inside) == 1:
            return 0.3 if inside == {layers[4]} else 0.01
        if attempt <= 3:
            # the second is the nearest
            return {1: 0.5, 2: 0.2, 3: 0.4}[attempt]
        return 0.001 if layers[4] not in inside else 0.2

    judge = Judge(shift)
    found, said = search(judge, default_graph)
    outcome = found.find(TENSORRT)
    assert judge.seen[-1] == set(layers) - {layers[4]}
    assert outcome.model is not None
    assert outcome.attempts[-1].calibrator == "minmax"
    assert outcome.attempts[-1].in_float == (layers[4],)
    assert set(outcome.sensitivity) == set(layers)
    table = [line.split()[0] for line in said if line.endswith("of the multiply-accumulates")]
    assert table[0] == layers[4]
    assert set(table) == set(layers)


def test_what_is_in_float_for_speed_makes_room_and_nothing_is_tried_twice(search, default_graph):
    layers = feature_convolutions(onnx.load_from_string(default_graph))
    # the fifth is the most sensitive, then the first, which the recipe leaves in float at once
    alone = {frozenset({layer}): 0.01 for layer in layers} | {frozenset({layers[4]}): 0.3, frozenset({layers[0]}): 0.2}
    judge = Judge(lambda inside, _attempt: alone.get(inside, 0.5))
    found, said = search(judge, default_graph)
    outcome = found.find(PROCESSOR)
    assert outcome.model is None
    assert [attempt.in_float for attempt in outcome.attempts] == [
        *[(layers[0],)] * len(CALIBRATORS),
        (layers[4],),
        (layers[0], layers[4]),
    ]
    assert set(outcome.sensitivity) == set(layers)
    assert sum("cannot be kept in float too: less than 80% would be left" in line for line in said) == 3

    alone = dict.fromkeys(alone, 0.01) | {frozenset({layers[0]}): 0.3}
    judge = Judge(lambda inside, _attempt: alone.get(inside, 0.5))
    found, _said = search(judge, default_graph)
    tried = [attempt.in_float for attempt in found.find(PROCESSOR).attempts]
    assert tried[: len(CALIBRATORS)] == [(layers[0],)] * len(CALIBRATORS)
    assert (layers[0],) not in tried[len(CALIBRATORS) :]


def test_no_more_than_a_fifth_of_the_work_is_given_up_and_then_there_is_no_file(search, default_graph):
    judge = Judge(lambda inside, _attempt: 0.5 + 0.01 * len(inside))
    found, _said = search(judge, default_graph)
    outcome = found.find(TENSORRT)
    assert outcome.model is None
    layers = feature_convolutions(onnx.load_from_string(default_graph))
    assert layers[1] not in outcome.attempts[-1].in_float
    assert 1 <= len(outcome.attempts[-1].in_float) <= 2
    assert not outcome.attempts[-1].verdict.passed


def test_one_calibration_serves_both_recipes(search, monkeypatch):
    from export import int8_search

    calls: list[str] = []
    calibrate = int8_search.calibrate

    def counting(model, images, calibrator):
        calls.append(calibrator)
        return calibrate(model, images, calibrator)

    monkeypatch.setattr(int8_search, "calibrate", counting)
    found, _said = search(Judge(lambda _layers, _attempt: 0.0))
    found.find(PROCESSOR)
    found.find(TENSORRT)
    assert calls == ["percentile"]
