"""What lies below a folder, walked a little at a time: names and states, nothing opened that need not be."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from runtime.errors import InflamapError
from runtime.file_state import FileState, Kept, is_folder
from runtime.images import begins_as_image, unlistable
from runtime.images.signature import SUFFIXES
from runtime.output_folder import HoldsResults, LeftOut, is_output_folder
from runtime.outputs import OUTPUT_MARKS, is_named_as_result
from runtime.place import PlaceForbids

# names without an image's suffix are opened to see what they are; those that are none are remembered
MOST_REMEMBERED = 50_000
# for how long, and of how many folders, it is remembered whether they hold results
VERDICT_S, MOST_VERDICTS = 30.0, 10_000
# Windows keeps size and time of an open file in its folder's list as they were before it was opened
_LIST_IS_STALE = os.name == "nt"


# told of what is wrong with a folder or file: which, and what
Warn = Callable[[Path, InflamapError], None]


class Found(NamedTuple):
    """A file that is looked at as an image. `path` is below the folder, with the system's own separators."""

    path: str
    state: FileState


def named_as_image(path: str) -> bool:
    """Whether the suffix is an image's."""
    # no Path: there may be many thousands
    return path[path.rfind(".") :].lower() in SUFFIXES


class NotFollowed(LeftOut):
    """A link to a folder, or to a file outside the watched folder. It is not followed."""


class OutputFolders:
    """Which folders below the watched one hold results: asked of the disk for single files, and remembered a while.

    A listing sees the marks by itself.

    Args:
        folder: the watched folder.
        clock: seconds on a steady clock.
    """

    def __init__(self, folder: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._asked: dict[str, tuple[bool, float]] = {}

    def holds(self, path: str) -> bool:
        """Tell whether a file or folder, by its path below the watched folder, lies in a folder of results."""
        above = os.path.dirname(path)  # noqa: PTH120
        while above:
            if self._is_one(above):
                return True
            above = os.path.dirname(above)  # noqa: PTH120
        return False

    def add(self, mark: str) -> None:
        """Note that a mark was made, by its path below the watched folder."""
        self._asked[os.path.dirname(mark)] = True, self._clock() + VERDICT_S  # noqa: PTH120

    def _is_one(self, folder: str) -> bool:
        found, until = self._asked.get(folder, (False, 0.0))
        if self._clock() < until:
            return found
        if len(self._asked) >= MOST_VERDICTS:
            self._asked.clear()
        found = any(os.path.lexists(os.path.join(self._folder, folder, mark)) for mark in OUTPUT_MARKS)  # noqa: PTH118
        self._asked[folder] = found, self._clock() + VERDICT_S
        return found


class NotImages:
    """Files that were looked into and are none, as long as they stay as they are.

    Args:
        kept: which marks of a file tell of that.
    """

    def __init__(self, kept: Kept = Kept()) -> None:  # noqa: B008 - frozen
        self._kept = kept
        self._seen: set[int] = set()

    def takes(self, path: str, state: FileState, inside: Path) -> bool:
        """Whether a file that is not named as an image begins as one.

        Raises:
            OSError: it cannot be read, so that nobody knows; it is looked into again the next time.
            PlaceForbids: a link leads out of `inside`, so that it is not looked into.
        """
        if self.knows(path, state):
            return False
        if begins_as_image(Path(path), inside=inside):
            return True
        if len(self._seen) >= MOST_REMEMBERED:
            self._seen.clear()
        self._seen.add(self._key(path, state))
        return False

    def knows(self, path: str, state: FileState) -> bool:
        """Whether it was looked into, and is none."""
        return self._key(path, state) in self._seen

    def _key(self, path: str, state: FileState) -> int:
        return hash((path, state.kept_by(self._kept)))


def scan(
    folder: str,
    *,
    below: str = "",
    not_images: NotImages,
    warn: Warn,
) -> Iterator[Found | None]:
    """Walk the tree, folder by folder.

    Links to folders are not followed: one back up would make the walk endless, one to elsewhere would read what
    nobody asked for. Folders of results, which a mount may bring here, and what is named as a result are left out:
    overlays of overlays would be made for ever.

    What is named as an image and is none (a pipe, a link to nothing) is found too, so that it is
    listed with its reason.

    Args:
        folder: the root; the paths found are below it.
        below: a sub-folder of it to which the walk is confined.
        not_images: files known to be none.
        warn: told of each sub-folder that cannot be listed, is a link or holds results, and of what cannot be looked
            at; the walk goes on.

    Yields:
        an image; None now and then where there is none for long, so that whoever has little time can stop.

    Raises:
        InflamapError: the folder itself cannot be listed, which is something else than holding no images, or is a
            folder of results.
    """
    cut = len(os.path.join(folder, ""))  # noqa: PTH118
    root = Path(folder)
    pending = [os.path.join(folder, below) if below else folder]  # noqa: PTH118
    first = not below
    while pending:
        place = pending.pop()
        entries = _entries_of(place, warn, is_root=first)
        first = False
        yield None
        for number, entry in enumerate(entries):
            path = entry.path
            # any of these may ask the system, which on a share may fail in any way
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.is_symlink() and _leads_to_folder(entry):
                    warn(Path(path), _not_followed(path))
                elif not is_named_as_result(path):
                    state = _state_of(entry)
                    if named_as_image(path) or not_images.takes(path, state, root):
                        yield Found(path[cut:], state)
                        continue
            except OSError as error:
                _tell(path, error, warn)
            except PlaceForbids as fault:
                # what it leads to may be anything; one that is named as an image fails with this reason
                warn(Path(path), NotFollowed(fault.what, next_step=fault.next_step))
            if number % 100 == 0:
                yield None


def _entries_of(place: str, warn: Warn, *, is_root: bool) -> list["os.DirEntry[str]"]:
    """List a folder; of one that cannot be listed, or that holds results, there is nothing to walk."""
    try:
        # closed at once: a folder that is held open cannot be deleted on Windows
        with os.scandir(place) as listing:
            entries = list(listing)
    except OSError as error:
        if is_root:
            raise _no_root(place, error) from error
        _tell(place, error, warn)
        return []
    if not any(entry.name in OUTPUT_MARKS for entry in entries):
        return entries
    if is_root:
        raise is_output_folder(Path(place))
    warn(Path(place), HoldsResults.of(Path(place)))
    return []


def _state_of(entry: "os.DirEntry[str]") -> FileState:
    if _LIST_IS_STALE or entry.is_symlink():
        path = Path(entry.path)
        # where that tells nothing, the system's own answer says why: it may just be gone
        return FileState.of(path) or FileState.from_status(path.stat())
    return FileState.from_status(entry.stat())


def _leads_to_folder(link: "os.DirEntry[str]") -> bool:
    """No for one that leads in a circle, which is told of when it is read."""
    with suppress(OSError):
        return link.is_dir()
    return False


def _tell(path: str, error: OSError, warn: Warn) -> None:
    # what went away meanwhile is no fault
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return
    folder = os.path.dirname(path)  # noqa: PTH120
    denied = error.errno in (errno.EACCES, errno.EPERM)
    if denied and not os.access(folder, os.X_OK):
        # of a folder that may be listed and not entered it is told once, not for each file
        warn(Path(folder), unlistable(OSError(error.errno, error.strerror, folder)))
        return
    what = "this folder cannot be listed" if is_folder(Path(path)) else "this file cannot be looked at"
    help_ = "give this account read access to it, or remove it" if denied else "see whether its disk or share is well"
    warn(Path(path), InflamapError(f"{path}: {what}", seen=error.strerror, next_step=help_))


def _not_followed(path: str) -> NotFollowed:
    return NotFollowed(
        f"{path}: a link to a folder, which is not followed",
        next_step="watch that folder itself, with an --out of its own, or save there instead of linking",
    )


def _no_root(folder: str, error: OSError) -> InflamapError:
    return InflamapError(
        f"{folder}: the folder cannot be listed",
        seen=error.strerror,
        wanted="a folder",
        next_step="check the path and the rights of this account",
    )


class Slices:
    """A walk that is gone on with for a while at a time."""

    def __init__(self, walk: Iterator[Found | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._walk, self._clock = walk, clock
        self.done = False
        self.spent_s = 0.0
        """Seconds the walk took so far, the pauses between left out."""
        self.worked_s = 0.0
        """Of them, those that the processor worked rather than waited for the disk."""

    def go_on(self, seconds: float, most: int) -> list[Found]:
        """What is found within that time, `most` at most.

        Raises:
            InflamapError: as `scan`; the walk has ended then.
        """
        started, worked = self._clock(), time.thread_time()
        found: list[Found] = []
        try:
            for each in self._walk:
                if each is not None:
                    found.append(each)
                    if len(found) >= most:
                        return found
                    # the clock is asked now and then: between two files of one folder there is next to nothing
                    if len(found) % 32:
                        continue
                if self._clock() - started >= seconds:
                    return found
            self.done = True
        except BaseException:
            self.done = True
            raise
        finally:
            self.spent_s += self._clock() - started
            self.worked_s += time.thread_time() - worked
        return found
