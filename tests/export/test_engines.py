"""Engines of a new bundle where it is exported: those that are here are judged, those that are not are named."""

import numpy as np
import pytest

from export import engines
from export.engines import judge_engines
from runtime.engines.registry import ENGINE_NAMES
from runtime.errors import CheckFailed, EngineMissing
from runtime.gate import Cells, GateSet
from runtime.quality import QualityLimits


@pytest.fixture
def gate(bundle) -> GateSet:
    patches = bundle.gate_patches()
    return GateSet(
        patches.patches,
        patches.medians,
        Cells(patches.probabilities, patches.unfamiliarity),
        (),
        None,
        np.zeros(0, bool),
        bundle.geometry,
        QualityLimits().unfamiliar,
    )


def test_those_that_load_here_are_judged_with_their_own_kernels(bundle, gate):
    said: list[str] = []
    found = judge_engines(bundle, ["onnxruntime-fp32", "onnxruntime-int8"], gate, threads=1, say=said.append)
    assert list(found) == ["onnxruntime-fp32", "onnxruntime-int8"]
    assert found["onnxruntime-fp32"].patches.unchanged == 1
    assert found["onnxruntime-fp32"].int8_share is None
    assert found["onnxruntime-int8"].int8_share >= 0.8
    assert said == []


def replaced(monkeypatch, bad: dict[str, Exception]) -> None:
    open_engine = engines.open_engine

    def opening(bundle, name, **options):
        if name in bad:
            raise bad[name]
        return open_engine(bundle, name, **options)

    monkeypatch.setattr(engines, "open_engine", opening)


def test_those_that_are_not_installed_are_named_in_one_line(bundle, gate, monkeypatch):
    missing = EngineMissing("openvino is not installed", next_step="pip install 'inflamap[openvino]'")
    replaced(monkeypatch, dict.fromkeys(("openvino-fp32", "openvino-int8"), missing))
    said: list[str] = []
    found = judge_engines(bundle, ENGINE_NAMES[:4], gate, threads=1, say=said.append)
    assert list(found) == ["onnxruntime-fp32", "onnxruntime-int8"]
    assert said == [f"openvino-fp32, openvino-int8: not tried here: {missing}"]


def test_one_that_is_wrong_on_this_machine_is_told_and_the_file_kept(bundle, gate, monkeypatch):
    replaced(monkeypatch, {"onnxruntime-int8": CheckFailed("does not reproduce")})
    said: list[str] = []
    found = judge_engines(bundle, ENGINE_NAMES[:2], gate, threads=1, say=said.append)
    assert list(found) == ["onnxruntime-fp32"]
    assert said == ["onnxruntime-int8: not to be used on this machine: does not reproduce"]


@pytest.mark.parametrize("name", ["onnxruntime-fp32", "tensorrt-int8"])
def test_the_reference_and_what_was_asked_for_have_to_be_right(bundle, gate, monkeypatch, name):
    replaced(monkeypatch, {name: CheckFailed("does not reproduce")})
    with pytest.raises(CheckFailed, match="does not reproduce"):
        judge_engines(bundle, [name], gate, threads=1, say=lambda _line: None)


def test_tensorrt_is_missed_in_one_line_where_there_is_no_gpu(monkeypatch):
    from runtime.engines.tensorrt import probe

    def nothing() -> None:
        raise EngineMissing("there is no NVIDIA driver")

    monkeypatch.setattr(probe, "probe_gpu", nothing)
    with pytest.raises(EngineMissing, match="there is no NVIDIA driver"):
        engines.require_tensorrt()
