"""Engines of a new bundle where it is exported: those that are here are judged, those that are not are named."""

import pytest
from msgspec.structs import replace

from export import engines
from export.engines import judge_engines
from export.run_files import read_run
from export.run_images import read_part
from runtime.engines.registry import ENGINE_NAMES, open_engine
from runtime.errors import BundleError, CheckFailed, EngineMissing
from runtime.gate import Cells, Verdict
from runtime.gate_set import GateSet
from runtime.quality import QualityLimits


@pytest.fixture
def gate(bundle, finished) -> GateSet:
    patches = bundle.gate_patches()
    return GateSet.of(
        patches.patches,
        patches.medians,
        Cells(patches.probabilities, patches.unfamiliarity),
        read_part(read_run(finished.folder), None, finished.geometry, "test", 400).frames,
        open_engine(bundle, threads=1),
        bundle.geometry,
        QualityLimits(),
        ordered=True,
    )


def test_those_that_load_here_are_judged_with_their_own_kernels(bundle, gate):
    said: list[str] = []
    found = judge_engines(bundle, ["onnxruntime-fp32", "onnxruntime-int8"], gate, threads=1, say=said.append)
    assert list(found) == ["onnxruntime-fp32", "onnxruntime-int8"]
    assert found["onnxruntime-fp32"].verdict.patches.unchanged == 1
    assert found["onnxruntime-fp32"].verdict.int8_share is None
    assert found["onnxruntime-int8"].verdict.int8_share >= 0.8
    assert found["onnxruntime-int8"].runs_on.keys() == {"onnxruntime"}
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


@pytest.mark.parametrize(
    "failure",
    [CheckFailed("does not reproduce"), BundleError("cannot be loaded"), RuntimeError("out of\nmemory")],
    ids=repr,
)
def test_one_that_is_wrong_on_this_machine_is_told_and_the_file_kept(bundle, gate, monkeypatch, failure):
    replaced(monkeypatch, {"onnxruntime-int8": failure})
    said: list[str] = []
    found = judge_engines(bundle, ENGINE_NAMES[:2], gate, threads=1, say=said.append)
    assert list(found) == ["onnxruntime-fp32"]
    assert said == [f"onnxruntime-int8: not to be used on this machine: {' '.join(str(failure).splitlines())}"]


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("onnxruntime-fp32", CheckFailed("does not reproduce")),
        ("tensorrt-int8", CheckFailed("does not reproduce")),
        # a GPU that the library knows nothing of is found out as late as here
        ("tensorrt-int8", EngineMissing("has no code for this GPU")),
    ],
)
def test_the_reference_and_what_was_asked_for_have_to_be_right(bundle, gate, monkeypatch, name, failure):
    replaced(monkeypatch, {name: failure})
    with pytest.raises(type(failure), match=str(failure)):
        judge_engines(bundle, [name], gate, threads=1, say=lambda _line: None)


def unfit(monkeypatch) -> None:
    """Every engine gives other grades on patches."""
    judge = GateSet.judge

    def judging(self, engine) -> Verdict:
        verdict = judge(self, engine)
        return replace(verdict, patches=replace(verdict.patches, unchanged=0.5))

    monkeypatch.setattr(GateSet, "judge", judging)


def test_an_engine_that_misses_the_gate_is_told_and_stands_in_the_table(bundle, gate, monkeypatch):
    unfit(monkeypatch)
    said: list[str] = []
    found = judge_engines(bundle, ["onnxruntime-int8"], gate, threads=1, say=said.append)
    assert not found["onnxruntime-int8"].verdict.passed
    assert said == [
        "onnxruntime-int8: not to be used on this machine: onnxruntime-int8 does not keep the grades on this machine; "
        "seen: patches: 0.5000 of the grades unchanged, wanted 0.98"
    ]
    with pytest.raises(CheckFailed, match="onnxruntime-fp32 does not keep the grades on this machine"):
        judge_engines(bundle, ["onnxruntime-fp32"], gate, threads=1, say=said.append)


def test_tensorrt_is_missed_in_one_line_where_there_is_no_gpu(monkeypatch):
    from runtime.engines.tensorrt import probe

    def nothing() -> None:
        raise EngineMissing("there is no NVIDIA driver")

    monkeypatch.setattr(probe, "probe_gpu", nothing)
    with pytest.raises(EngineMissing, match="there is no NVIDIA driver"):
        engines.require_tensorrt()
