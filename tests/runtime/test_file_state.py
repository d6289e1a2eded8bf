"""What cannot be looked at is neither there nor missing."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runtime.file_state import FileState, is_folder, is_missing


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that this user may not look at: as root, rights do not stop anybody."""
    path = tmp_path / "locked.bmp"
    path.write_bytes(b"1")
    stat = Path.stat

    def refuse(self: Path, **keywords: Any) -> os.stat_result:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **keywords)

    monkeypatch.setattr(Path, "stat", refuse)
    return path


def test_there_missing_and_unknown_are_told_apart(tmp_path: Path, locked: Path) -> None:
    there = tmp_path / "there.bmp"
    there.write_bytes(b"12")
    assert FileState.of(there) == FileState.from_status(there.stat())
    assert [is_missing(path) for path in (there, tmp_path / "no.bmp", there / "below", locked)] == [
        False,
        True,
        True,
        False,
    ]
    assert FileState.of(locked) is None
    assert [is_folder(path) for path in (tmp_path, there, tmp_path / "no", locked)] == [True, False, False, False]


def test_any_time_fits_sixty_four_bits(tmp_path: Path) -> None:
    path = tmp_path / "v.bmp"
    path.write_bytes(b"1")
    for seconds in (-20_000_000_000, 0, 20_000_000_000):
        try:
            os.utime(path, (seconds, seconds))
        except (OSError, OverflowError):
            continue
        state = FileState.of(path)
        assert state is not None
        assert abs(state.mtime_ns) < 2**63


@pytest.mark.parametrize("inode", [0, 1, 2**63 - 1, 2**63 + 5, 2**64 - 1, 2**127 + 1])
def test_any_number_of_a_file_fits_sixty_four_bits(inode: int) -> None:
    status = SimpleNamespace(st_size=1, st_mtime_ns=2, st_ctime_ns=3, st_ino=inode)
    state = FileState.from_status(cast("os.stat_result", status))
    assert state.inode is None if inode == 0 else 0 < (state.inode or 0) < 2**63
