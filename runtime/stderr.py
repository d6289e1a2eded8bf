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
    # some ten milliseconds that only a call to listen to should cost
    import tempfile

    with _lock, tempfile.TemporaryFile() as listener:
        try:
            stderr = os.dup(_STDERR)
        except OSError:
            return call()
        try:
            os.dup2(listener.fileno(), _STDERR)
            try:
                return call()
            finally:
                os.dup2(stderr, _STDERR)
                listener.seek(0)
                _write_all(keep(listener.read()))
        finally:
            os.close(stderr)


def _write_all(text: bytes) -> None:
    # one that is gone takes nothing
    with suppress(OSError):
        while text:
            text = text[os.write(_STDERR, text) :]
