"""What the file system says of a file, without opening it."""

import stat
from dataclasses import dataclass
from pathlib import Path

_FARTHEST_NS = 2**63 - 1


@dataclass(frozen=True)
class FileState:
    """Size in bytes and time of change in nanoseconds: what changes while a file is written."""

    size: int
    mtime_ns: int

    @staticmethod
    def of(path: Path) -> "FileState | None":
        """None where there is no file any more, or none that can be looked at."""
        try:
            status = path.stat()
        except OSError:
            return None
        # a time beyond the year 2262 fits no database; it still differs from any other
        return FileState(status.st_size, max(-_FARTHEST_NS, min(status.st_mtime_ns, _FARTHEST_NS)))


def is_missing(path: Path) -> bool:
    """Whether there is no such file; not when it cannot be looked at, which says nothing."""
    try:
        path.stat()
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
