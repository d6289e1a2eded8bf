"""`inflamap status` as a user meets it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from made_up import arrive, fail, finish, take
from unprivileged import as_ordinary_user

from runtime.cli import main
from runtime.file_state import FileState
from runtime.ledger import State, open_ledger
from runtime.ledger.binding import bind_folder
from runtime.output_lock import held

CHECKOUT = Path(__file__).parents[3]


def status(out: Path, *more: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["status", "--out", str(out), *more])
    return int(stop.value.code or 0)


def test_json_is_one_document_with_the_contracts_keys(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        ledger.note("engine", "onnxruntime-fp32")
        finish(ledger, "a.bmp")
        fail(ledger, "f.bmp")
        arrive(ledger, Path("w.bmp"), FileState(1, 1), time.time() - 60)
    assert status(tmp_path, "--json") == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    document = json.loads(captured.out)
    assert list(document)[:4] == ["counts", "oldest_waiting_s", "engine", "images_per_second"]
    assert set(document) == {
        *("counts", "oldest_waiting_s", "engine", "images_per_second", "running", "process", "paused", "folder"),
        *("folder_fault", "discovery", "model", "models", "mixed_models", "of_another_model", "failed"),
        *("version", "notice"),
    }
    assert document["counts"] == {"waiting": 1, "scored": 1, "withheld": 0, "failed": 1}
    assert document["engine"] == "onnxruntime-fp32"
    assert 60 <= document["oldest_waiting_s"] < 120
    assert 0 < document["images_per_second"] <= 1
    assert document["running"] is False
    (failed,) = document["failed"]
    assert 0 < failed.pop("again_in_s") <= 10
    assert failed == {"path": "f.bmp", "reason": "locked", "attempts": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="names are UTF-16 there")
def test_json_holds_any_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"a\xff\n\x1b.bmp")
    with open_ledger(tmp_path, create=True) as ledger:
        ledger.failed(take(ledger, name), "locked", time.time())
    assert status(tmp_path, "--json") == 0
    assert json.loads(capfd.readouterr().out)["failed"][0]["path"] == name


def test_running_watch_is_told_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(tmp_path), open_ledger(tmp_path, create=True) as ledger:
        bind_folder(ledger, tmp_path / "in", tmp_path)
        ledger.note("process", 4711)
        assert status(tmp_path) == 0
        assert "running, process 4711" in capsys.readouterr().out
        ledger.note("paused", "1.0 GB free")
        assert status(tmp_path) == 0
        assert "paused: 1.0 GB free" in capsys.readouterr().out
    assert status(tmp_path) == 0
    text = capsys.readouterr().out
    assert "not running" in text
    assert "paused" not in text
    assert str(tmp_path / "in") in text


@pytest.mark.parametrize(("failed", "shown", "more"), [(1, 1, None), (10, 10, None), (13, 10, "and 3 more: inflamap")])
def test_reasons_of_failed_images_are_shown_ten_at_most(
    failed: int, shown: int, more: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(failed):
            fail(ledger, f"v{number:02}.bmp")
    assert status(tmp_path) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert captured.err == ""
    assert [f"  v{number:02}.bmp: locked (1 attempt; tried again by the next watch)" for number in range(shown)] == [
        line for line in lines if "locked" in line
    ]
    assert [line.strip().startswith(more or "") for line in lines if " more: " in line] == [True] * bool(more)
    assert any(line.split() == ["failed", str(failed)] for line in lines)


def test_image_that_was_given_up_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        take(ledger, "site 1/v0000007.bmp")
        while not ledger.recover():
            ledger.take(time.time())
    assert status(tmp_path) == 0
    text = capsys.readouterr().out
    assert "ended 5 times" in text
    assert "v0000007.bmp" in text


def test_results_of_several_models_are_flagged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        finish(ledger, "a.bmp")
        finish(ledger, "b.bmp")
        assert status(tmp_path) == 0
        assert "several models" not in capsys.readouterr().out
        finish(ledger, "c.bmp", model="other")
    assert status(tmp_path) == 0
    text = capsys.readouterr().out
    assert "results of several models, not to be compared with each other" in text
    assert "2  tiny (tttttttt)" in text
    assert "1  other (oooooooo)" in text
    assert f"inflamap retry --all --out {tmp_path}" in text


def test_how_long_the_oldest_waits_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        arrive(ledger, Path("a.bmp"), FileState(1, 1), time.time() - 100)
        assert ledger.counts()[State.WAITING] == 1
    assert status(tmp_path) == 0
    assert "the oldest for 10" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_folder_without_a_ledger_is_refused_in_one_line(
    tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for out in (tmp_path, tmp_path / "not there"):
        assert status(out, *more) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert str(out) in captured.err
        assert "next: check --out" in captured.err
    assert list(tmp_path.iterdir()) == []


def test_damaged_ledger_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "inflamap.db").write_bytes(b"no database at all" * 100)
    assert status(tmp_path) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "damaged" in captured.err


def test_what_waits_for_a_watch_that_does_not_run_has_a_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        bind_folder(ledger, tmp_path / "in #1", tmp_path)
        finish(ledger, "a.bmp")
        assert status(tmp_path) == 0
        assert "next: inflamap watch" not in capsys.readouterr().out
        arrive(ledger, Path("w.bmp"), FileState(1, 1), time.time())
    assert status(tmp_path) == 0
    text = capsys.readouterr().out
    assert f"next: inflamap watch '{tmp_path / 'in #1'}' --out {tmp_path}" in text
    assert "images/s" not in text


def test_folder_that_cannot_be_listed_is_told_beside_a_running_watch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(tmp_path), open_ledger(tmp_path, create=True) as ledger:
        ledger.note("folder_fault", "/in: the folder cannot be listed")
        assert status(tmp_path) == 0
    text = capsys.readouterr().out
    assert "running, process" in text
    assert "/in: the folder cannot be listed" in text


@pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")
@pytest.mark.parametrize("running", [False, True])
def test_whoever_may_only_read_the_results_sees_how_they_stand(running: bool) -> None:
    prefix = as_ordinary_user()
    if not prefix:
        pytest.skip("needs another user than the one of the results")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        out = Path(name)
        out.chmod(0o755)
        stack.enter_context(held(out))
        ledger = stack.enter_context(open_ledger(out, create=True))
        finish(ledger, "a.bmp")
        if not running:
            stack.close()
        command = [*prefix, sys.executable, "-m", "runtime.cli", "status", "--out", name, "--json"]
        found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT, timeout=60)
        assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["counts"]["scored"] == 1
    # only who may write to the lock can ask it
    assert document["running"] is None


def test_results_of_another_model_than_the_watchs_are_flagged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        finish(ledger, "a.bmp")
        ledger.note("model", {"name": "new", "sha256": "n" * 64, "synthetic": False})
    assert status(tmp_path) == 0
    said = capfd.readouterr().out
    assert "1 results are of another model than the watch's" in said
    assert "inflamap retry --all" in said


def test_what_is_never_tried_again_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        ledger.failed(take(ledger, "letter.bmp"), "not an image", time.time(), heals=False)
    assert status(tmp_path) == 0
    assert "letter.bmp: not an image (1 attempt; not tried again until it changes)" in capfd.readouterr().out


def test_next_watch_is_shown_as_the_last_one_was_started(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        ledger.note("options", ["--bundle", "/models/my bundle", "--um-per-px", "0.5"])
        arrive(ledger, Path("w.bmp"), FileState(1, 1), time.time())
    assert status(tmp_path) == 0
    assert f"--out {tmp_path} --bundle '/models/my bundle' --um-per-px 0.5" in capfd.readouterr().out
