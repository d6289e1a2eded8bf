"""New images of a folder, each once it has come to rest.

The file system's events are hints that come late, twice or never (watchdog issues 309, 409, 787); a rescan finds what
they missed, and what was saved while nobody watched.
"""

import queue
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InflamapError
from runtime.file_state import FileState
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


class Settling:
    """Files seen, and since when each has not changed. Knows no clock and no folder, only what it is told."""

    def __init__(self, settle_s: float, known: Iterable[tuple[Path, FileState]] = ()) -> None:
        """`known`: files with the content that was taken earlier; they are not given for it again."""
        self._settle_s = settle_s
        self._resting_since: dict[Path, tuple[FileState, float]] = {}
        self._taken = dict(known)

    def __len__(self) -> int:
        """Number of files that have not come to rest."""
        return len(self._resting_since)

    def see(self, path: Path, state: FileState | None, now: float, age_s: float = 0.0) -> None:
        """Note what a file looks like now.

        Args:
            path: the file.
            state: None when it is gone.
            now: seconds on a steady clock.
            age_s: how long it has been at rest already.
        """
        resting = self._resting_since.get(path)
        if state is None:
            self._resting_since.pop(path, None)
            self._taken.pop(path, None)
        elif state == self._taken.get(path):
            # a file that changed, and changed back before it was taken
            self._resting_since.pop(path, None)
        elif resting is None:
            # an age below zero comes from a clock set back, or a copy that kept another machine's time
            self._resting_since[path] = (state, now - max(0.0, age_s))
        elif resting[0] != state:
            self._resting_since[path] = (state, now)

    def waiting(self) -> list[Path]:
        """Files that have not come to rest."""
        return list(self._resting_since)

    def take(self, now: float) -> list[tuple[Path, FileState]]:
        """Files that have come to rest, in the order in which they did; each is given once for each content."""
        ready = sorted(
            (since, path) for path, (_state, since) in self._resting_since.items() if now - since >= self._settle_s
        )
        for _since, path in ready:
            self._taken[path] = self._resting_since.pop(path)[0]
        return [(path, self._taken[path]) for _since, path in ready]


class FolderWatch:
    """The images below a folder, those already there first, each when it has come to rest. See `watch_folder`."""

    def __init__(
        self,
        folder: Path,
        settings: WatchSettings,
        settling: Settling,
        hints: "queue.SimpleQueue[Path]",
        *,
        rescans: bool,
        clock: Callable[[], float],
        warn: Callable[[str], None],
    ) -> None:
        self._folder, self._settings, self._settling, self._hints = folder, settings, settling, hints
        self._rescans, self._clock, self._warn = rescans, clock, warn
        self._first = True
        self._next_scan = clock()

    @property
    def unsettled(self) -> int:
        """Number of files seen that have not come to rest."""
        return len(self._settling)

    def poll(self) -> list[tuple[Path, FileState]]:
        """What has come to rest since the last call, never waiting for anything."""
        first, self._first = self._first, False
        seen = self._settling.waiting()
        if self._clock() >= self._next_scan:
            seen += _images_below(self._folder, self._warn)
            self._next_scan = self._clock() + self._settings.rescan_s if self._rescans else float("inf")
        # no more than there are now, so that a flood of events cannot keep it from all else
        hinted = {self._hints.get() for _ in range(self._hints.qsize())}
        seen += filter(looks_like_image, hinted)
        for path in seen:
            self.look(path, trust_age=first)
        return self._settling.take(self._clock())

    def look(self, path: Path, *, trust_age: bool = False) -> None:
        """Look at one file now.

        Args:
            path: the file.
            trust_age: a file that says it was changed long ago is at rest already. So are those that were there
                before the watch; of one that comes later it only says that the copy kept the original's time.
        """
        state = FileState.of(path)
        age_s = time.time() - state.mtime_ns / 1e9 if trust_age and state is not None else 0.0
        self._settling.see(path, state, self._clock(), age_s)


@contextmanager
def watch_folder(
    folder: Path,
    settings: WatchSettings,
    *,
    known: Iterable[tuple[Path, FileState]] = (),
    once: bool = False,
    clock: Callable[[], float] = time.monotonic,
    warn: Callable[[str], None],
) -> Iterator[FolderWatch]:
    """Watch the images below `folder` while it is entered.

    Args:
        folder: only read.
        settings: how patient to be.
        known: files with the content that was taken by an earlier watch.
        once: list the folder once, and hear no events.
        clock: seconds on a steady clock.
        warn: told once of each folder that cannot be listed, and when no events come.

    Raises:
        InflamapError: there is no such folder.
    """
    require_folder(folder)
    told: set[str] = set()

    def warn_once(line: str) -> None:
        if line not in told:
            told.add(line)
            warn(line)

    with _hints_of(folder, wanted=not once, warn=warn_once) as hints:
        yield FolderWatch(
            folder,
            settings,
            Settling(settings.settle_s, known),
            hints,
            rescans=not once,
            clock=clock,
            warn=warn_once,
        )


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
