"""A stand-in for the microscope: saves frames into a folder at a steady rate."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

FRAMES_PER_SECOND = 9.0
# a folder as these workstations name them
STACK = PurePath("case 1", "VivaStack #1")
# between the two halves of a file, so that the watch meets files that are being written
PAUSE_S = 0.02


@dataclass(frozen=True)
class Saved:
    """A frame that was saved: its path below the folder, and when its file was closed (Unix seconds)."""

    path: PurePath
    closed: float


class Microscope(threading.Thread):
    """Saves `count` frames as `v0000000.bmp`..., the contents of `sources` in turn, then ends.

    Attributes:
        saved: what was saved so far.
        error: why no more is saved; None as long as all goes well.
    """

    def __init__(self, sources: Sequence[bytes], folder: Path, *, per_second: float, count: int) -> None:
        super().__init__(name="microscope", daemon=True)
        self._sources, self._folder, self._per_second, self._count = sources, folder, per_second, count
        self.saved: list[Saved] = []
        self.error: OSError | None = None

    def run(self) -> None:
        try:
            self._save_all()
        except OSError as error:
            self.error = error

    def _save_all(self) -> None:
        (self._folder / STACK).mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        for number in range(self._count):
            # by the schedule and not after each other, so that a slow disk does not lower the rate
            time.sleep(max(0.0, started + number / self._per_second - time.monotonic()))
            path = STACK / f"v{number:07d}.bmp"
            data = self._sources[number % len(self._sources)]
            with (self._folder / path).open("wb") as file:
                file.write(data[: len(data) // 2])
                file.flush()
                time.sleep(PAUSE_S)
                file.write(data[len(data) // 2 :])
            self.saved.append(Saved(path, time.time()))
