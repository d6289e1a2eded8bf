"""No engine that is wrong gets as far as the clock, whatever it does well."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from fake_engines import NAME, Cheat, constant, constant_beside, constant_on_frames, register

from benchmarks.engine_bench import measure, proof
from benchmarks.engine_bench.choice import choose
from benchmarks.engine_bench.footprint import Footprint
from benchmarks.engine_bench.frames import Frames
from benchmarks.engine_bench.measure import measure_engines, prove_engines
from benchmarks.engine_bench.proof import MOST_GATE_FRAMES, gate_set
from benchmarks.engine_bench.report import EngineReport
from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.engines import DeployedEngine, EngineOutput
from runtime.engines.registry import MODEL_FILES, open_unproven
from runtime.errors import BundleError, CheckFailed, EngineMissing
from runtime.model import Model

FP32, INT8 = "onnxruntime-fp32", "onnxruntime-int8"


@pytest.fixture
def frames(tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> Frames:
    save_image(tmp_path / "a.png", skin)
    return Frames("here", (tmp_path / "a.png",), ((400, 400),), 0.5)


def measured(
    frames: Frames, scratch: Path, *names: str, bundle: Bundle | None = None, footprint_s: float = 0.0
) -> dict[str, EngineReport]:
    bundle = bundle or open_bundle(DEFAULT_BUNDLE)
    proofs = prove_engines(bundle, names, (), threads=1, say=pytest.fail)
    reports = measure_engines(
        bundle, proofs, frames, scratch, count=2, threads=1, footprint_s=footprint_s, progress=lambda *_: None
    )
    assert [found.engine for found in reports] == list(names)
    return {found.engine: found for found in reports}


def test_right_engines_are_proven_judged_and_timed(frames: Frames, tmp_path: Path) -> None:
    found = measured(frames, tmp_path / "out", FP32, INT8)
    for name, precision in ((FP32, "fp32"), (INT8, "int8")):
        report = found[name]
        assert (report.precision, report.available, report.keeps_grades) == (precision, True, True)
        assert report.golden is not None
        assert report.golden.difference is not None
        assert report.golden.tolerance is not None
        assert 0 <= report.golden.difference <= report.golden.tolerance
        assert report.golden.unfamiliarity_difference is not None
        assert report.judgement is not None
        assert report.judgement.verdict is not None
        assert report.judgement.verdict.patches.cells == len(open_bundle(DEFAULT_BUNDLE).gate_patches().patches)
        assert report.judgement.verdict.frames is not None
        assert 0 < report.judgement.verdict.frames.cells <= 18 * 18
        assert report.timing is not None
        assert report.runs_on is not None
        assert set(report.runs_on) == {"onnxruntime"}
        share = report.judgement.verdict.int8_share
        assert share is None if precision == "fp32" else share > 0.8


def nan(images: npt.NDArray[np.uint8]) -> EngineOutput:
    output = constant(images)
    return EngineOutput(output.probabilities * np.float32(np.nan), output.unfamiliarity)


def fails(images: npt.NDArray[np.uint8]) -> EngineOutput | None:
    if images.shape[-1] > 300:
        raise MemoryError("no kernel for this size")
    return None


@pytest.mark.parametrize(
    ("cheat", "said"),
    [
        (lambda _bundle: constant, "does not reproduce the golden frames"),
        (lambda _bundle: nan, "does not reproduce the golden frames"),
        (constant_beside, "patches: 0."),
        (lambda _bundle: constant_on_frames, "frames: 0."),
        (lambda _bundle: fails, "the gate cannot be run: no kernel for this size"),
    ],
    ids=["constant", "NaN", "right on golden frames alone", "wrong on frames alone", "fails on frames"],
)
def test_a_wrong_but_fast_engine_is_not_timed_and_never_chosen(
    cheat: Callable[[Bundle], Cheat], said: str, frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, cheat(open_bundle(DEFAULT_BUNDLE)))
    found = measured(frames, tmp_path / "out", NAME, FP32)
    fake = found[NAME]
    assert any(said in miss for miss in fake.misses())
    assert not fake.keeps_grades
    assert fake.timing is None
    chosen = choose(list(found.values()), 1e6).engine
    assert chosen is not None
    assert chosen.engine == FP32
    assert choose([fake], 1e6).engine is None


def test_engine_that_is_right_until_it_is_timed_is_not_chosen(
    frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = 0

    def tiring(images: npt.NDArray[np.uint8]) -> EngineOutput | None:
        nonlocal runs
        runs += images.shape[-1] == 400
        # once for the gate, once to see what it makes of the frame
        return constant(images) if runs > 2 else None

    register(monkeypatch, tiring)
    found = measured(frames, tmp_path / "out", NAME, FP32)[NAME]
    assert found.timing is not None
    assert found.misses() == ("the same frame scored twice got two scores",)
    assert choose([found], 1e6).engine is None


def test_fast_and_right_is_chosen(frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the gate must not fail what is right: it answers with what the real engine gave before
    answers: dict[bytes, EngineOutput] = {}
    real = Model.load(open_bundle(DEFAULT_BUNDLE), INT8, threads=1).engine

    def remembered(images: npt.NDArray[np.uint8]) -> EngineOutput:
        key = images.tobytes()
        if key not in answers:
            answers[key] = real.run(images)
        return answers[key]

    register(monkeypatch, remembered)
    found = measured(frames, tmp_path / "out", FP32, NAME)
    chosen = choose(list(found.values()), 1e6).engine
    assert chosen is not None
    assert chosen.engine == NAME


def test_without_a_reference_nothing_is_judged(
    frames: Frames, tmp_path: Path, bundle_with: Callable[..., Bundle], strict_golden: dict[str, Any]
) -> None:
    tolerance = strict_golden["tolerance"] | {"model.int8.onnx": 0.05}
    bundle = bundle_with(golden=strict_golden | {"tolerance": tolerance})
    found = measured(frames, tmp_path / "out", INT8, bundle=bundle)[INT8]
    assert found.golden is not None
    assert found.golden.passed
    (miss,) = found.misses()
    assert miss.startswith(f"not judged, for there is no reference to hold it against: {FP32} does not reproduce")
    assert not found.keeps_grades
    assert found.timing is None


def test_missing_engines_are_told_and_the_others_go_on(
    frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = EngineMissing("no such package", next_step="pip install it")

    def absent(_images: npt.NDArray[np.uint8]) -> EngineOutput:
        raise AssertionError

    register(monkeypatch, absent)
    monkeypatch.setattr(proof, "open_unproven", _open_but(NAME, missing))
    found = measured(frames, tmp_path / "out", NAME, FP32)
    assert (found[NAME].available, found[NAME].golden) == (False, None)
    assert found[NAME].missing == "no such package; next: pip install it"
    assert found[FP32].timing is not None
    with pytest.raises(EngineMissing, match="no such package"):
        prove_engines(open_bundle(DEFAULT_BUNDLE), [FP32, NAME], [NAME], threads=1, say=pytest.fail)


def _open_but(name: str, error: Exception) -> Callable[..., DeployedEngine]:
    def fail(bundle: Bundle, engine: str, **options: Any) -> DeployedEngine:
        if engine == name:
            raise error
        return open_unproven(bundle, engine, **options)

    return fail


def test_engine_whose_file_the_bundle_lacks_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODEL_FILES, NAME, "model.lost.onnx")
    (found,) = prove_engines(open_bundle(DEFAULT_BUNDLE), [NAME], (), threads=1, say=pytest.fail)
    assert "holds no model.lost.onnx" in str(found.missing)
    with pytest.raises(BundleError, match=r"model\.lost\.onnx"):
        prove_engines(open_bundle(DEFAULT_BUNDLE), [NAME], [NAME], threads=1, say=pytest.fail)


def test_footprint_is_taken_of_those_that_are_right(
    frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float]] = []

    def footprint(_bundle: Bundle, engine: str, _frames: Frames, *, threads: int, seconds: float) -> Footprint:
        assert threads == 1
        asked.append((engine, seconds))
        if engine == INT8:
            raise CheckFailed("it died", seen="signal 9")
        return Footprint(100.0, 0.5, 0.25, 9.0)

    register(monkeypatch, constant)
    monkeypatch.setattr(measure, "measure_footprint", footprint)
    found = measured(frames, tmp_path / "out", NAME, FP32, INT8, footprint_s=0.5)
    assert asked == [(FP32, 0.5), (INT8, 0.5)]
    assert found[FP32].footprint == Footprint(100.0, 0.5, 0.25, 9.0)
    # what it takes is worth knowing, and no reason against it
    assert found[INT8].footprint_fault == "it died; seen: signal 9"
    assert found[INT8].passed(1e6)


@pytest.fixture
def _few_cells_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """No mosaics are added."""
    monkeypatch.setattr("runtime.gate_set.LEAST_CELLS", 1)


@pytest.mark.usefixtures("_few_cells_are_enough")
def test_frames_for_the_gate_are_few_and_from_all_over(
    tmp_path: Path, model: Model, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    paths = tuple(tmp_path / f"{number:02}.png" for number in range(21))
    for number, path in enumerate(paths):
        save_image(path, skin[:144, : 150 + number])
    gate = gate_set(model, Frames("", paths, (), 0.5), 20)
    widths = [frame.shape[1] - 150 for frame in gate.frames]
    assert len(widths) == MOST_GATE_FRAMES
    assert (widths[0], widths[-1]) == (0, 19)
    assert widths == sorted(set(widths))


@pytest.mark.usefixtures("_few_cells_are_enough")
def test_frames_that_nothing_is_computed_for_are_no_part_of_the_gate(
    tmp_path: Path, model: Model, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "small.png", skin[:100, :100])
    save_image(tmp_path / "skin.png", skin[:144, :150])
    paths = (tmp_path / "small.png", tmp_path / "skin.png")
    assert [frame.shape for frame in gate_set(model, Frames("", paths, (), 0.5), 2).frames] == [(144, 150)]
    # nobody tells their scale
    assert gate_set(model, Frames("", paths, (), None), 2).mosaics
    # at the model's scale: twice as wide
    assert gate_set(model, Frames("", paths[1:], (), 1.0), 1).frames[0].shape == (288, 300)
