"""What one input did to a reader."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.targets import Target
from runtime.errors import UnreadableImage

MOST_SECONDS = 5.0
MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Verdict:
    """How an input ended.

    Attributes:
        outcome: `read`, or in a word why it was refused.
        caught: type of an exception that only the reader's last seam would catch; None where there was none.
        failure: what must not be: too long, too much memory, or words printed; None.
        seconds: that it took.
        peak_bytes: by which the process grew at its largest; 0 where the system does not tell.
    """

    outcome: str
    caught: str | None
    failure: str | None
    seconds: float
    peak_bytes: int


def judge(target: Target, data: bytes) -> Verdict:
    """Hand an input to a reader and look at what it did.

    A crash ends the process, and an endless loop this call; whoever needs to outlive them calls it in a process of its
    own. Exceptions are never failures of a reader of files, for its last seam (`read_frames`) takes all; what comes so
    far is noted. Too little memory is one: nobody else should run out of it.
    """
    before = _start_peak()
    started = time.perf_counter()
    outcome, caught, failure = "read", None, None
    with _quiet() as printed, _little_memory():
        try:
            target.read(data)
        except UnreadableImage as error:
            outcome, failure = error.what, _out_of_memory(error)
        except Exception as error:  # whatever it is, it is what is looked for
            outcome = caught = type(error).__name__
            failure = _out_of_memory(error)
    seconds, peak = time.perf_counter() - started, max(0, _peak() - before)
    if seconds > MOST_SECONDS:
        failure = f"took {seconds:.1f} s"
    elif peak > MOST_BYTES:
        failure = f"grew by {peak >> 20} MB"
    elif printed:
        failure = f"printed {printed[0][:80]!r}"
    return Verdict(outcome, caught, failure, seconds, peak)


def _out_of_memory(error: BaseException) -> str | None:
    """Whether an error, or one that it came of, is a request for more memory than there is."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or "insufficient memory" in str(cause).lower():
            return f"asked for more memory than there is: {cause}"
        cause = cause.__cause__ or cause.__context__
    return None


@contextmanager
def _little_memory() -> Iterator[None]:
    """Lets the block ask for `MOST_BYTES` more than the process has, where the system can tell and refuse."""
    try:
        import resource

        has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    kept = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (has + MOST_BYTES, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, kept)


@contextmanager
def _quiet() -> Iterator[list[bytes]]:
    """Takes what the block writes to the process's stdout and stderr, libraries in C too, into the list."""
    printed: list[bytes] = []
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    os.set_blocking(read, False)
    # a full pipe would stop whoever writes
    os.set_blocking(write, False)
    kept = [(number, os.dup(number)) for number in (1, 2)]
    try:
        for number, _ in kept:
            os.dup2(write, number)
        yield printed
    finally:
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
        os.close(write)
        with suppress(BlockingIOError):
            words = os.read(read, 4096)
            if words:
                printed.append(words)
        os.close(read)


def _start_peak() -> int:
    """Resident bytes now, from which on the largest are counted."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """The most resident bytes since then; 0 where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) << 10
    return 0
