"""The real watch, handed frames in bursts, so that in between the parts of its work can be timed alone."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rehearsal import PATIENCE_S, started_watch
from runtime.errors import CheckFailed
from runtime.ledger import Ledger, State, open_ledger

# of a burst: until all three threads are busy
FIRST = 10


class Bursts:
    """A watch that is running, and the frames it gets."""

    def __init__(self, sources: Sequence[Path], folder: Path, out: Path, ledger: Ledger) -> None:
        self._sources, self._folder, self._out, self._ledger = sources, folder, out, ledger
        self._saved = 0

    def frame_s(self, frames: int) -> float:
        """Seconds a frame of a burst, from record to record, without the first of it.

        Raises:
            CheckFailed: a frame has no score.
        """
        first, self._saved = self._saved, self._saved + frames
        names = [f"v{number:07d}.bmp" for number in range(first, self._saved)]
        staged = self._folder.with_name("staged")
        staged.mkdir(exist_ok=True)
        for place, name in enumerate(names):
            shutil.copy(self._sources[place % len(self._sources)], staged / name)
        for name in names:
            (staged / name).rename(self._folder / name)
        deadline = time.monotonic() + PATIENCE_S
        while sum(n for state, n in self._ledger.counts().items() if state is not State.WAITING) < self._saved:
            if time.monotonic() > deadline:
                raise CheckFailed("the watch does not get on", seen=self._ledger.counts(), wanted=f"{self._saved} done")
            time.sleep(0.05)
        rows = {row.path.as_posix(): row for row in self._ledger.rows()}
        for name in names:
            if rows[name].state is not State.SCORED or not (self._out / f"{name}.map.ome.tif").exists():
                raise CheckFailed(f"{name} has no score", seen=rows[name].reason)
        finished = sorted(rows[name].finished or 0.0 for name in names)[FIRST:]
        return (finished[-1] - finished[0]) / (len(finished) - 1)


@contextmanager
def watching(sources: Sequence[Path], place: Path) -> Iterator[Bursts]:
    """A watch on an empty folder below `place`, as a process of its own."""
    folder, out = place / "microscope", place / "results"
    folder.mkdir(parents=True)
    command = ["watch", str(folder), "--out", str(out), "--settle", "0.2", "--min-free", "0", "--threads", "1"]
    with started_watch(command, out, place / "watch.log"), open_ledger(out) as ledger:
        yield Bursts(sources, folder, out, ledger)
