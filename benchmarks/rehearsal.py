"""The real watch, as a process of its own, on a folder into which frames are being saved at the microscope's rate."""

import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.child_process import child_process, python_module
from benchmarks.microscope import Microscope
from runtime.errors import CheckFailed
from runtime.ledger import Ledger, State, open_ledger
from runtime.outputs import LEDGER_FILE

# a watch that does nothing for so long has stopped
PATIENCE_S = 60.0
LOOK_S = 0.25


@dataclass(frozen=True)
class Rehearsal:
    """What came of it.

    Attributes:
        per_second: frames saved a second.
        saved: frames saved.
        recorded: of these, frames whose result is on the disk, each counted once.
        states: number of ledger rows in each state.
        settle_s: seconds a file has to rest before it is read; a part of every latency.
        latency_s: for each recorded frame, seconds from the closing of its file to its row, in the order of saving.
        most_pending: the most frames seen saved and not recorded yet, those that still rest among them.
        processor_share: processor seconds of the watch a second, from the first frame saved to the last recorded.
    """

    per_second: float
    saved: int
    recorded: int
    states: dict[str, int]
    settle_s: float
    latency_s: tuple[float, ...]
    most_pending: int
    processor_share: float

    def latency(self, percent: float) -> float:
        """A percentile of the latency, in seconds."""
        return float(np.percentile(self.latency_s, percent))

    def to_json(self) -> dict[str, Any]:
        """The figures, without the single frames."""
        return {
            "frames_per_second": self.per_second,
            "saved": self.saved,
            "recorded": self.recorded,
            "states": self.states,
            "settle_s": self.settle_s,
            "close_to_record_s": {
                name: round(self.latency(p), 3) for name, p in (("p50", 50), ("p95", 95), ("max", 100))
            },
            "most_pending": self.most_pending,
            "processor_share": round(self.processor_share, 3),
        }


def rehearse(
    sources: Sequence[bytes],
    folder: Path,
    out: Path,
    options: Sequence[str],
    *,
    per_second: float,
    count: int,
    settle_s: float,
    log: Path,
    show: Callable[[str], None],
    progress: Callable[[str, int, int], None],
) -> Rehearsal:
    """Watch, save, wait until every frame has its row, and stop the watch.

    Args:
        sources: contents of image files, saved in turn.
        folder: what is watched; new.
        out: the results' folder; new.
        options: more of the watch's options.
        per_second: frames saved a second.
        count: frames saved in all.
        settle_s: the watch's `--settle`.
        log: file for what the watch says.
        show: told the watch's command, as a user would type it.
        progress: told how many frames are recorded.

    Raises:
        CheckFailed: the watch ended, or stopped working; `log` says more.
    """
    microscope = Microscope(sources, folder, per_second=per_second, count=count)
    folder.mkdir(parents=True)
    command = [*("watch", str(folder), "--out", str(out), "--settle", f"{settle_s:g}"), *options]
    show(shlex.join(["inflamap", *command]))
    with started_watch(command, out, log) as process:
        watched = psutil.Process(process.pid)
        started, used = time.monotonic(), _processor_s(watched)
        microscope.start()
        with open_ledger(out) as ledger:
            most_pending = _wait_until_done(process, microscope, ledger, count, log, progress)
        share = (_processor_s(watched) - used) / (time.monotonic() - started)
        microscope.join()
    with open_ledger(out) as ledger:
        rows = {row.path.as_posix(): row for row in ledger.rows()}
        states = {str(state): number for state, number in ledger.counts().items()}
    done = [(frame.closed, rows[frame.path.as_posix()]) for frame in microscope.saved if frame.path.as_posix() in rows]
    latency = tuple(
        row.finished - closed for closed, row in done if row.state in (State.SCORED, State.WITHHELD) and row.finished
    )
    return Rehearsal(per_second, len(microscope.saved), len(latency), states, settle_s, latency, most_pending, share)


@contextmanager
def started_watch(arguments: Sequence[str], out: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start an `inflamap watch` in the background and wait until it has begun; end it however the block is left.

    On Windows it ends without being asked.

    Args:
        arguments: of `inflamap`.
        out: its results' folder.
        log: file for what it says.

    Raises:
        CheckFailed: it does not begin.
    """
    with log.open("wb") as said, child_process(python_module("runtime.cli", *arguments), stderr=said) as process:
        _wait_until_watching(process, out, log)
        yield process


def _wait_until_watching(process: "subprocess.Popen[bytes]", out: Path, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not ((out / LEDGER_FILE).exists() and b"watching " in log.read_bytes()):
        _require_alive(process, deadline, log)
        time.sleep(0.05)


def _wait_until_done(
    process: "subprocess.Popen[bytes]",
    microscope: Microscope,
    ledger: Ledger,
    count: int,
    log: Path,
    progress: Callable[[str, int, int], None],
) -> int:
    """The most frames seen waiting at once."""
    most, last, deadline = 0, -1, time.monotonic() + PATIENCE_S
    while last < count:
        counts = ledger.counts()
        done = sum(number for state, number in counts.items() if state is not State.WAITING)
        most = max(most, len(microscope.saved) - done)
        if done > last:
            last, deadline = done, time.monotonic() + PATIENCE_S
        progress("recorded", done, count)
        if microscope.error is not None:
            raise CheckFailed("the frames cannot be saved", seen=microscope.error) from microscope.error
        _require_alive(process, deadline, log)
        time.sleep(LOOK_S)
    return most


def _require_alive(process: "subprocess.Popen[bytes]", deadline: float, log: Path) -> None:
    if process.poll() is not None or time.monotonic() > deadline:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        raise CheckFailed(
            "the watch does not work here",
            seen=lines[-1] if lines else f"exit code {process.poll()}",
            next_step=f"read {log}",
        )


def _processor_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)
