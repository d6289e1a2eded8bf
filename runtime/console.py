"""What a person at a terminal sees while they wait: a bar on a terminal, plain lines otherwise."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from runtime.errors import InflamapError

# without a terminal a line now and then shows that work goes on, and a log stays short
SECONDS_BETWEEN_LINES = 10.0


class Reporter(Protocol):
    """Progress and messages, all on stderr: stdout belongs to results."""

    def progress(self, label: str, done: int, total: int) -> None:
        """Tell how far the work named `label` has come."""
        ...

    def say(self, line: str) -> None:
        """One line for the person."""
        ...


@contextmanager
def reporter() -> Iterator[Reporter]:
    """A reporter for one command."""
    if not sys.stderr.isatty():
        yield _PlainLines()
        return
    # only a terminal pays for its import
    from runtime.progress_bar import progress_bar

    with progress_bar() as bar:
        yield bar


def print_result(text: str) -> None:
    """Print on stdout. A reader that has gone (`| head`) wants no more, which is no failure.

    Raises:
        InflamapError: stdout cannot be written to for another reason.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # what Python still holds for stdout would fail again when it ends
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise InflamapError("stdout: cannot be written to", seen=error.strerror) from error


class _PlainLines:
    """For logs and pipes."""

    def __init__(self) -> None:
        self._last_line = time.monotonic()

    def progress(self, label: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self.say(f"{label}: {done} of {total}")

    def say(self, line: str) -> None:
        # a terminal or log that has gone must not end the work
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)
