"""`inflamap bench` as an engineer meets it."""

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from fake_engines import NAME, constant, constant_beside, constant_on_frames, register, showing_everything_but_in
from onnx import numpy_helper

from benchmarks.commands.bench import bench
from benchmarks.engine_bench import frames as bench_frames
from benchmarks.engine_bench import measure
from benchmarks.engine_bench.footprint import Footprint
from runtime.acceptance import accepted_here
from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.engines.registry import ENGINE_NAMES
from runtime.errors import InflamapError
from runtime.version import NOTICE, __version__

FP32, INT8 = "onnxruntime-fp32", "onnxruntime-int8"
BOTH = f"{FP32},{INT8}"
KEYS = {
    *("bundle", "model", "gate_part", "machine", "frames", "results_in", "threads", "budget_ms", "engines"),
    *("times", "chosen", "why", "accepted", "passed", "version", "notice"),
}


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and the error's line, as `runtime.cli` would take them."""
    # so short a run says nothing of memory and cores
    fixed = ["--threads", "1", "--frames", "2", "--no-footprint"]
    try:
        bench.main([*fixed, *map(str, arguments)], standalone_mode=False)
    except InflamapError as error:
        return error.exit_code, str(error)
    return 0, ""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def images(tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> tuple[object, ...]:
    """Options that time one small image, with time enough."""
    save_image(tmp_path / "images" / "a.png", skin)
    return ("--images", tmp_path / "images", "--um-per-px", 0.5, "--budget-ms", 100_000)


@pytest.fixture
def spoilt(bundle_with: Callable[..., Bundle]) -> Path:
    """A bundle whose INT8 model has other weights, as if it had been exported so."""
    model = onnx.load_from_string((DEFAULT_BUNDLE / "model.int8.onnx").read_bytes())
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.dtype == np.int8 and weights.ndim == 4:
            shuffled = rng.permutation(weights.ravel()).reshape(weights.shape)
            tensor.CopyFrom(numpy_helper.from_array(shuffled, tensor.name))
    return bundle_with(contents={"model.int8.onnx": model.SerializeToString()}).folder


def document_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    document["by_name"] = {found["engine"]: found for found in document["engines"]}
    return document


def test_every_engine_on_synthetic_frames(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_frames, "SYNTHETIC_FRAMES", 1)
    assert run("--json", "--budget-ms", 100_000) == (0, "")
    document = document_of(capsys)
    assert set(document) - {"by_name"} == KEYS
    assert document["model"] == {"name": "phantom-texture", "synthetic": True}
    assert set(document["machine"]) == {"system", "processor", "architecture", "cpus", "python", "onnxruntime"}
    assert all(document["machine"].values())
    assert platform.node() not in json.dumps(document["machine"])
    assert document["frames"] == {
        "source": "synthetic",
        "count": 1,
        "sizes": [{"width": 1000, "height": 1000}],
        "left_out": 0,
        "timed": 2,
    }
    assert document["threads"] == 1
    assert (document["budget_ms"], document["passed"], document["accepted"]) == (100_000, True, False)
    assert (document["version"], document["notice"]) == (__version__, NOTICE)
    assert tuple(found["engine"] for found in document["engines"]) == ENGINE_NAMES
    for found in document["engines"]:
        if not found["available"]:
            assert not found["engine"].startswith("onnxruntime")
            assert "next: " in found["reason"]
            continue
        assert found["golden"]["difference"] <= found["golden"]["tolerance"]
        assert found["gate"]["patches"]["cells"] >= 100
        assert (found["withheld"], found["repeatable"], found["kept_budget"]) == (0, True, True)
        assert 0 < found["map_ms"]["p50"] <= found["map_ms"]["p95"] <= found["map_ms"]["p99"]
        assert found["map_ms"]["p50"] < found["frame_ms"]["p50"] <= found["frame_ms"]["p95"]
        assert found["frames_per_second"] == pytest.approx(1000 / found["frame_ms"]["p50"], abs=0.01)
        assert found["runs_on"]
    passing = [found for found in document["engines"] if found["passed"]]
    chosen = document["by_name"][document["chosen"]]
    assert chosen["frame_ms"]["p50"] == min(found["frame_ms"]["p50"] for found in passing)
    assert chosen["frames_per_second"] == max(found["frames_per_second"] for found in passing)
    assert list(temporary.iterdir()) == []


def test_a_person_reads_a_table(
    images: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images" / "broken.png").write_bytes(b"words")
    monkeypatch.setattr(measure, "measure_footprint", lambda *_, **__: Footprint(123.4, 0.56, 0.28, 9.0))
    assert run(*images, "--engines", BOTH, "--footprint") == (0, "")
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "broken.png" in captured.err
    lines = captured.out.splitlines()
    assert "trained on synthetic images" in lines[0]
    assert (
        f"frames   1 of the images in {tmp_path / 'images'}, 400x400 px; 2 timed an engine after 3 to warm up" in lines
    )
    rows = [line for line in lines if line.startswith("onnxruntime-")]
    assert len(rows) == 4
    assert sum(" kept " in row for row in rows) == 2
    assert sum(" 123 MB " in row and " 0.56 " in row for row in rows) == 2
    assert lines[-2].startswith("chosen: onnxruntime-")
    assert lines[-2].endswith(": fastest of 2 that keep the grades and 100000 ms")
    assert lines[-1] == "not stored: with --accept, `--engine auto` takes it on this machine"


def test_broken_budget_ends_with_1_after_the_results(
    images: tuple[object, ...], temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = run(*images, "--engines", FP32, "--budget-ms", 0.01, "--json", "--accept")
    document = document_of(capsys)
    p95 = document["by_name"][FP32]["frame_ms"]["p95"]
    assert code == 1
    assert line.startswith(
        f"no engine that keeps the grades keeps the budget of 0.01 ms for p95 of a frame: {FP32} {p95:.1f} ms; next: "
    )
    assert (document["passed"], document["chosen"], document["accepted"]) == (False, None, False)
    assert document["by_name"][FP32]["kept_budget"] is False
    assert list(temporary.iterdir()) == []


def test_budget_is_that_of_the_microscope_unless_told() -> None:
    (budget,) = (option for option in bench.params if option.name == "budget_ms")
    assert budget.default == pytest.approx(1000 / 9, abs=0.2)


def test_spoilt_int8_model_fails_and_is_not_chosen(
    images: tuple[object, ...], spoilt: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(spoilt, *images, "--engines", BOTH, "--json", "--accept") == (0, "")
    document = document_of(capsys)
    assert document["chosen"] == FP32
    failed = document["by_name"][INT8]
    assert (failed["available"], failed["passed"], failed["frame_ms"]) == (True, False, None)
    assert "does not reproduce the golden frames" in failed["reason"]
    # how wrong it is is told all the same
    assert failed["golden"]["difference"] > failed["golden"]["tolerance"]
    assert failed["gate"]["patches"]["unchanged"] < 0.9
    assert failed["gate"]["misses"]
    accepted = accepted_here(open_bundle(spoilt))
    assert accepted is not None
    assert accepted.engine == FP32


def test_spoilt_int8_model_alone_ends_with_1_and_nothing_is_stored(
    images: tuple[object, ...], spoilt: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = run(spoilt, *images, "--engines", INT8, "--accept")
    assert code == 1
    assert line.startswith(f"no engine keeps the grades on this machine: {INT8}; next: ")
    lines = capsys.readouterr().out.splitlines()
    assert any(row.split()[:2] == [INT8, "FAILED"] for row in lines)
    assert lines[-1] == f"chosen: none: no engine keeps the grades on this machine: {INT8}"
    assert not (spoilt / "accepted.json").exists()


@pytest.mark.parametrize(
    "kind", ["constant", "right on golden frames alone", "wrong on frames alone", "showing what is no skin"]
)
def test_wrong_but_fast_engine_is_never_chosen(
    kind: str, images: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cheats = {
        "constant": constant,
        "right on golden frames alone": constant_beside(open_bundle(DEFAULT_BUNDLE)),
        "wrong on frames alone": constant_on_frames,
        "showing what is no skin": showing_everything_but_in(open_bundle(DEFAULT_BUNDLE)),
    }
    register(monkeypatch, cheats[kind])
    assert run(*images, "--engines", f"{NAME},{FP32}", "--json") == (0, "")
    document = document_of(capsys)
    assert document["chosen"] == FP32
    assert document["by_name"][NAME]["passed"] is False
    assert run(*images, "--engines", NAME)[0] == 1


def test_changed_file_ends_it_whichever_engine_is_asked_for(
    images: tuple[object, ...], bundle_with: Callable[..., Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bundle_with().folder
    (folder / "model.int8.onnx").write_bytes(b"another")
    code, line = run(folder, *images, "--engines", FP32)
    assert code == 2
    assert "model.int8.onnx: not the file that was exported" in line
    assert capsys.readouterr().out == ""


def test_edited_manifest_ends_it(
    images: tuple[object, ...], bundle_with: Callable[..., Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundle_with().folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": "edited"}))
    code, line = run(path.parent, *images, "--engines", FP32)
    assert code == 2
    assert "bundle.json: changed after the export" in line
    assert capsys.readouterr().out == ""


def test_named_engine_that_is_missing_ends_with_2_before_anything_is_measured(
    images: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # what an import of a package that is not installed does
    monkeypatch.setitem(sys.modules, "openvino", None)
    code, line = run(*images, "--engines", f"{FP32},openvino-int8")
    assert code == 2
    assert "pip install 'inflamap[openvino]'" in line
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("engines", ["all", "auto", f"auto,{FP32}"])
def test_missing_engines_do_not_fail_a_bench_of_all(
    engines: str, images: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("openvino", "tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run(*images, "--engines", engines, "--json") == (0, "")
    document = document_of(capsys)
    assert tuple(found["engine"] for found in document["engines"]) == ENGINE_NAMES
    assert [name for name, found in document["by_name"].items() if found["available"]] == [FP32, INT8]
    assert "pip install 'inflamap[openvino]'" in document["by_name"]["openvino-fp32"]["reason"]
    assert run(*images, "--engines", engines)[0] == 0
    out = capsys.readouterr().out
    assert "openvino-fp32 and openvino-int8: not here: OpenVINO is not installed here" in out


def test_engine_named_twice_is_looked_at_once(images: tuple[object, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*images, "--json", "--engines", f" {FP32}, {FP32}")[0] == 0
    assert [found["engine"] for found in document_of(capsys)["engines"]] == [FP32]


def test_accepted_choice_is_stored_with_what_it_was_measured_on(
    images: tuple[object, ...], bundle_with: Callable[..., Bundle], capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = bundle_with()
    assert run(bundle.folder, *images, "--engines", INT8, "--accept", "--json") == (0, "")
    document = document_of(capsys)
    assert document["accepted"] is True
    accepted = accepted_here(bundle)
    assert accepted is not None
    assert (accepted.engine, accepted.threads, accepted.budget_ms) == (INT8, 1, 100_000)
    assert accepted.version == __version__
    assert accepted.frames == "own"
    assert accepted.runs_on == document["by_name"][INT8]["runs_on"]
    found = document["by_name"][INT8]
    assert accepted.figures == {
        **{f"{name}_ms": value for name, value in found["frame_ms"].items()},
        "frames_per_second": found["frames_per_second"],
    }
    assert accepted.changes(bundle) == ()
    assert run(bundle.folder, *images, "--engines", INT8, "--accept")[0] == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"accepted: `--engine auto` takes it on this machine, see {bundle.folder / 'accepted.json'}"
    )


def test_choice_that_cannot_be_stored_is_an_error_after_the_results(
    images: tuple[object, ...],
    bundle_with: Callable[..., Bundle],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(_path: Path, _data: bytes) -> None:
        raise InflamapError("it cannot be written", seen="Permission denied")

    monkeypatch.setattr("runtime.acceptance.write_atomically", refuse)
    code, line = run(bundle_with().folder, *images, "--engines", FP32, "--accept", "--json")
    assert code == 2
    assert "the choice cannot be stored; seen: Permission denied" in line
    document = document_of(capsys)
    assert (document["passed"], document["accepted"]) == (True, False)
    assert run(open_bundle(DEFAULT_BUNDLE).folder, *images, "--engines", FP32, "--accept")[0] == 2
    assert "with --accept" not in capsys.readouterr().out


@pytest.mark.usefixtures("images")
def test_budget_is_no_budget_where_nothing_was_mapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, line = run("--images", tmp_path / "images", "--engines", FP32, "--budget-ms", 100_000)
    assert code == 1
    assert line.startswith("the budget of 100000 ms was not checked: every frame was withheld")
    out = capsys.readouterr().out
    assert "EVERY frame was withheld before a map was computed" in out
    assert "--um-per-px" in out
    assert "judged on mosaics of the bundle's patches too" in out


def test_failed_golden_check_ends_with_1_after_the_results(
    images: tuple[object, ...],
    bundle_with: Callable[..., Bundle],
    strict_golden: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    strict = bundle_with(golden=strict_golden).folder
    code, line = run(strict, *images, "--engines", BOTH, "--json")
    document = document_of(capsys)
    assert code == 1
    assert line.startswith(f"no engine keeps the grades on this machine: {FP32}, {INT8}; next: ")
    assert document["passed"] is False
    assert document["by_name"][FP32]["golden"]["passed"] is False
    assert run(strict, *images, "--engines", BOTH)[0] == 1
    out = capsys.readouterr().out
    assert f"{FP32} FAILED:\n  {FP32} does not reproduce the golden frames" in out
    assert "p95" not in out


def test_wrong_usage_is_refused_before_anything_runs(
    tmp_path: Path, images: tuple[object, ...], temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = run(tmp_path / "no bundle", "--engines", f"{FP32},gpu")
    assert code == 2
    assert line.startswith("--engines: no such engine; seen: 'gpu'; wanted: all or some of onnxruntime-fp32, ")
    assert run("--engines", ",")[0] == 2
    assert run(tmp_path / "no bundle")[0] == 2
    (tmp_path / "images" / "a.png").unlink()
    code, line = run(*images, "--engines", FP32)
    assert code == 2
    assert "no images in this folder" in line
    assert capsys.readouterr().out == ""
    assert list(temporary.iterdir()) == []


def test_base_install_is_enough_and_help_stays_quick() -> None:
    check = (
        "import sys; import benchmarks.commands.bench; "
        "print(*sorted({'torch', 'trainer', 'export', 'onnx', 'rich', 'onnxruntime', 'openvino'} & set(sys.modules)));"
        "import benchmarks.engine_bench.measure, benchmarks.engine_bench.table, trainer.phantom.files;"
        "print(*sorted({'torch', 'safetensors', 'openvino', 'sklearn'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout == "\n\n"
