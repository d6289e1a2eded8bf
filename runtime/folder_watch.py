"""New images of a folder, each once it has come to rest.

The file system's events are hints that come late, twice or never (watchdog issues 309, 409, 787); a rescan finds what
they missed, and what was saved while nobody watched.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InflamapError
from runtime.images import find_images, looks_like_image, unlistable

LONGEST_SETTLE_S = 86_400


@dataclass(frozen=True)
class WatchSettings:
    """How patient the watch is, in seconds.

    Attributes:
        settle_s: a file is taken when its size and time of change have rested this long.
        rescan_s: the whole folder is listed anew this often.
        poll_s: files that have not come to rest are looked at this often.
    """

    settle_s: float = 1.0
    rescan_s: float = 30.0
    poll_s: float = 0.1

    def __post_init__(self) -> None:
        # a NaN would wait for ever
        if not 0 <= self.settle_s <= LONGEST_SETTLE_S:
            raise InflamapError("--settle", seen=self.settle_s, wanted=f"0 to {LONGEST_SETTLE_S} seconds")


@dataclass(frozen=True)
class FileState:
    """Size in bytes and time of change in nanoseconds: what changes while a file is written."""

    size: int
    mtime_ns: int

    @staticmethod
    def of(path: Path) -> "FileState | None":
        """None where there is no file any more, or none that can be looked at."""
        try:
            status = path.stat()
        except OSError:
            return None
        return FileState(status.st_size, status.st_mtime_ns)


class Settling:
    """Files seen, and since when each has not changed. Knows no clock and no folder, only what it is told."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._resting_since: dict[Path, tuple[FileState, float]] = {}
        self._taken: dict[Path, FileState] = {}

    def __len__(self) -> int:
        """Number of files that have not come to rest."""
        return len(self._resting_since)

    def see(self, path: Path, state: FileState | None, now: float, age_s: float = 0.0) -> None:
        """Note what a file looks like now.

        Args:
            path: the file.
            state: None when it is gone.
            now: seconds on a steady clock.
            age_s: how long ago the file says it was changed; a file found long after is at rest already.
        """
        known = self._resting_since.get(path)
        if state is None:
            self._resting_since.pop(path, None)
            self._taken.pop(path, None)
        elif state == self._taken.get(path):
            return
        elif known is None:
            # an age below zero comes from a clock set back, or a copy that kept another machine's time
            self._resting_since[path] = (state, now - max(0.0, age_s))
        elif known[0] != state:
            self._resting_since[path] = (state, now)

    def waiting(self) -> list[Path]:
        """Files that have not come to rest."""
        return list(self._resting_since)

    def take(self, now: float) -> list[Path]:
        """Files that have come to rest, in the order in which they did; each is given once for each content."""
        ready = sorted(
            (since, path) for path, (_state, since) in self._resting_since.items() if now - since >= self._settle_s
        )
        for _since, path in ready:
            self._taken[path] = self._resting_since.pop(path)[0]
        return [path for _since, path in ready]


def watch_folder(
    folder: Path,
    settings: WatchSettings,
    stop: threading.Event,
    *,
    once: bool = False,
    clock: Callable[[], float] = time.monotonic,
    warn: Callable[[str], None],
) -> Iterator[Path]:
    """Images below `folder`, those already there first, each when it has come to rest; until `stop` is set.

    Args:
        folder: only read.
        settings: how patient to be.
        stop: ends the watch.
        once: end when every image found at the start was given.
        clock: seconds on a steady clock.
        warn: told once of each folder that cannot be listed, and when no events come.

    Raises:
        InflamapError: there is no such folder at the start.
    """
    require_folder(folder)
    settling = Settling(settings.settle_s)
    told: set[str] = set()

    def warn_once(line: str) -> None:
        if line not in told:
            told.add(line)
            warn(line)

    next_scan = clock()
    with _hints_of(folder, wanted=not once, warn=warn_once) as hints:
        while not stop.is_set():
            seen = settling.waiting()
            if clock() >= next_scan:
                seen += _images_below(folder, warn_once)
                next_scan = float("inf") if once else clock() + settings.rescan_s
            # no more than there are now, so that a flood of events cannot keep it from all else
            hinted = {hints.get() for _ in range(hints.qsize())}
            seen += filter(looks_like_image, hinted)
            for path in seen:
                _look(settling, path, clock())
            for path in settling.take(clock()):
                if stop.is_set():
                    return
                yield path
            if once and not settling:
                return
            stop.wait(settings.poll_s)


def require_folder(folder: Path) -> None:
    """Raises InflamapError where there is no such folder."""
    if not folder.is_dir():
        raise InflamapError(
            f"{folder}: no such folder", wanted="the folder the microscope saves to", next_step="check the path"
        )


def _images_below(folder: Path, warn: Callable[[str], None]) -> list[Path]:
    """What a rescan finds. A share that is gone for a while is no end: the next rescan looks again."""
    try:
        return list(find_images(folder, on_error=lambda error: warn(str(unlistable(error)))))
    except InflamapError as error:
        warn(str(error))
        return []


@contextmanager
def _hints_of(folder: Path, *, wanted: bool, warn: Callable[[str], None]) -> Iterator["queue.SimpleQueue[Path]"]:
    """A queue that the file system's events fill; it stays empty where none are wanted, or none are to be had."""
    hints: queue.SimpleQueue[Path] = queue.SimpleQueue()
    with ExitStack() as stack:
        if wanted:
            # only a watch that waits for events pays for their library's import
            from runtime.folder_hints import folder_hints

            try:
                hints = stack.enter_context(folder_hints(folder))
            except OSError as error:
                warn(f"{folder}: no events ({error.strerror}); new images are found when the folder is listed again")
        yield hints


def _look(settling: Settling, path: Path, now: float) -> None:
    state = FileState.of(path)
    age_s = 0.0 if state is None else time.time() - state.mtime_ns / 1e9
    settling.see(path, state, now, age_s)
