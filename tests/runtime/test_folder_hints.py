"""Changes are hinted at; looking is not a change."""

import sys
import threading
import time
from pathlib import Path

import pytest

from runtime.folder_hints import MOST_HINTS, FolderHints, folder_hints


def drained(hints: FolderHints, wanted: set[Path], seconds: float = 10.0) -> set[Path]:
    """What comes until all of `wanted` did."""
    found: set[Path] = set()
    deadline = time.monotonic() + seconds
    while not wanted <= found and time.monotonic() < deadline:
        taken = hints.take()
        found |= taken.files | taken.folders
        time.sleep(0.02)
    return found


def test_new_written_and_moved_files_are_hinted_at(tmp_path: Path) -> None:
    (tmp_path / "old.bmp").write_bytes(b"1")
    (tmp_path / "site #1").mkdir()
    with folder_hints(tmp_path) as hints:
        (tmp_path / "site #1" / "new.bmp").write_bytes(b"1")
        (tmp_path / "old.bmp").rename(tmp_path / "moved.bmp")
        wanted = {tmp_path / "site #1" / "new.bmp", tmp_path / "moved.bmp"}
        assert wanted <= drained(hints, wanted)


def test_reading_and_deleting_are_no_hints(tmp_path: Path) -> None:
    (tmp_path / "old.bmp").write_bytes(b"1")
    (tmp_path / "gone.bmp").write_bytes(b"1")
    with folder_hints(tmp_path) as hints:
        (tmp_path / "old.bmp").read_bytes()
        (tmp_path / "gone.bmp").unlink()
        (tmp_path / "last.bmp").write_bytes(b"1")
        assert drained(hints, {tmp_path / "last.bmp"}) == {tmp_path / "last.bmp"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_folder_behind_a_link_is_hinted_at_under_the_links_name(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk")
    with folder_hints(link) as hints:
        (tmp_path / "disk" / "new.bmp").write_bytes(b"1")
        assert drained(hints, {link / "new.bmp"}) == {link / "new.bmp"}


def test_what_is_moved_out_of_the_folder_is_no_hint(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.bmp").write_bytes(b"1")
    with folder_hints(tmp_path / "in") as hints:
        (tmp_path / "in" / "a.bmp").rename(tmp_path / "a.bmp")
        (tmp_path / "in" / "last.bmp").write_bytes(b"1")
        found = drained(hints, {tmp_path / "in" / "last.bmp"})
    assert all(path.is_relative_to(tmp_path / "in") for path in found)


def test_folder_that_is_made_or_moved_in_is_hinted_at(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    with folder_hints(tmp_path / "in") as hints:
        (tmp_path / "in" / "made").mkdir()
        (tmp_path / "elsewhere").rename(tmp_path / "in" / "moved")
        wanted = {tmp_path / "in" / "made", tmp_path / "in" / "moved"}
        assert wanted <= drained(hints, wanted)


def test_wait_ends_with_the_first_hint(tmp_path: Path) -> None:
    with folder_hints(tmp_path) as hints:
        started = time.monotonic()
        hints.wait(0.2)
        assert time.monotonic() - started >= 0.2
        threading.Timer(0.1, (tmp_path / "new.bmp").write_bytes, [b"1"]).start()
        hints.wait(20.0)
        assert time.monotonic() - started < 10.0
        assert tmp_path / "new.bmp" in drained(hints, {tmp_path / "new.bmp"})


def test_hints_are_bounded_and_say_so(tmp_path: Path) -> None:
    with folder_hints(tmp_path) as hints:
        for number in range(MOST_HINTS + 5):
            hints.add(tmp_path / f"{number}.bmp", is_folder=False)
        taken = hints.take()
        assert len(taken.files) == MOST_HINTS
        assert taken.overflow
        assert not hints.take().overflow


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors as Linux lists them")
def test_folder_that_is_away_costs_nothing(tmp_path: Path) -> None:
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    before = held()
    for _ in range(5):
        with pytest.raises(OSError, match="No such file"), folder_hints(tmp_path / "away"):
            pass
    assert held() == before
