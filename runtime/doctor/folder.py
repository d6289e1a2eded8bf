"""The watched folder: whether it can be read, how new files are found in it, and how many folders it holds."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import msgspec

from runtime.disk import is_network_folder
from runtime.doctor.finding import Case, Finding, Level
from runtime.errors import InflamapError
from runtime.images.find import looks_like_image
from runtime.images.opening import read_shared
from runtime.images.signature import HEAD_BYTES, SUFFIXES
from runtime.outputs import OUTPUT_MARKS, is_named_as_result
from runtime.place import require_inside

# enough to find what is typical of it
LOOK_S = 5.0
INOTIFY = Path("/proc/sys/fs/inotify")


class Survey(msgspec.Struct, frozen=True):
    """What a look through the folder found.

    Attributes:
        folders: how many, itself included.
        images: files named as images.
        example: one of them that looks like an image.
        newest: latest time of change of a file, Unix seconds.
        closed: a sub-folder that cannot be listed, and why.
        whole: whether time sufficed for all of it.
    """

    folders: int
    images: int
    example: Path | None
    newest: float | None
    closed: tuple[str, str] | None
    whole: bool


def folder(case: Case) -> Sequence[Finding]:
    """Whether it is there, can be listed, and a file in it be read."""
    assert case.folder is not None
    if not case.folder.is_dir():
        what = "is a file" if case.folder.exists() else "is not there"
        return [Finding("folder", Level.FAULT, f"{case.folder} {what}", "check the path; mount the share it lies on")]
    found = survey(case.folder)
    least = "" if found.whole else "at least "
    seen = f"{case.folder}: {least}{found.images} images, {found.folders} folders"
    if found.closed is not None:
        path, why = found.closed
        return [Finding("folder", Level.FAULT, f"{seen}; {path}: {why}", _GIVE_READ)]
    if found.example is None:
        return [Finding("folder", Level.OK, f"{seen}; none yet that could be read as a trial")]
    try:
        read_shared(found.example, at_most=HEAD_BYTES, inside=case.folder)
    except InflamapError as error:
        return [Finding.of_error("folder", error)]
    except OSError as error:
        return [Finding("folder", Level.FAULT, f"{seen}; {found.example}: {error.strerror}", _GIVE_READ)]
    return [Finding("folder", Level.OK, f"{seen}; one was read")]


_GIVE_READ = "give this account read access to folders and files there"


def share(case: Case) -> Sequence[Finding]:
    """Whether it is another machine's, and what follows."""
    from runtime.patience import settings_for

    assert case.folder is not None
    if not case.folder.is_dir():
        return []
    settings = settings_for(case.folder)
    kind = "a network share" if is_network_folder(case.folder) else "a local disk"
    how = "the system tells of new files, and it is listed" if settings.events else "it is listed"
    seen = (
        f"{kind}: unless set otherwise, {how} every {settings.rescan_s:g} s, and a file rests {settings.settle_s:g} s"
    )
    return [Finding("share", Level.OK, seen)]


def inotify(case: Case) -> Sequence[Finding]:
    """Whether Linux lets every folder be listened to."""
    assert case.folder is not None
    if sys.platform != "linux" or not case.folder.is_dir() or is_network_folder(case.folder):
        return []
    try:
        most = int((INOTIFY / "max_user_watches").read_text())
    except (OSError, ValueError):
        return [Finding("inotify", Level.WARNING, f"{INOTIFY} cannot be read")]
    found = survey(case.folder)
    least = "" if found.whole else "at least "
    seen = f"folders: {least}{found.folders}; one account can listen to {most}"
    if found.folders * 2 <= most:
        return [Finding("inotify", Level.OK, seen)]
    step = f"sysctl -w fs.inotify.max_user_watches={max(524_288, 4 * found.folders)}, and in /etc/sysctl.d for ever"
    return [Finding("inotify", Level.WARNING, f"{seen}; beyond that, files are found by listing only", step)]


def newest_change(place: Path) -> float | None:
    """Latest time of change of a file below `place`, Unix seconds; None where there is none, or it cannot be told."""
    try:
        return survey(place).newest
    except (OSError, InflamapError):
        return None


@lru_cache(maxsize=1)
def survey(place: Path) -> Survey:
    """Look through the folder for `LOOK_S` at most; nothing is opened but files that have no known suffix.

    Raises:
        InflamapError: it cannot be listed.
    """
    folders = images = 0
    example: Path | None = None
    newest: float | None = None
    closed: tuple[str, str] | None = None
    pending, end = [place], time.monotonic() + LOOK_S
    while pending and time.monotonic() < end:
        current = pending.pop()
        try:
            with os.scandir(current) as listing:
                entries = list(listing)
                if any(entry.name in OUTPUT_MARKS for entry in entries):
                    entries = []
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(current / entry.name)
                        continue
                    if Path(entry.name).suffix.lower() in SUFFIXES and not is_named_as_result(entry.name):
                        images += 1
                        example = example or _example(current / entry.name, place)
                    newest = max(newest or 0.0, entry.stat(follow_symlinks=False).st_mtime)
        except OSError as error:
            if current == place:
                raise InflamapError(
                    f"{place}: cannot be listed", seen=error.strerror, next_step="give this account read access to it"
                ) from error
            closed = closed or (str(current), f"cannot be listed ({error.strerror})")
        folders += 1
    return Survey(folders, images, example, newest, closed, whole=not pending)


def _example(path: Path, place: Path) -> Path | None:
    # a link that leads out is never read by the watch
    with suppress(InflamapError):
        require_inside(place, path.relative_to(place))
        return path if looks_like_image(path, inside=place) else None
    return None
