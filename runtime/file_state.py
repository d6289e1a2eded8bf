"""What the file system says of a file, without opening it."""

from dataclasses import dataclass
from pathlib import Path


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
        return FileState(status.st_size, status.st_mtime_ns)
