"""All readers, each fuzzed in processes of its own, which may die."""

import json
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from benchmarks.child_process import python_module, run_child

# a worker has to import everything before its time begins, and ends by itself
_SPARE_S = 120


@dataclass
class Figures:
    """What fuzzing one reader came to.

    Attributes:
        reader: its name.
        seconds: that it was fuzzed.
        inputs: how many it was handed.
        longest_s, peak_bytes: the most time that one took, and by which the process grew.
        outcomes: how many ended in which way.
        caught: how many by an exception that only the last seam catches, by its type.
        failures: what must not be, by the file that holds the input.
    """

    reader: str
    seconds: float = 0.0
    inputs: int = 0
    longest_s: float = 0.0
    peak_bytes: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    caught: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, found: dict[str, Any]) -> None:
        """Take in what one process wrote down."""
        self.seconds += found["seconds"]
        self.inputs += found["inputs"]
        self.longest_s = max(self.longest_s, found["longest_s"])
        self.peak_bytes = max(self.peak_bytes, found["peak_bytes"])
        for mine, more in ((self.outcomes, found["outcomes"]), (self.caught, found["caught"])):
            for key, number in more.items():
                mine[key] = mine.get(key, 0) + number
        self.failures |= found["failures"]


def run(
    readers: Sequence[str], minutes: float, seed: int, folder: Path, *, processes: int, say: Callable[[str], None]
) -> list[Figures]:
    """Fuzz each reader for its share of the time, some side by side.

    Args:
        readers: names of targets.
        minutes: of all together, by the clock.
        seed: what the inputs are drawn by.
        folder: where inputs that fail are kept.
        processes: how many run at once.
        say: told a line as each ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    share = 60 * minutes * min(processes, len(readers)) / len(readers)

    def one(reader: str) -> Figures:
        command = python_module("benchmarks.fuzz.worker", reader)
        found = fuzz_reader(reader, command, share, seed, folder, stop)
        say(f"{reader}: {found.inputs} inputs, {len(found.failures)} failures")
        return found

    stop = threading.Event()
    with ThreadPoolExecutor(processes) as pool:
        try:
            return list(pool.map(one, readers))
        finally:
            # the threads end their processes, and begin with no other reader
            stop.set()


def fuzz_reader(
    reader: str, command: Sequence[str], seconds: float, seed: int, folder: Path, stop: threading.Event | None = None
) -> Figures:
    """Fuzz one reader; where its process dies, go on with another until the time is over.

    Args:
        reader: its name.
        command: what is run, with seconds, seed and folder behind.
        seconds: for how long.
        seed: of the first process; later ones count up.
        folder: where the process leaves `READER.json`, inputs that failed, and in `READER.last` the one it is at.
        stop: end the process, and begin with no other, soon after this is set.
    """
    figures, started = Figures(reader), time.monotonic()
    record, last = folder / f"{reader}.json", folder / f"{reader}.last"
    stop = stop or threading.Event()
    while (left := seconds - (time.monotonic() - started)) > 1:
        record.unlink(missing_ok=True)
        arguments = [*command, str(left), str(seed), str(folder)]
        with (folder / f"{reader}.log").open("ab") as log:
            try:
                code = run_child(arguments, stdout=log, stderr=log, timeout_s=left + _SPARE_S, stop=stop).returncode
            except TimeoutExpired:
                code = -signal.SIGKILL
        if stop.is_set():
            break
        if record.exists():
            figures.add(json.loads(record.read_text()))
        if code == 0:
            break
        if not last.exists():
            figures.failures[f"{reader}.log"] = f"the process ended with {code} before its first input"
            break
        died_of = folder / f"{reader}-died-{seed}"
        last.replace(died_of)
        figures.failures[died_of.name] = "hung or crashed: " + (
            signal.Signals(-code).name if code < 0 else f"the process ended with {code}"
        )
        seed += 1
    return figures
