"""The bar on a terminal, by rich."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class ProgressBar:
    """A `Reporter` with one bar for the work in hand."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = bars.add_task("", visible=False)
        self._label = ""

    def progress(self, label: str, done: int, total: int) -> None:
        """See `Reporter.progress`."""
        if label != self._label:
            self._label = label
            self._bars.reset(self._task, total=total, description=label, visible=True)
        self._bars.update(self._task, completed=done, total=total)

    def say(self, line: str) -> None:
        """See `Reporter.say`; above the bar."""
        # plain text: file names may hold what rich would take for markup
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar() -> Iterator[ProgressBar]:
    """A bar that leaves no trace when the work is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bars:
        yield ProgressBar(bars)
