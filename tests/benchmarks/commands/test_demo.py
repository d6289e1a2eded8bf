"""What the demo does before and after its steps; the whole of it runs in tests/test_readme.py."""

import importlib.util
from pathlib import Path

import pytest

from benchmarks.commands import demo as module
from runtime.cli import main


def demo(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--out", str(folder)])
    return int(stop.value.code or 0), capsys.readouterr().err


def test_a_folder_of_somebody_else_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    code, error = demo(tmp_path, capsys)
    assert code == 2
    assert "is not empty and holds no earlier demo" in error
    assert (tmp_path / "data" / "thesis.txt").read_text() == "mine"


def test_an_earlier_demo_is_replaced_and_what_lies_beside_it_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / module.SUMMARY_FILE).write_text("{}")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "inflamap.db").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("mine")
    # the first command fails at once: what is cleared before it is the question here
    monkeypatch.setattr(module, "PATCHES", -1)
    code, error = demo(tmp_path, capsys)
    assert code == 1
    assert "inflamap phantom failed in the demo" in error
    assert not (tmp_path / "results").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert demo(tmp_path, capsys)[0] == 1, "a demo that was broken off can be started again"


def test_without_the_training_extras_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    code, error = demo(tmp_path / "new", capsys)
    assert code == 2
    assert "pip install 'inflamap[train,export]'" in error
    assert not (tmp_path / "new").exists()
