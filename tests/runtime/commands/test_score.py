"""`inflamap score` as a user meets it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from made_up import finish

from runtime.bundle import DEFAULT_BUNDLE, Bundle
from runtime.cli import main
from runtime.ledger import open_ledger

NONE_ACCEPTED = "engine onnxruntime-fp32: none was chosen for this bundle on this machine yet; next: "


@pytest.fixture(autouse=True)
def _unaccepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was accepted for the shipped bundle on the machine that runs the tests."""
    monkeypatch.setattr("runtime.acceptance.this_host", lambda: "a host of the tests")


def score(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["score", *map(str, arguments), "--threads", "1"])
    return int(stop.value.code or 0)


def test_default_bundle_scores_and_json_is_one_document(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(tmp_path / "in" / "a.png", skin)
    assert score(tmp_path / "in", "--out", tmp_path / "out", "--um-per-px", "0.5", "--json") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [result["image"]["path"] for result in document["results"]] == ["a.png"]
    assert document["failed"] == []
    assert document["results"][0]["model"]["synthetic"] is True
    assert captured.err == f"{NONE_ACCEPTED}`inflamap bench --accept`\n"


def test_what_is_said_of_the_images_holds_by_folder_and_by_depth(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HRT3 Eva/a.png", "Eva/VivaStack #1/v0000001.png", "Eva/VivaStack #1/v0000009.png"):
        save_image(tmp_path / "in" / name, skin[:200, :200].copy())
    said = ("--um-per-px-in", "HRT3*=1.04", "--um-per-px-in", "*=0.5", "--stack-step", "5", "--depth", "10:80")
    assert score(tmp_path / "in", "--out", tmp_path / "out", *said, "--json") == 0
    near, deep, first = json.loads(capsys.readouterr().out)["results"]
    assert (near["image"]["um_per_px"], near["image"]["um_per_px_from"]) == (0.5, "folder")
    assert (near["image"]["z_um"], near["image"]["z_from"], near["status"]) == (5.0, "stack", "withheld")
    assert near["reasons"] == ["depth: 5 µm below the surface is outside 10 to 80, which are to be scored"]
    assert (deep["image"]["z_um"], deep["status"]) == (45.0, "scored")
    assert first["image"]["um_per_px"] == 1.04
    assert any(note.startswith("depth unknown") for note in first["notes"])


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("--depth", "80", "two numbers, the lower first"),
        ("--grey-range", "1:0", "two numbers, the lower first"),
        ("--um-per-px-in", "HRT3", "PATTERN=NUMBER"),
    ],
)
def test_what_is_said_wrongly_is_bad_usage(
    option: str, value: str, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(tmp_path, "--out", tmp_path / "out", option, value) == 2
    said = capsys.readouterr().err
    assert repr(value) in said
    assert wanted in said


@pytest.mark.parametrize("engine", ["auto", "onnxruntime-int8"])
def test_accepted_engine_scores_and_so_does_a_named_one(
    engine: str,
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    bundle_with: Callable[..., Bundle],
    save_image: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = bundle_with()
    save_image(tmp_path / "in" / "a.png", skin)
    if engine == "auto":
        quickly = ("--frames", "1", "--budget-ms", "1e6", "--no-footprint", "--threads", "1")
        images = ("--images", str(tmp_path / "in"), "--um-per-px", "0.5")
        with pytest.raises(SystemExit) as stop:
            main(["bench", str(bundle.folder), *images, *quickly, "--engines", "onnxruntime-int8", "--accept"])
        assert stop.value.code == 0
        capsys.readouterr()
    arguments = ("--out", tmp_path / "out", "--um-per-px", "0.5", "--json", "--bundle", bundle.folder)
    assert score(tmp_path / "in", *arguments, "--engine", engine) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["results"][0]["model"]["engine"] == "onnxruntime-int8"
    if engine == "auto":
        assert captured.err.startswith("engine onnxruntime-int8: accepted on this machine on 20")
    else:
        assert captured.err == ""


def test_named_engine_that_is_not_here_is_one_line_and_nothing_is_scored(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_image(tmp_path / "in" / "a.png", skin)
    # what an import of a package that is not installed does
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert score(tmp_path / "in", "--out", tmp_path / "out", "--engine", "openvino-int8") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "pip install 'inflamap[openvino]'" in captured.err
    assert not (tmp_path / "out").exists()


BAD = {
    "empty.bmp": b"",
    "not an image.png": b"these are words, not pixels",
    "truncated.bmp": None,
    "gone.bmp": None,
}


def test_bad_files_are_told_in_one_line_each_and_the_others_are_done(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    rng = np.random.default_rng(0)
    save_image(folder / "good #1 ä.bmp", skin)
    save_image(folder / "colour.png", rng.integers(0, 256, (300, 300, 3), dtype=np.uint8))
    save_image(folder / "one pixel.png", np.zeros((1, 1), np.uint8))
    save_image(folder / "black.png", np.zeros((300, 300), np.uint8))
    save_image(folder / "grey as colour.png", np.dstack([skin] * 3))
    save_image(folder / "deep.png", skin.astype(np.uint16) * 257)
    for name, content in BAD.items():
        if content is not None:
            (folder / name).write_bytes(content)
    (folder / "truncated.bmp").write_bytes((folder / "good #1 ä.bmp").read_bytes()[:-1000])

    assert score(folder, folder / "gone.bmp", "--out", tmp_path / "out", "--um-per-px", "0.5") == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    first, *lines = captured.err.splitlines()
    assert first.startswith(NONE_ACCEPTED)
    assert len(lines) == len(BAD)
    for name in BAD:
        assert sum(name in line for line in lines) == 1, name
    status = {
        path.name.removesuffix(".score.json"): json.loads(path.read_text())["status"]
        for path in (tmp_path / "out").glob("*.score.json")
    }
    assert status == {
        "good #1 ä.bmp": "scored",
        "grey as colour.png": "scored",
        "deep.png": "scored",
        "colour.png": "withheld",
        "one pixel.png": "withheld",
        "black.png": "withheld",
    }
    for name in status:
        assert (tmp_path / "out" / f"{name}.overlay.jpg").stat().st_size > 1000


def test_result_that_cannot_be_written_keeps_no_other_from_being_done(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save_image(tmp_path / "in" / name, skin)
    (tmp_path / "out" / "b.png.overlay.jpg" / "in the way").mkdir(parents=True)
    assert score(tmp_path / "in", "--out", tmp_path / "out", "--um-per-px", "0.5", "--json") == 2
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [result["image"]["path"] for result in document["results"]] == ["a.png", "c.png"]
    assert [Path(failure["path"]).name for failure in document["failed"]] == ["b.png"]
    assert captured.err.count("\n") == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell's pipe")
def test_reader_that_goes_early_is_no_failure(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for number in range(3):
        save_image(tmp_path / "in" / f"{number}.png", skin)
    arguments = ["score", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--um-per-px", "0.5"]
    arguments += ["--engine", "onnxruntime-fp32"]
    command = [sys.executable, "-m", "runtime.cli", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert len(list((tmp_path / "out").glob("*.score.json"))) == 3


def test_withheld_images_are_results(
    tmp_path: Path, save_image: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(tmp_path / "in" / "black.png", np.zeros((300, 300), np.uint8))
    assert score(tmp_path / "in", "--out", tmp_path / "out", "--um-per-px", "0.5") == 0
    assert capsys.readouterr().out.startswith("black.png: withheld: ")


def test_output_folder_inside_the_input_is_refused_and_nothing_written(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(tmp_path / "in" / "a.png", skin)
    assert score(tmp_path / "in", "--out", tmp_path / "in" / "out") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.png"]


@pytest.mark.parametrize("damage", ["folder", "manifest", "sha256"])
def test_bad_bundle_is_refused_in_one_line(
    damage: str,
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    bundle_with: Callable[..., Bundle],
    save_image: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_image(tmp_path / "in" / "a.png", skin)
    folder = bundle_with().folder
    if damage == "folder":
        folder = tmp_path / "none"
    elif damage == "manifest":
        (folder / "bundle.json").write_text("{")
    else:
        (folder / "model.fp32.onnx").write_bytes(b"another model")
    assert score(tmp_path / "in", "--out", tmp_path / "out", "--bundle", folder) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert str(folder) in captured.err
    assert not (tmp_path / "out").exists()


def test_unknown_engine_is_refused(
    tmp_path: Path, save_image: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(tmp_path / "in" / "a.png", np.zeros((9, 9), np.uint8))
    assert score(tmp_path / "in", "--out", tmp_path / "out", "--engine", "gpu", "--bundle", DEFAULT_BUNDLE) == 2
    assert "onnxruntime-fp32" in capsys.readouterr().err


def test_real_frames_each_have_a_record(
    real_frames: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(*real_frames[0].parts[: real_frames[0].parts.index("raw_data") + 1])
    assert score(folder, "--out", tmp_path, "--um-per-px", 400 / 384, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["results"]) == 20
    assert document["failed"] == []
    for result in document["results"]:
        assert result["status"] in {"scored", "withheld"}
        assert bool(result["reasons"]) or result["status"] == "scored"
        assert (tmp_path / f"{result['image']['path']}.score.json").exists()


def test_result_of_a_watch_is_not_replaced_behind_its_ledger(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("watched.bmp", "other.bmp"):
        save_image(tmp_path / "in" / name, skin)
    (tmp_path / "out").mkdir()
    with open_ledger(tmp_path / "out", create=True) as ledger:
        finish(ledger, "watched.bmp")
    assert score(tmp_path / "in", "--out", tmp_path / "out", "--um-per-px", "0.5") == 2
    captured = capsys.readouterr()
    assert "watched.bmp: its result in" in captured.err
    assert "inflamap retry" in captured.err
    assert not (tmp_path / "out" / "watched.bmp.score.json").exists()
    assert (tmp_path / "out" / "other.bmp.score.json").exists()
