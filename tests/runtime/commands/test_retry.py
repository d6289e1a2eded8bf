"""`inflamap retry` as a user meets it."""

import os
import sys
import time
from pathlib import Path

import pytest
from made_up import fail, finish

from runtime.cli import main
from runtime.ledger import State, open_ledger
from runtime.ledger.binding import bind_folder
from runtime.output_lock import held


def retry(out: Path, *more: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["retry", "--out", str(out), *map(str, more)])
    return int(stop.value.code or 0)


def asked(out: Path) -> list[str]:
    """Images that are to be scored anew."""
    with open_ledger(out) as ledger:
        rows = [row for row in ledger.rows() if row.redo]
    assert {row.state for row in rows} <= {State.WAITING}
    return [row.path.as_posix() for row in rows]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Results of `in`: scored ones in two folders, and two that failed."""
    (tmp_path / "in" / "site 1").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    with open_ledger(tmp_path / "results", create=True) as ledger:
        bind_folder(ledger, tmp_path / "in", tmp_path / "results")
        for name in ("a.bmp", "site 1/a.bmp", "site 1/deep/b.bmp", "site 10/a.bmp"):
            finish(ledger, name)
        for name in ("f.bmp", "site 1/f.bmp"):
            fail(ledger, name)
    return tmp_path / "results"


def test_without_a_path_those_that_failed_are_scored_anew(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert retry(out) == 0
    assert asked(out) == ["f.bmp", "site 1/f.bmp"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("2 images to be scored anew; next: inflamap watch ")
    with open_ledger(out) as ledger:
        row = ledger.take(time.time())
        assert row is not None
        assert (row.reason, row.attempts) == ("", 1)


def test_all_are_scored_anew(out: Path) -> None:
    assert retry(out, "--all") == 0
    assert len(asked(out)) == 6


def test_path_as_shown_is_that_image_wherever_the_user_stands(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(out)
    assert retry(out, "site 1/a.bmp") == 0
    assert asked(out) == ["site 1/a.bmp"]


@pytest.mark.parametrize("place", ["in", "in/site 1"])
def test_path_as_shown_is_that_image_in_the_watched_folder_too(
    out: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out.parent / place)
    assert retry(out, "site 1/deep/b.bmp") == 0
    assert asked(out) == ["site 1/deep/b.bmp"]


def test_path_where_the_image_lies_is_that_image(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert retry(out, out.parent / "in" / "site 1" / "a.bmp") == 0
    assert asked(out) == ["site 1/a.bmp"]
    monkeypatch.chdir(out.parent / "in" / "site 1")
    assert retry(out, "deep/b.bmp", out.parent / "in" / ".." / "in" / "f.bmp") == 0
    assert asked(out) == ["f.bmp", "site 1/a.bmp", "site 1/deep/b.bmp"]


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("end", ["", "/"])
def test_folder_is_all_images_below_it_and_no_others(out: Path, absolute: bool, end: str) -> None:
    folder = f"{out.parent / 'in' / 'site 1' if absolute else 'site 1'}{end}"
    assert retry(out, folder) == 0
    assert asked(out) == ["site 1/a.bmp", "site 1/deep/b.bmp", "site 1/f.bmp"]


def test_watched_folder_itself_is_all_images(out: Path) -> None:
    assert retry(out, out.parent / "in") == 0
    assert len(asked(out)) == 6


def test_image_named_twice_is_counted_once(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert retry(out, "a.bmp", out.parent / "in" / "a.bmp", "a.bmp") == 0
    assert capsys.readouterr().err.startswith("1 image ")


@pytest.mark.skipif(sys.platform == "win32", reason="names are UTF-16 there")
def test_name_that_is_no_utf8_can_be_given(out: Path) -> None:
    name = os.fsdecode(b"a\xff #1.bmp")
    with open_ledger(out) as ledger:
        finish(ledger, name)
    assert retry(out, name) == 0
    assert asked(out) == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_image_behind_a_link_to_the_watched_folder_is_found(out: Path) -> None:
    (out.parent / "link").symlink_to(out.parent / "in")
    assert retry(out, out.parent / "link" / "a.bmp") == 0
    assert asked(out) == ["a.bmp"]


@pytest.mark.parametrize("wrong", ["gone.bmp", "site 1/gone.bmp", "site", "a.bmp/b", "/", ".", ""])
def test_unknown_path_is_refused_and_nothing_changed(
    out: Path, wrong: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # a place that has nothing to do with the images
    monkeypatch.chdir(out)
    assert retry(out, "a.bmp", wrong) == 2
    assert asked(out) == []
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "no such image among the results" in captured.err
    assert "nothing was changed" in captured.err


def test_both_path_and_all_are_refused_and_nothing_changed(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert retry(out, "a.bmp", "--all") == 2
    assert asked(out) == []
    assert "both PATH and --all; wanted: one of them" in capsys.readouterr().err


def test_running_watch_takes_it_up_and_no_other_start_is_asked_for(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(out), open_ledger(out) as watch:
        assert retry(out, "a.bmp") == 0
        assert capsys.readouterr().err == "1 image to be scored anew\n"
        row = watch.take(time.time())
        assert row is not None
        assert (row.path, row.redo) == (Path("a.bmp"), True)


def test_nothing_failed_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        finish(ledger, "a.bmp")
    assert retry(tmp_path) == 0
    assert asked(tmp_path) == []
    assert capsys.readouterr().err == "0 images to be scored anew\n"


def test_folder_without_a_ledger_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert retry(tmp_path) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "next: check --out" in captured.err
    assert list(tmp_path.iterdir()) == []
