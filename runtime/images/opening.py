"""Opening files that the microscope may still hold: briefly, without shutting it out, and never waiting for anybody."""

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import BinaryIO

from runtime.errors import NeverAnImage
from runtime.images.limits import MAX_FILE_BYTES
from runtime.images.source import Source
from runtime.place import PlaceForbids, leads_out, resolve_inside

if sys.platform == "win32":
    from runtime.images.windows_opening import is_held, kernel_calls, open_descriptor
else:
    import fcntl

# a second's worth of the slowest share
_PIECE = 4 << 20


# raises where a file that is open need not be read whole, for its beginning says that it is no image
Check = Callable[[Source], object]


class Opened:
    """A file that is open, to be looked into before it is read. `size`: in bytes, when it was opened."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self.size = file, size

    def read_at(self, at: int, count: int) -> bytes:
        """Return so many bytes from byte `at` on; fewer where the file ends.

        Raises:
            OSError: as `read`.
        """
        count = max(0, min(count, self.size - at))
        if not count:
            return b""
        self._file.seek(at)
        return self._file.read(count)


def read_shared(
    path: Path, check: Check | None = None, *, at_most: int | None = None, inside: Path | None = None
) -> bytes:
    """The bytes of a file, which stays open no longer than it takes to read them.

    On Windows it is opened so that others can write, rename and delete it meanwhile; elsewhere they always can.
    A file that grows meanwhile is cut at the size it had when it was opened: to follow a writer to the end may
    take as long as it writes, and a file that is still written has to be read again anyway. One that shrinks gives
    what is left.

    Args:
        path: a regular file, or a link to one.
        check: looks into the open file before it is read, and refuses it by raising.
        at_most: read only so many bytes of its beginning, whatever its size.
        inside: a folder above the file that no link may lead out of, now or while the file is opened; None follows
            every link. Links on the way to the folder itself are followed.

    Raises:
        OSError: as `open` raises it; also where a part of the path becomes a link while it is opened.
        NeverAnImage: no regular file, or, without `at_most`, more than `MAX_FILE_BYTES`; or as `check` raises.
        PlaceForbids: a link leads out of `inside`.
        MemoryError: with the size that does not fit.
    """
    return _read_and_close(_opened(path, inside, at_most), path, check, at_most)


def _opened(path: Path, inside: Path | None, at_most: int | None) -> int:
    """Open a file for reading; the arguments and errors of `read_shared`."""
    if inside is not None:
        relative = path.relative_to(inside)
        if ".." in relative.parts or not relative.parts:
            raise leads_out(path)
        return _open_inside(inside, relative, at_most)
    # asked before opening: to open a pipe, if only for a moment, wakes its writer, and a device may rewind
    _check(path, path.stat(), at_most)
    return _open(path)


def _read_and_close(descriptor: int, path: Path, check: Check | None, at_most: int | None) -> bytes:
    try:
        # another file may have taken the name since
        found = os.fstat(descriptor)
        _check(path, found, at_most)
        _let_wait(descriptor)
        size = found.st_size if at_most is None else min(at_most, found.st_size)
        with open(descriptor, "rb", closefd=False) as file:
            if check is not None:
                check(Opened(file, size))
                file.seek(0)
            return file.read(size)
    except MemoryError as error:
        raise MemoryError(f"{found.st_size} bytes") from error
    finally:
        os.close(descriptor)


def sha256_shared(path: Path, *, alive: Callable[[], object] = lambda: None, inside: Path | None = None) -> str:
    """Hex digest of a file's bytes, of which no more than some megabytes are in memory at once.

    Args:
        path: as of `read_shared`, which opens files in the same way.
        alive: called again and again meanwhile.
        inside: as of `read_shared`.

    Raises:
        OSError: as `open` raises it.
        NeverAnImage: no regular file, or more than `MAX_FILE_BYTES`.
        PlaceForbids: a link leads out of `inside`.
    """
    descriptor = _opened(path, inside, None)
    try:
        _check(path, os.fstat(descriptor), None)
        _let_wait(descriptor)
        digest = hashlib.sha256()
        with open(descriptor, "rb", closefd=False, buffering=0) as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                alive()
        return digest.hexdigest()
    finally:
        os.close(descriptor)


def is_being_written(path: Path, *, inside: Path | None = None) -> bool:
    """Whether somebody is known to be writing the file; False also where that cannot be told. Never waits.

    Windows: tried by opening the file for reading and denying others to write for that instant, which Windows
    refuses while anybody holds it open for writing, also from another machine on a network share whose server
    keeps to that, or holds it for themselves alone, as some virus scanners do. A program that opens the file for
    writing in the very instant is refused in turn, so ask only of files that seem to be at rest. This part was
    written by Microsoft's documentation and tested on a stand-in, never on Windows itself.

    Elsewhere opening shuts nobody out and leaves no trace: whoever writes without a lock is not seen, which is
    nearly everybody. What is seen is an exclusive `flock` of a program that cares; on NFS and CIFS that of a
    program on another machine too, as far as server and mount pass locks on.

    Args:
        path: the file.
        inside: as of `read_shared`; of a file outside it nothing is known.
    """
    try:
        return _is_held(path, inside)
    except (OSError, ValueError, NeverAnImage, PlaceForbids):
        return False


def _check(path: Path, found: os.stat_result, at_most: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise NeverAnImage(f"{path}: this is {kind}", wanted="an image file")
    if at_most is None and found.st_size > MAX_FILE_BYTES:
        raise NeverAnImage(
            f"{path}: the file is too large",
            seen=f"{found.st_size} bytes",
            wanted=f"at most {MAX_FILE_BYTES} bytes",
        )


if sys.platform == "win32":

    def _open(path: Path) -> int:
        return open_descriptor(path, kernel_calls())

    def _open_inside(folder: Path, relative: PurePath, at_most: int | None) -> int:
        path = folder / relative
        _check(path, path.stat(), at_most)
        return open_descriptor(path, kernel_calls(), inside=folder)

    def _let_wait(descriptor: int) -> None:
        pass

    def _is_held(path: Path, inside: Path | None) -> bool:
        _check(path, path.stat(), 0)
        return is_held(path, kernel_calls(), inside=inside)

else:
    # O_NONBLOCK: a pipe that took the name has no writer to wait for; O_NOCTTY: nor does a terminal bind us
    _FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

    def _open(path: Path) -> int:
        return os.open(path, _FLAGS)

    # O_PATH, where there is one: a folder that may be entered and not listed is no obstacle
    _FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC

    def _open_inside(folder: Path, relative: PurePath, at_most: int | None) -> int:
        try:
            return _open_without_links(folder, relative, at_most)
        except OSError as error:
            # so a link answers: as the file, and as a folder
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
        # one that stays inside is followed here; one that is put there from now on is refused
        return _open_without_links(*resolve_inside(folder, relative), at_most)

    def _open_without_links(folder: Path, relative: PurePath, at_most: int | None) -> int:
        """Open a file part by part, so that whatever becomes a link meanwhile is not followed."""
        if not relative.parts:
            # a link that leads to the folder itself
            _check(folder, folder.stat(), at_most)
        *above, name = relative.parts
        opened = os.open(folder, _FOLDER_FLAGS)
        try:
            for part in above:
                inner = os.open(part, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=opened)
                os.close(opened)
                opened = inner
            found = os.stat(name, dir_fd=opened, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder / relative))
            _check(folder / relative, found, at_most)
            return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=opened)
        finally:
            os.close(opened)

    def _let_wait(descriptor: int) -> None:
        # of a regular file, bytes that a network drive has yet to bring are waited for
        os.set_blocking(descriptor, True)

    def _is_held(path: Path, inside: Path | None) -> bool:
        descriptor = _opened(path, inside, 0)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return False
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # a child forked in this instant would keep it otherwise
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False
