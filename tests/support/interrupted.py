"""A real program that is interrupted, and every process that it had started."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

# of a program on a busy machine to start its processes; no promise
PATIENCE_S = 60.0
# how long a process may outlive the program that started it
OUTLIVE_S = 15.0


def to_group(pid: int) -> None:
    """Send SIGINT to the process group, as a terminal does on Ctrl-C."""
    os.killpg(pid, signal.SIGINT)


def to_parent(number: int) -> Callable[[int], None]:
    """Return what sends one signal to the parent alone."""
    return lambda pid: os.kill(pid, number)


WAYS: dict[str, tuple[Callable[[int], None], int]] = {
    "Ctrl-C": (to_group, 130),
    "SIGINT to the parent": (to_parent(signal.SIGINT), 130),
    "SIGTERM to the parent": (to_parent(signal.SIGTERM), 143),
    "SIGKILL of the parent": (to_parent(signal.SIGKILL), -signal.SIGKILL),
}
"""By name: what sends the signal, and the exit code that is wanted."""


@dataclass
class Interrupted:
    """A program that ended by a signal.

    Attributes:
        code: its exit code.
        said: lines on stderr, of its children too.
        outlived: command lines of processes that still live `OUTLIVE_S` after its end.
        had: the number of processes that it had started at the signal.
    """

    code: int
    said: list[str]
    had: int
    outlived: list[str] = field(default_factory=list)


def interrupt(
    command: Sequence[str], folder: Path, ready: Callable[[psutil.Process], bool], send: Callable[[int], None]
) -> Interrupted:
    """Start a program in a process group of its own, send it a signal when it is ready, and wait for its end.

    Args:
        command: the program.
        folder: an empty folder; the program is started in it.
        ready: tells whether the moment for the signal has come.
        send: sends the signal.
    """
    log = folder / "stderr.txt"
    with log.open("wb") as said, _started(command, folder, said) as process:
        seen: dict[int, psutil.Process] = {}
        try:
            parent, deadline = psutil.Process(process.pid), time.monotonic() + PATIENCE_S
            while not ready(parent):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                _remember(seen, parent)
                time.sleep(0.01)
            _remember(seen, parent)
            had = len([child for child in seen.values() if child.is_running()])
            send(process.pid)
            # one that is started in this instant is met too
            while process.poll() is None:
                assert time.monotonic() < deadline + PATIENCE_S, log.read_text()
                _remember(seen, parent)
                time.sleep(0.01)
            deadline = time.monotonic() + OUTLIVE_S
            while (outlived := _living(seen.values())) and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            for child in (*seen.values(), process):
                with suppress(psutil.Error, ProcessLookupError):
                    child.kill()
    return Interrupted(process.returncode, log.read_text().splitlines(), had, outlived)


def _started(command: Sequence[str], folder: Path, stderr: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a program that SIGINT reaches, also where these tests run in the background, whose SIGINT is ignored."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(command, cwd=folder, stderr=stderr, process_group=0)
    finally:
        signal.signal(signal.SIGINT, before)


def _living(processes: Iterable[psutil.Process]) -> list[str]:
    """Return the command lines of processes that live; one that ended and was not fetched yet does not."""
    found = []
    for process in processes:
        with suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


def _remember(seen: dict[int, psutil.Process], parent: psutil.Process) -> None:
    with suppress(psutil.Error):
        for child in parent.children(recursive=True):
            seen.setdefault(child.pid, child)
