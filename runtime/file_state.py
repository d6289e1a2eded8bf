"""What the file system says of a file, without opening it."""

import os
import stat
from pathlib import Path
from typing import NamedTuple

_FARTHEST_NS = 2**63 - 1


class FileState(NamedTuple):
    """Size in bytes and time of change in nanoseconds: what changes while a file is written."""

    size: int
    mtime_ns: int

    @staticmethod
    def of(path: Path) -> "FileState | None":
        """None where there is no file any more, or none that can be looked at.

        Of a link that leads to nothing it is the link's own: that it is there is seen, and that its target comes.
        """
        try:
            return FileState.from_status(path.stat())
        except PermissionError:
            return None
        except OSError:
            return _link_state(path)

    @staticmethod
    def from_status(status: os.stat_result) -> "FileState":
        """Of what the system answered."""
        # a time beyond the year 2262 fits no database; it still differs from any other
        mtime_ns = status.st_mtime_ns
        if not -_FARTHEST_NS <= mtime_ns <= _FARTHEST_NS:
            mtime_ns = _FARTHEST_NS if mtime_ns > 0 else -_FARTHEST_NS
        return FileState(status.st_size, mtime_ns)


def _link_state(path: Path) -> FileState | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return FileState.from_status(status) if stat.S_ISLNK(status.st_mode) else None


def is_missing(path: Path) -> bool:
    """Whether there is nothing of this name, no link either; not when it cannot be looked at, which says nothing."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; no when it cannot be looked at, where pathlib would raise."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def is_gone(folder: Path, path: Path) -> bool:
    """Whether a file below `folder` was deleted or moved; not when the whole folder cannot be reached."""
    return is_folder(folder) and is_missing(path) and is_folder(folder)


def identity_of(path: Path) -> tuple[int, int] | None:
    """What a file or folder of the same name elsewhere does not share; None where there is none to be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
