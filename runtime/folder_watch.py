"""New images of a folder, each once it has come to rest.

The file system's events are hints that come late, twice or never (watchdog issues 309, 409, 787); a rescan finds what
they missed, and what was saved while nobody watched. What is old news is not remembered here but asked of the ledger,
so that memory does not grow with the folder.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePath

import msgspec

from runtime.errors import InflamapError
from runtime.file_state import FileState, identity_of, is_folder
from runtime.folder_scan import Found, NotImages, OutputFolders, Slices, Warn, named_as_image, scan
from runtime.outputs import OUTPUT_MARKS, is_named_as_result
from runtime.patience import WatchSettings
from runtime.place import PlaceForbids
from runtime.renewed_hints import RenewedHints
from runtime.settling import AtRest, Settling

# a listing that takes a second is not begun again within twenty, one that keeps a core busy for it within 120
LISTING_SHARE, WORKING_SHARE = 20.0, 120.0
LONGEST_RESCAN_S = 300.0
# with nothing to do, so many pauses are taken at once
IDLE_POLLS = 5
# a folder that is gone is looked for this often
GONE_RESCAN_S = 2.0
# what the loop may be kept from its other work: at the start there is none
SLICE_S, FIRST_SLICE_S = 0.05, 1.0
BATCH = 500
# so many are looked at whenever the watch is polled, more of them only when they may have come to rest
FEW = 100
# a walk waits where more than these have not come to rest, so that a folder of a million moved in is no matter
MOST_UNSETTLED = 20_000
# beyond it the same may be told again
MOST_TOLD = 10_000

# which of these files were given before, and in which state
Known = Callable[[Sequence[str]], Mapping[str, FileState]]


class _Walk(msgspec.Struct, frozen=True):
    """A walk that goes on from poll to poll: of the whole folder, or of a part that was hinted at."""

    slices: Slices
    whole: bool
    trust_age: bool


class FolderWatch:
    """The images below a folder, those already there first, each when it has come to rest. See `watch_folder`.

    Attributes:
        listings: how often the whole folder was listed, or found to be gone.
    """

    def __init__(
        self,
        folder: Path,
        settings: WatchSettings,
        hints: RenewedHints | None,
        *,
        known: Known,
        once: bool,
        clock: Callable[[], float],
        warn: Warn,
    ) -> None:
        self._folder, self._settings, self._hints = folder, settings, hints
        self._known, self._once, self._clock, self._warn = known, once, clock, warn
        self._settling = Settling(settings.settle_s)
        self._not_images = NotImages(settings.kept)
        self._outputs = OutputFolders(str(folder), clock)
        self._walks: deque[_Walk] = deque()
        self.listings = 0
        self._first = True
        self._fault: str | None = None
        self._told: frozenset[str] = frozenset()
        self._to_tell: set[str] = set()
        self._next_scan = self._next_glance = clock()
        self._identity: tuple[int, int] | None = None
        self._slice_s = FIRST_SLICE_S

    @property
    def unsettled(self) -> int:
        """Number of files seen that have not come to rest."""
        return len(self._settling)

    @property
    def busy(self) -> bool:
        """Whether a listing is under way, which the next `poll` goes on with."""
        return bool(self._walks) and self.unsettled < MOST_UNSETTLED

    @property
    def fault(self) -> str | None:
        """Why the folder could not be listed the last time; None when it could."""
        return self._fault

    def poll(self) -> list[AtRest]:
        """What has come to rest since the last call, by its path below the folder; takes little time, never waits."""
        # before the others: what is only found now need not be looked at twice
        self.look(*self._settling.waiting(self._clock(), FEW))
        self._take_hints()
        self._glance()
        if self._clock() >= self._next_scan and not any(walk.whole for walk in self._walks):
            self._begin_listing()
        self._go_on()
        return [image for image in self._settling.take(self._clock()) if self._takes(image)]

    def wait(self) -> None:
        """Let some time pass before the next `poll`: little while files come to rest, else until something happens."""
        if not self.unsettled:
            idle_s = self._settings.poll_s * (IDLE_POLLS - 1)
            if self._hints is None:
                time.sleep(idle_s)
            else:
                self._hints.wait(idle_s)
        # never less, whatever is told: somebody may write a log beside the images all the time
        time.sleep(self._settings.poll_s)

    def list_again(self) -> None:
        """List the folder at the next `poll`, whenever that was due."""
        self._next_scan = self._clock()

    def state_of(self, relative: PurePath) -> FileState | None:
        """What a file looks like now, as `poll` tells it; None where there is none that can be looked at."""
        state = FileState.of(self._folder / relative)
        return None if state is None else state.kept_by(self._settings.kept)

    def look(self, *paths: str) -> None:
        """Look at files now."""
        found = [(path, None if self._is_ours(path) else FileState.of(self._folder / path)) for path in paths]
        for path, state in found:
            if state is None:
                self._settling.see(path, None, self._clock())
        self._see([Found(path, state) for path, state in found if state is not None])

    def _is_ours(self, path: str) -> bool:
        """Tell whether a file is a result or lies among results."""
        return is_named_as_result(path) or self._outputs.holds(path)

    def _see(self, files: Sequence[Found], *, trust_age: bool = False) -> None:
        """Note files as they are.

        Args:
            files: as they were found.
            trust_age: a file that says it was changed long ago is at rest already. So are those that were there
                before the watch; of one that comes later it only says that the copy kept the original's time.
        """
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            known = self._known([path for path, _state in batch])
            now, wall = self._clock(), time.time()
            for path, seen in batch:
                state = seen.kept_by(self._settings.kept)
                if known.get(path) == state:
                    self._settling.dismiss(path)
                else:
                    self._settling.see(path, state, now, wall - state.mtime_ns / 1e9 if trust_age else 0.0)

    def _glance(self) -> None:
        """A folder that went away, or is another one now, is not left to the next listing."""
        if self._once or self._clock() < self._next_glance:
            return
        self._next_glance = self._clock() + GONE_RESCAN_S
        if identity_of(self._folder) != self._identity or (self._hints is not None and self._hints.are_stale()):
            self.list_again()

    def _take_hints(self) -> None:
        if self._hints is None:
            return
        taken = self._hints.take()
        if taken is None:
            return
        if taken.overflow:
            self.list_again()
        found = []
        for path in taken.files:
            relative = str(path.relative_to(self._folder))
            if path.name in OUTPUT_MARKS:
                self._outputs.add(relative)
            if self._is_ours(relative):
                continue
            state = FileState.of(path)
            # what a file without an image's suffix is, is looked at when it has come to rest
            if state is not None and not self._not_images.knows(str(path), state) and not is_folder(path):
                found.append(Found(relative, state))
        self._see(found)
        for folder in taken.folders:
            relative = str(folder.relative_to(self._folder))
            # none is missed where one could not be listed: the whole folder is listed again soon
            if not self._outputs.holds(relative):
                self._walks.append(self._walk(relative))

    def _takes(self, image: AtRest) -> bool:
        if self._is_ours(image.path):
            return False
        if named_as_image(image.path):
            return True
        # one that cannot be read now is told of by the next listing
        with suppress(OSError, PlaceForbids):
            return self._not_images.takes(str(self._folder / image.path), image.state, self._folder)
        return False

    def _walk(self, below: str = "", *, trust_age: bool = False) -> _Walk:
        walk = scan(str(self._folder), below=below, not_images=self._not_images, warn=self._note)
        return _Walk(Slices(walk, self._clock), not below, trust_age)

    def _begin_listing(self) -> None:
        if self._hints is not None:
            self._hints.renew()
        self._identity = identity_of(self._folder)
        # it holds all that the parts would
        self._walks.clear()
        self._walks.append(self._walk(trust_age=self._first))
        self._to_tell.clear()
        # until it ends; who asks meanwhile is given another one
        self._next_scan = float("inf")

    def _go_on(self) -> None:
        """Walk on for as long as the loop can spare."""
        deadline = self._clock() + self._slice_s
        self._slice_s = SLICE_S
        while self._walks and self.unsettled < MOST_UNSETTLED:
            walk = self._walks[0]
            try:
                self._see(walk.slices.go_on(deadline - self._clock(), BATCH), trust_age=walk.trust_age)
            except InflamapError as error:
                self._end_listing(walk, error)
            else:
                if walk.slices.done:
                    self._end_listing(walk, None)
            if self._clock() >= deadline:
                return

    def _end_listing(self, walk: _Walk, fault: InflamapError | None) -> None:
        self._walks.popleft()
        if not walk.whole:
            return
        self._first = False
        self.listings += 1
        if fault is not None:
            self._note(self._folder, fault)
        self._fault, self._told = None if fault is None else str(fault), frozenset(self._to_tell)
        # in a folder of many thousands, listing must not be most of what is done
        took = max(LISTING_SHARE * walk.slices.spent_s, WORKING_SHARE * walk.slices.worked_s)
        pause = max(self._settings.rescan_s, min(took, LONGEST_RESCAN_S))
        if fault is not None:
            pause = min(pause, GONE_RESCAN_S)
        if not self._once:
            self._next_scan = min(self._next_scan, self._clock() + pause)

    def _note(self, path: Path, fault: InflamapError) -> None:
        """Something cannot be listed or looked at: told when it begins, not at every listing."""
        line = str(fault)
        if line not in self._told and line not in self._to_tell:
            self._warn(path, fault)
        if len(self._to_tell) < MOST_TOLD:
            self._to_tell.add(line)


@contextmanager
def watch_folder(
    folder: Path,
    settings: WatchSettings,
    *,
    known: Known,
    once: bool = False,
    clock: Callable[[], float] = time.monotonic,
    warn: Warn,
) -> Iterator[FolderWatch]:
    """Watch the images below `folder` while it is entered.

    Args:
        folder: only read; may be gone for a while, at the start too.
        settings: how patient to be.
        known: of the files it is asked for (paths below the folder, with the system's own separators), those that were
            given earlier, in the state they had.
        once: list the folder at the start and when asked to, and hear no events.
        clock: seconds on a steady clock.
        warn: told of each folder that cannot be listed, and of events that do not come, when that begins.
    """
    with ExitStack() as stack:
        hints = stack.enter_context(RenewedHints(folder, warn)) if settings.events and not once else None
        yield FolderWatch(folder, settings, hints, known=known, once=once, clock=clock, warn=warn)
