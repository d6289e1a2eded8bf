"""Suites run one after the other, each within its time limit, with a log each."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child_process import run_child
from benchmarks.nightly.suites import Suite

PASSED, FAILED, INTERRUPTED = "passed", "**FAILED**", "**interrupted**"
# time to remove temporary files and end processes, before the suite is killed
OBEY_S = 20.0
MOST_FIGURES = 200


@dataclass(frozen=True)
class Row:
    """The outcome of one suite, as the table shows it.

    Attributes:
        suite: its name.
        result: passed, or why not.
        figures: what it said last.
        took: how long, in words.
        commit: that was tested, with `-dirty` where the tree differs from it.
        date: of the run's end, in UTC.
    """

    suite: str
    result: str
    figures: str
    took: str
    commit: str
    date: str


def run_suites(
    suites: Sequence[Suite],
    folder: Path,
    *,
    checkout: Path,
    commit: str,
    today: Callable[[], str],
    done: Callable[[Row], None],
) -> None:
    """Run suites; a suite that fails or hangs keeps none from running.

    Args:
        suites: in order.
        folder: for the logs, one `SUITE.log` each.
        checkout: where they run.
        commit: that is tested.
        today: tells the date.
        done: told each row as soon as it is known, the last one also where the run is interrupted.
    """
    for suite in suites:
        log, started, result = folder / f"{suite.name.replace('/', '-')}.log", time.monotonic(), INTERRUPTED
        try:
            result = _result(suite, log, checkout)
        finally:
            took = time.monotonic() - started
            done(Row(suite.name, result, last_line(log), in_words(took), commit, today()))


def _result(suite: Suite, log: Path, checkout: Path) -> str:
    with log.open("wb") as said:
        try:
            found = run_child(
                suite.command,
                timeout_s=suite.limit_s,
                obey_s=OBEY_S,
                cwd=checkout,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        except subprocess.TimeoutExpired:
            return f"**ended after {in_words(suite.limit_s)}**"
        except OSError as error:
            said.write(f"{error}\n".encode())
            return FAILED
    return PASSED if found.returncode == 0 else f"{FAILED} ({found.returncode})"


def last_line(log: Path) -> str:
    """Return what a suite said last; of pytest its counts, without time and rulers."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last.strip("= ").partition(" in ")[0][:MOST_FIGURES] if _is_summary(last) else last[:MOST_FIGURES]


def in_words(seconds: float) -> str:
    """Return a duration in seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _is_summary(line: str) -> bool:
    return " in " in line and any(word in line for word in (" passed", " failed", " error", " skipped"))
