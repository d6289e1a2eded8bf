"""Opening as Windows does it: who may do what with a file while it is open is said when opening it.

Never run on Windows: written by the documentation of `CreateFileW`, with the system's calls passed in so that what is
done with their answers is tested anywhere.
"""

import os
import sys
from pathlib import Path, PureWindowsPath
from typing import Protocol

from runtime.place import PlaceForbids, leads_out

# winnt.h, fileapi.h, winerror.h
GENERIC_READ = 0x80000000
SHARE_READ, SHARE_WRITE, SHARE_DELETE = 1, 2, 4
NORMAL = 0x80
SEQUENTIAL_SCAN = 0x08000000
# a folder is opened with it alone
BACKUP_SEMANTICS = 0x02000000
SHARING_VIOLATION = 32
_JUNCTION = 0xA0000003


class WindowsCalls(Protocol):
    """What is asked of Windows."""

    def create_file(self, path: str, access: int, share: int, flags: int) -> int | None:
        """Opens what exists; a handle, or None."""

    def last_error(self) -> int:
        """The system's code of why there was none."""

    def error(self, code: int) -> OSError:
        """The exception that `open` would raise for a code."""

    def close_handle(self, handle: int) -> None:
        """Gives a handle back."""

    def final_path(self, handle: int) -> str | None:
        """Where an open file or folder really lies, all links followed; None where the drive does not tell."""

    def descriptor(self, handle: int) -> int:
        """A descriptor for reading that owns the handle from now on."""


def open_descriptor(path: Path, calls: WindowsCalls, *, inside: Path | None = None) -> int:
    """Opens a file for reading while others read, write, rename and delete it; `open` would forbid the last two.

    Args:
        path: the file.
        calls: of Windows.
        inside: a folder above the file that no link may lead out of; None follows every link.

    Raises:
        OSError: as `open` raises it.
        PlaceForbids: a link leads out of `inside`.
    """
    share = SHARE_READ | SHARE_WRITE | SHARE_DELETE
    handle = calls.create_file(str(path), GENERIC_READ, share, NORMAL | SEQUENTIAL_SCAN)
    if handle is None:
        error = calls.error(calls.last_error())
        error.filename = str(path)
        raise error
    try:
        if inside is not None:
            _require_inside(handle, path, inside, calls)
        return calls.descriptor(handle)
    except BaseException:
        calls.close_handle(handle)
        raise


def is_held(path: Path, calls: WindowsCalls, *, inside: Path | None = None) -> bool:
    """Whether the file cannot be opened for reading with others kept from writing, because somebody has it open.

    Raises:
        PlaceForbids: a link leads out of `inside`, as of `open_descriptor`.
    """
    if inside is not None and not _is_told_inside(path, inside, calls):
        raise leads_out(path)
    handle = calls.create_file(str(path), GENERIC_READ, SHARE_READ | SHARE_DELETE, NORMAL)
    if handle is None:
        return calls.last_error() == SHARING_VIOLATION
    calls.close_handle(handle)
    return False


def _is_told_inside(path: Path, inside: Path, calls: WindowsCalls) -> bool:
    """Tell whether a file lies inside the folder now, opened without being read or shutting anybody out."""
    handle = calls.create_file(str(path), 0, SHARE_READ | SHARE_WRITE | SHARE_DELETE, NORMAL)
    if handle is None:
        return True
    try:
        _require_inside(handle, path, inside, calls)
    except PlaceForbids:
        return False
    finally:
        calls.close_handle(handle)
    return True


def _require_inside(handle: int, path: Path, inside: Path, calls: WindowsCalls) -> None:
    """Require that an open file really lies below a folder.

    The handle is asked and not the path, so that no link that is put there later makes a difference. A drive that does
    not tell where its files lie is taken by its path, which must be without links.
    """
    folder = calls.create_file(str(inside), 0, SHARE_READ | SHARE_WRITE | SHARE_DELETE, BACKUP_SEMANTICS)
    if folder is None:
        raise calls.error(calls.last_error())
    try:
        place, real = calls.final_path(folder), calls.final_path(handle)
    finally:
        calls.close_handle(folder)
    if place is not None and real is not None:
        if not PureWindowsPath(real).is_relative_to(PureWindowsPath(place)):
            raise leads_out(path)
    elif any(map(_is_link, (path, *path.parents[: len(path.relative_to(inside).parts) - 1]))):
        raise leads_out(path)


def _is_link(path: Path) -> bool:
    """Tell whether a path is a link or a junction, which Python takes for a folder."""
    return path.is_symlink() or getattr(path.lstat(), "st_reparse_tag", 0) == _JUNCTION


if sys.platform == "win32":
    import ctypes
    import functools
    import msvcrt
    from ctypes import wintypes

    _OPEN_EXISTING = 3
    _LONGEST_PATH = 32_768
    _INVALID_HANDLE = ctypes.c_void_p(-1).value

    class _Kernel:
        """The calls of this Windows."""

        def __init__(self) -> None:
            # use_last_error: Python itself may call Windows before the code is asked for
            kernel = ctypes.WinDLL("kernel32", use_last_error=True)
            self._create, self._close = kernel.CreateFileW, kernel.CloseHandle
            self._create.argtypes = (
                wintypes.LPCWSTR,
                wintypes.DWORD,
                wintypes.DWORD,
                wintypes.LPVOID,
                wintypes.DWORD,
                wintypes.DWORD,
                wintypes.HANDLE,
            )
            self._create.restype = wintypes.HANDLE
            self._close.argtypes, self._close.restype = (wintypes.HANDLE,), wintypes.BOOL
            self._final = kernel.GetFinalPathNameByHandleW
            self._final.argtypes = (wintypes.HANDLE, wintypes.LPWSTR, wintypes.DWORD, wintypes.DWORD)
            self._final.restype = wintypes.DWORD

        def create_file(self, path: str, access: int, share: int, flags: int) -> int | None:
            handle: int | None = self._create(path, access, share, None, _OPEN_EXISTING, flags, None)
            return None if handle == _INVALID_HANDLE else handle

        def last_error(self) -> int:
            return ctypes.get_last_error()

        def error(self, code: int) -> OSError:
            return ctypes.WinError(code)

        def close_handle(self, handle: int) -> None:
            self._close(handle)

        def final_path(self, handle: int) -> str | None:
            name = ctypes.create_unicode_buffer(_LONGEST_PATH)
            size: int = self._final(handle, name, _LONGEST_PATH, 0)
            return name.value if 0 < size < _LONGEST_PATH else None

        def descriptor(self, handle: int) -> int:
            return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY | os.O_NOINHERIT)

    @functools.cache
    def kernel_calls() -> WindowsCalls:
        """The calls of this Windows, looked up once."""
        return _Kernel()
