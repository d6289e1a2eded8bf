"""`inflamap bench` as an engineer meets it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import frame_timing
from benchmarks.commands.bench import bench
from benchmarks.frame_timing import EngineReport, FrameTiming, GoldenCheck, Spread
from runtime.bundle import Bundle
from runtime.engines import registry
from runtime.errors import InflamapError
from runtime.version import NOTICE, __version__

KEYS = {
    *("bundle", "model", "machine", "frames", "results_in", "threads", "engines"),
    *("budget_ms", "passed", "version", "notice"),
}


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and the error's line, as `runtime.cli` would take them."""
    try:
        bench.main([*map(str, arguments), "--threads", "1"], standalone_mode=False)
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
def images(tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> Path:
    save_image(tmp_path / "images" / "a.png", skin)
    return tmp_path / "images"


@pytest.fixture
def strict(bundle_with: Callable[..., Bundle]) -> Path:
    """A bundle whose golden frames no engine reproduces closely enough."""
    return bundle_with(golden={"file": "golden.npz", "tolerance": {"model.fp32.onnx": 1e-12}}).folder


def test_default_bundle_on_synthetic_frames(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(frame_timing, "SYNTHETIC_FRAMES", 1)
    assert run("--frames", 2, "--json", "--budget-ms", 100_000) == (0, "")
    document = json.loads(capsys.readouterr().out)
    assert set(document) == KEYS
    assert document["model"] == {"name": "phantom-texture", "synthetic": True}
    assert set(document["machine"]) == {"system", "processor", "architecture", "cpus", "python", "onnxruntime"}
    assert all(document["machine"].values())
    assert document["frames"] == {
        "source": "synthetic",
        "count": 1,
        "sizes": [{"width": 1000, "height": 1000}],
        "left_out": 0,
        "timed": 2,
    }
    assert document["threads"] == 1
    assert (document["budget_ms"], document["passed"]) == (100_000, True)
    assert (document["version"], document["notice"]) == (__version__, NOTICE)
    (engine,) = document["engines"]
    assert (engine["engine"], engine["precision"]) == ("onnxruntime-fp32", "fp32")
    assert engine["golden"]["passed"] is True
    assert 0 <= engine["golden"]["difference"] <= engine["golden"]["tolerance"]
    assert (engine["withheld"], engine["repeatable"]) == (0, True)
    assert 0 < engine["map_ms"]["p50"] <= engine["map_ms"]["p95"]
    assert engine["map_ms"]["p50"] < engine["frame_ms"]["p50"] <= engine["frame_ms"]["p95"]
    assert engine["frames_per_second"] > 0
    assert list(temporary.iterdir()) == []


def test_a_person_reads_a_table(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (images / "broken.png").write_bytes(b"words")
    assert run("--images", images, "--um-per-px", 0.5, "--frames", 2, "--budget-ms", 100_000) == (0, "")
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "broken.png" in captured.err
    lines = captured.out.splitlines()
    assert "trained on synthetic images" in lines[0]
    assert f"frames   1 of the images in {images}, 400x400 px; 2 timed an engine after 3 to warm up" in lines
    (heading,) = (line for line in lines if line.endswith("   onnxruntime-fp32"))
    table = lines[lines.index(heading) :][:9]
    assert {len(line) for line in table} == {len(heading)}
    assert sum(line.endswith(" ms") for line in table) == 4
    assert any("the microscope's most, 9 frames/s" in line for line in lines)
    assert lines[-1] == "budget of 100000 ms for p95 of a frame: kept"


@pytest.mark.parametrize(("reached", "words"), [(0.001, "reaches"), (1e9, "does NOT reach")])
def test_the_microscopes_speed_is_said_to_be_reached_or_not(
    reached: float, words: str, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.commands.bench.MICROSCOPE_FRAMES_PER_SECOND", reached)
    assert run("--images", images, "--um-per-px", 0.5, "--frames", 1)[0] == 0
    assert f"onnxruntime-fp32 {words} the microscope's most" in capsys.readouterr().out


def test_broken_budget_ends_with_1_after_the_results(
    images: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = run("--images", images, "--um-per-px", 0.5, "--frames", 2, "--budget-ms", 0.01, "--json")
    document = json.loads(capsys.readouterr().out)
    p95 = document["engines"][0]["frame_ms"]["p95"]
    assert code == 1
    assert f"seen: onnxruntime-fp32 {p95:.1f} ms; wanted: at most 0.01 ms; next: " in line
    assert document["passed"] is False
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("budget", "code"), [(15, 1), (20, 0)])
def test_budget_is_held_against_p95_of_the_slowest_engine(
    budget: float, code: int, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = GoldenCheck(True, 0.0, 1e-4, None)
    reports = [
        EngineReport(
            name, "fp32", golden, FrameTiming(9, Spread(10.0, p95), Spread(1.0, 2.0), 99.0, 0, 0, None, True, None)
        )
        for name, p95 in (("quick", 12.0), ("slow", 20.0))
    ]
    monkeypatch.setattr("benchmarks.commands.bench.time_engines", lambda *_arguments, **_options: reports)
    found, line = run("--images", images, "--budget-ms", budget)
    assert found == code
    assert ("seen: slow 20.0 ms; wanted: at most 15 ms" in line) == (code == 1)


def test_engine_named_twice_is_timed_once(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--images", images, "--frames", 1, "--json", "--engines", "auto,onnxruntime-fp32")[0] == 0
    document = json.loads(capsys.readouterr().out)
    assert [found["engine"] for found in document["engines"]] == ["onnxruntime-fp32"]


def test_budget_is_no_budget_where_nothing_was_mapped(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, line = run("--images", images, "--frames", 2, "--budget-ms", 100_000)
    assert code == 1
    assert "the budget was not checked" in line
    out = capsys.readouterr().out
    assert "EVERY frame was withheld before a map was computed" in out
    assert "--um-per-px" in out
    assert "microscope's most" not in out
    assert run("--images", images, "--frames", 2)[0] == 0


def test_failed_golden_check_ends_with_1_after_the_results(
    images: Path, strict: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = run(strict, "--images", images, "--um-per-px", 0.5, "--json")
    document = json.loads(capsys.readouterr().out)
    assert code == 1
    assert line.startswith("golden frames; seen: failed by onnxruntime-fp32;")
    assert document["passed"] is False
    assert document["engines"][0]["golden"]["passed"] is False
    assert run(strict, "--images", images)[0] == 1
    out = capsys.readouterr().out
    assert "FAILED" in out
    assert "not timed: onnxruntime-fp32 does not reproduce the golden frames" in out
    assert "p95" not in out


def test_every_fault_is_told(images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(registry.MODEL_FILES, "onnxruntime-lost", "lost.onnx")
    monkeypatch.setattr(frame_timing, "ENGINE_NAMES", tuple(registry.MODEL_FILES))
    code, line = run(
        *("--engines", " onnxruntime-lost, onnxruntime-fp32", "--budget-ms", 0.01),
        *("--images", images, "--um-per-px", 0.5, "--frames", 1),
    )
    captured = capsys.readouterr()
    assert code == 1
    assert "above the budget" in line
    assert captured.err == (
        "inflamap: golden frames; seen: failed by onnxruntime-lost; wanted: the outputs recorded at export; "
        "next: see the reason given with the results; do not use that engine on this machine\n"
    )
    assert "onnxruntime-lost: not timed: " in captured.out
    assert "onnxruntime-lost   onnxruntime-fp32" in captured.out


def test_score_that_differs_the_second_time_ends_with_1(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(frame_timing, "_repeats", lambda *_: False)
    code, line = run("--images", images, "--um-per-px", 0.5, "--frames", 1, "--json")
    assert code == 1
    assert "the same frame scored twice" in line
    assert json.loads(capsys.readouterr().out)["passed"] is False


def test_wrong_usage_is_refused_before_anything_runs(
    tmp_path: Path, images: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = run(tmp_path / "no bundle", "--engines", "onnxruntime-fp32,gpu")
    assert code == 2
    assert line.startswith("--engines: no such engine; seen: 'gpu'")
    assert run(tmp_path / "no bundle")[0] == 2
    (images / "a.png").unlink()
    code, line = run("--images", images)
    assert code == 2
    assert "no images in this folder" in line
    assert capsys.readouterr().out == ""
    assert list(temporary.iterdir()) == []


def test_base_install_is_enough_and_help_stays_quick() -> None:
    check = (
        "import sys; import benchmarks.commands.bench; "
        "print(*sorted({'torch', 'trainer', 'export', 'onnx', 'rich'} & set(sys.modules)));"
        "import trainer.phantom.files; print(*sorted({'torch', 'safetensors', 'onnx'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout == "\n\n"
