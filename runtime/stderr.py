"""The process's stderr, by which a library tells what it finds wrong and tells nowhere else.

It belongs to the whole process: while one call is listened to, other threads write to it too, and a child that is
started inherits it. So one lock is held by whoever listens and by whoever starts a child.
"""

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_STDERR = 2
_PIECE = 1 << 16
# for the end of what is heard, which comes at once unless a child holds the pipe
LONGEST_WAIT_S = 2.0
_lock = threading.Lock()


def start_child(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Start a child process as `subprocess.Popen` does, with the stderr that this process began with.

    A child that may be started while another thread reads images has to be started here.
    """
    with _lock:
        return subprocess.Popen(command, **options)


def listen(call: Callable[[], T], keep: Callable[[bytes], bytes]) -> T:
    """Return what `call` returns, and hand on what is written to stderr meanwhile, also where it raises.

    Where stderr cannot be redirected, as in a Windows service, which has none, nothing is heard.

    Args:
        call: is listened to.
        keep: is given all that was written, by `call` and by other threads, and returns what is to be passed on.
    """
    with _lock:
        try:
            stderr = os.dup(_STDERR)
        except OSError:
            return call()
        try:
            pipe = _Pipe()
            try:
                return call()
            finally:
                # closes the pipe's last end: whoever is writing to it in this instant is still heard
                os.dup2(stderr, _STDERR)
                _write_all(keep(pipe.heard()))
        finally:
            os.close(stderr)


class _Pipe:
    """A pipe in the place of stderr, and a thread that empties it, so that no writer waits."""

    def __init__(self) -> None:
        self._end, into = os.pipe()
        self._pieces: list[bytes] = []
        self._is_late = False
        self._reader = threading.Thread(target=self._read, name="stderr", daemon=True)
        try:
            # first: without a reader nothing may be redirected
            self._reader.start()
            os.dup2(into, _STDERR)
        finally:
            os.close(into)

    def heard(self) -> bytes:
        """Return all that was written, after stderr is itself again."""
        self._reader.join(LONGEST_WAIT_S)
        # a child that was not started by `start_child` may hold the pipe for as long as it runs
        self._is_late = True
        return b"".join(self._pieces)

    def _read(self) -> None:
        try:
            while piece := os.read(self._end, _PIECE):
                if self._is_late:
                    _write_all(piece)
                else:
                    self._pieces.append(piece)
        finally:
            os.close(self._end)


def _write_all(text: bytes) -> None:
    # one that is gone takes nothing
    with suppress(OSError):
        while text:
            text = text[os.write(_STDERR, text) :]
