"""New images of a folder, each once it has come to rest.

The file system's events are hints that come late, twice or never (watchdog issues 309, 409, 787); a rescan finds what
they missed, and what was saved while nobody watched.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.images import find_images, looks_like_image, unlistable

if TYPE_CHECKING:
    from runtime.folder_hints import FolderHints

LONGEST_SETTLE_S = 86_400
# a listing that takes a second is not begun again within twenty
LISTING_SHARE = 20.0
LONGEST_RESCAN_S = 300.0


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
        hints: "_Hints | None",
        *,
        clock: Callable[[], float],
        warn: Callable[[str], None],
    ) -> None:
        self._folder, self._settings, self._settling, self._hints = folder, settings, settling, hints
        self._clock, self._warn = clock, warn
        self._first = True
        self._fault: str | None = None
        self._unlisted: frozenset[str] = frozenset()
        self._next_scan = clock()

    @property
    def unsettled(self) -> int:
        """Number of files seen that have not come to rest."""
        return len(self._settling)

    @property
    def fault(self) -> str | None:
        """Why the folder could not be listed the last time; None when it could."""
        return self._fault

    def poll(self) -> list[tuple[Path, FileState]]:
        """What has come to rest since the last call, never waiting for anything."""
        first, self._first = self._first, False
        seen = self._settling.waiting()
        if self._clock() >= self._next_scan:
            seen += self._rescan()
        if self._hints is not None:
            seen += filter(looks_like_image, self._hints.take())
        for path in seen:
            self.look(path, trust_age=first)
        return self._settling.take(self._clock())

    def list_again(self) -> None:
        """List the folder at the next `poll`, whenever that was due."""
        self._next_scan = self._clock()

    def forget(self, path: Path) -> None:
        """Give the file when it is seen again, though it be as it was."""
        self._settling.see(path, None, self._clock())

    def _rescan(self) -> list[Path]:
        if self._hints is not None:
            self._hints.renew()
        started = self._clock()
        found = self._list()
        # in a folder of many thousands, listing must not be most of what is done
        pause = min(LISTING_SHARE * (self._clock() - started), LONGEST_RESCAN_S) if self._fault is None else 0.0
        # without hints it is a watch that does what is there and ends
        self._next_scan = float("inf") if self._hints is None else self._clock() + max(self._settings.rescan_s, pause)
        return found

    def _list(self) -> list[Path]:
        """What is there. A share that is gone for a while is no end: the next listing looks again."""
        unlisted: list[str] = []
        try:
            found = list(find_images(self._folder, on_error=lambda error: unlisted.append(str(unlistable(error)))))
            self._fault = None
        except InflamapError as error:
            found, self._fault = [], str(error)
            unlisted.append(self._fault)
        # each is told when it begins, not at every listing
        for line in unlisted:
            if line not in self._unlisted:
                self._warn(line)
        self._unlisted = frozenset(unlisted)
        return found

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
        once: list the folder at the start and when asked to, and hear no events.
        clock: seconds on a steady clock.
        warn: told of each folder that cannot be listed, and of events that do not come, when that begins.

    Raises:
        InflamapError: there is no such folder.
    """
    require_folder(folder)
    with ExitStack() as stack:
        hints = None if once else stack.enter_context(_Hints(folder, warn))
        yield FolderWatch(folder, settings, Settling(settings.settle_s, known), hints, clock=clock, warn=warn)


def require_folder(folder: Path) -> None:
    """Raises InflamapError where there is no such folder."""
    if not folder.is_dir():
        raise InflamapError(
            f"{folder}: no such folder", wanted="the folder the microscope saves to", next_step="check the path"
        )


class _Hints:
    """The file system's hints about a folder, taken anew when the folder is replaced; none where none are to be had."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder, self._warn = folder, warn
        self._entered = ExitStack()
        self._hints: FolderHints | None = None
        self._told = False

    def __enter__(self) -> Self:
        self._observe()
        return self

    def __exit__(self, *_error: object) -> None:
        self._entered.close()

    def take(self) -> set[Path]:
        """Files hinted at since the last call; no more than there are now, so that a flood of events ends."""
        paths = None if self._hints is None else self._hints.paths
        return set() if paths is None else {paths.get() for _ in range(paths.qsize())}

    def renew(self) -> None:
        """Observe the folder that is there now, if it is another one."""
        if self._hints is None or not self._hints.tell_of_it():
            self._entered.close()
            self._observe()

    def _observe(self) -> None:
        # only a watch that waits for events pays for their library's import
        from runtime.folder_hints import folder_hints

        self._hints = None
        try:
            self._hints = self._entered.enter_context(folder_hints(self._folder))
            self._told = False
        except OSError as error:
            if not self._told:
                self._warn(
                    f"{self._folder}: no events ({error.strerror}); new images are found when it is listed again"
                )
            self._told = True
