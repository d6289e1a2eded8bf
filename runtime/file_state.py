"""What the file system says of a file, without opening it."""

import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple

_FARTHEST_NS = 2**63 - 1


class Kept(NamedTuple):
    """The marks of a file that its disk keeps unchanged as long as the file is unchanged.

    Attributes:
        ctime: the time of its last change of any kind.
        inode: its number.
    """

    ctime: bool = True
    inode: bool = True


class FileState(NamedTuple):
    """Marks of a file that change when other content is put in its place, however that is done.

    `cp -p`, `rsync -t` and a restored backup give another content the size and the time of the earlier one; of these
    the system's own time of change, or the file's number, tells.

    Attributes:
        size: bytes.
        mtime_ns: time of modification, which any program can set, nanoseconds.
        ctime_ns: time of the last change of any kind, rights and names too, which only the system sets, nanoseconds;
            None where the system keeps none.
        inode: number of the file on its disk, folded to 63 bits; None where the system tells none.
    """

    size: int
    mtime_ns: int
    ctime_ns: int | None = None
    inode: int | None = None

    def kept_by(self, disk: Kept) -> "FileState":
        """Return the marks that can be compared with those seen at another time."""
        if disk.ctime and disk.inode:
            return self
        return self._replace(ctime_ns=self.ctime_ns if disk.ctime else None, inode=self.inode if disk.inode else None)

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
        # on Windows it is the time when the file was made
        ctime_ns = None if sys.platform == "win32" else _fitting(status.st_ctime_ns)
        # 0: a listing of Windows does not tell it
        inode = status.st_ino & _FARTHEST_NS or None
        return FileState(status.st_size, _fitting(status.st_mtime_ns), ctime_ns, inode)


def _fitting(time_ns: int) -> int:
    """Return a time that fits a database: one beyond the year 2262 still differs from any other."""
    return max(-_FARTHEST_NS, min(_FARTHEST_NS, time_ns))


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
    """Return whether a file below `folder` was deleted or moved; False where the folder cannot be reached."""
    return is_folder(folder) and is_missing(path) and is_folder(folder)


def identity_of(path: Path) -> tuple[int, int] | None:
    """What a file or folder of the same name elsewhere does not share; None where there is none to be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
