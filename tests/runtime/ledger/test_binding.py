"""An output folder holds the results of one folder."""

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.ledger import Ledger, open_ledger
from runtime.ledger.binding import FOLDER_NOTE, bind_folder, is_bound, recall_folder, watched_images
from runtime.ledger.ledger import Arrival
from runtime.outputs import LEDGER_FILE


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    with open_ledger(tmp_path / "out", create=True) as opened:
        bind_folder(opened, tmp_path / "in", tmp_path / "out")
        yield opened


def test_same_folder_is_accepted_however_it_is_written(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / "in", Path("in"), tmp_path / "out" / ".." / "in"):
        bind_folder(ledger, folder, tmp_path / "out")
    assert ledger.noted(FOLDER_NOTE) == str((tmp_path / "in").resolve())


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_same_folder_behind_a_link_is_accepted(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "in")
    bind_folder(ledger, tmp_path / "link", tmp_path / "out")
    assert ledger.noted(FOLDER_NOTE) == str((tmp_path / "in").resolve())


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_folder_whose_earlier_place_now_leads_to_it_is_accepted(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "in").rename(tmp_path / "moved")
    (tmp_path / "in").symlink_to(tmp_path / "moved")
    bind_folder(ledger, tmp_path / "moved", tmp_path / "out")


def test_another_folder_is_refused_and_the_first_stays_noted(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(
        InflamapError, match=r"holds results of another folder; seen: .*in; wanted: .*other; next: "
    ) as error:
        bind_folder(ledger, tmp_path / "other", tmp_path / "out")
    assert str(tmp_path / "out") in str(error.value)
    assert ledger.noted(FOLDER_NOTE) == str((tmp_path / "in").resolve())


def known(ledger: Ledger, folder: Path, name: str) -> None:
    """An image of the bound folder that the ledger knows."""
    (folder / name).write_bytes(name.encode())
    file = FileState.of(folder / name)
    assert file is not None
    ledger.arrived([Arrival(name, file, 1.0)])


def test_next_folder_is_refused_when_the_first_was_archived(ledger: Ledger, tmp_path: Path) -> None:
    # the microscope begins every folder with the same name
    known(ledger, tmp_path / "in", "v0000000.bmp")
    (tmp_path / "in").rename(tmp_path / "archive")
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "v0000000.bmp").write_bytes(b"another patient")
    with pytest.raises(InflamapError, match="another folder"):
        bind_folder(ledger, tmp_path / "next", tmp_path / "out")
    assert ledger.noted(FOLDER_NOTE) == str((tmp_path / "in").resolve())


def test_moved_folder_is_accepted_and_the_new_place_is_the_one(ledger: Ledger, tmp_path: Path) -> None:
    known(ledger, tmp_path / "in", "v0000000.bmp")
    known(ledger, tmp_path / "in", "v0000001.bmp")
    (tmp_path / "in" / "v0000000.bmp").unlink()
    (tmp_path / "in").rename(tmp_path / "moved")
    bind_folder(ledger, tmp_path / "moved", tmp_path / "out")
    (tmp_path / "third").mkdir()
    with pytest.raises(InflamapError, match="another folder"):
        bind_folder(ledger, tmp_path / "third", tmp_path / "out")


def test_folder_that_was_copied_to_another_disk_is_accepted(ledger: Ledger, tmp_path: Path) -> None:
    """Its files have other numbers there, and another time of the last change of any kind."""
    known(ledger, tmp_path / "in", "v0000000.bmp")
    shutil.copytree(tmp_path / "in", tmp_path / "copied")
    shutil.rmtree(tmp_path / "in")
    bind_folder(ledger, tmp_path / "copied", tmp_path / "out")
    assert ledger.noted(FOLDER_NOTE) == str((tmp_path / "copied").resolve())


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_folder_is_refused_where_the_first_cannot_be_looked_at(ledger: Ledger, tmp_path: Path) -> None:
    """The first may be there still, so that the images of a copy are not taken for those of a moved folder."""
    known(ledger, tmp_path / "in", "v0000000.bmp")
    (tmp_path / "in").rename(tmp_path / "moved")
    # a link to itself
    (tmp_path / "in").symlink_to(tmp_path / "in")
    with pytest.raises(InflamapError, match="another folder"):
        bind_folder(ledger, tmp_path / "moved", tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="names are UTF-16 there")
def test_folder_whose_name_is_no_utf8_is_known_again(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"b\xff")
    folder.mkdir()
    for _ in range(2):
        with open_ledger(tmp_path, create=True) as ledger:
            bind_folder(ledger, folder, tmp_path)
            assert Path(ledger.noted(FOLDER_NOTE)) == folder.resolve()


def test_images_of_a_watch_are_known_and_there_are_none_without_one(ledger: Ledger, tmp_path: Path) -> None:
    known(ledger, tmp_path / "in", "v0000000.bmp")
    assert watched_images(tmp_path / "out") == {Path("v0000000.bmp")}
    assert watched_images(tmp_path) == frozenset()


def test_folder_is_recalled_when_the_ledger_was_lost(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "other").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    with open_ledger(out, create=True) as ledger:
        assert not recall_folder(ledger, out)
        bind_folder(ledger, tmp_path / "in", out)
    (out / LEDGER_FILE).unlink()
    with open_ledger(out, create=True) as ledger:
        assert recall_folder(ledger, out)
        with pytest.raises(InflamapError, match="holds results of another folder"):
            bind_folder(ledger, tmp_path / "other", out)
        bind_folder(ledger, tmp_path / "in", out)


@pytest.mark.parametrize("ledger_is", ["whole", "damaged", "of version 1"])
def test_folder_is_known_to_be_watched_whatever_became_of_the_ledger(tmp_path: Path, ledger_is: str) -> None:
    """So that a watch starts while the share is away, and mends the ledger."""
    folder, out = tmp_path / "in", tmp_path / "out"
    out.mkdir()
    folder.mkdir()
    with open_ledger(out, create=True) as ledger:
        bind_folder(ledger, folder, out)
    folder.rmdir()
    if ledger_is == "damaged":
        (out / LEDGER_FILE).write_bytes(b"no database at all" * 100)
    elif ledger_is == "of version 1":
        (out / LEDGER_FILE).unlink()
        with closing(sqlite3.connect(out / LEDGER_FILE)) as database:
            database.executescript((Path(__file__).parent / "version_1.sql").read_text())
    assert is_bound(out, folder)
    assert not is_bound(out, tmp_path / "other")
    assert not is_bound(tmp_path, folder)
