"""Opening as Windows does it: who may do what with a file while it is open is said when opening it.

Never run on Windows: written by the documentation of `CreateFileW`, with the system's calls passed in so that what is
done with their answers is tested anywhere.
"""

import os
import sys
from pathlib import Path
from typing import Protocol

# winnt.h, fileapi.h, winerror.h
GENERIC_READ = 0x80000000
SHARE_READ, SHARE_WRITE, SHARE_DELETE = 1, 2, 4
NORMAL = 0x80
SEQUENTIAL_SCAN = 0x08000000
SHARING_VIOLATION = 32


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

    def descriptor(self, handle: int) -> int:
        """A descriptor for reading that owns the handle from now on."""


def open_descriptor(path: Path, calls: WindowsCalls) -> int:
    """Opens a file for reading while others read, write, rename and delete it; `open` would forbid the last two.

    Raises:
        OSError: as `open` raises it.
    """
    share = SHARE_READ | SHARE_WRITE | SHARE_DELETE
    handle = calls.create_file(str(path), GENERIC_READ, share, NORMAL | SEQUENTIAL_SCAN)
    if handle is None:
        error = calls.error(calls.last_error())
        error.filename = str(path)
        raise error
    try:
        return calls.descriptor(handle)
    except BaseException:
        calls.close_handle(handle)
        raise


def is_held(path: Path, calls: WindowsCalls) -> bool:
    """Whether the file cannot be opened for reading with others kept from writing, because somebody has it open."""
    handle = calls.create_file(str(path), GENERIC_READ, SHARE_READ | SHARE_DELETE, NORMAL)
    if handle is None:
        return calls.last_error() == SHARING_VIOLATION
    calls.close_handle(handle)
    return False


if sys.platform == "win32":
    import ctypes
    import functools
    import msvcrt
    from ctypes import wintypes

    _OPEN_EXISTING = 3
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

        def create_file(self, path: str, access: int, share: int, flags: int) -> int | None:
            handle: int | None = self._create(path, access, share, None, _OPEN_EXISTING, flags, None)
            return None if handle == _INVALID_HANDLE else handle

        def last_error(self) -> int:
            return ctypes.get_last_error()

        def error(self, code: int) -> OSError:
            return ctypes.WinError(code)

        def close_handle(self, handle: int) -> None:
            self._close(handle)

        def descriptor(self, handle: int) -> int:
            return msvcrt.open_osfhandle(handle, os.O_RDONLY | os.O_BINARY | os.O_NOINHERIT)

    @functools.cache
    def kernel_calls() -> WindowsCalls:
        """The calls of this Windows, looked up once."""
        return _Kernel()
