"""Hints that something of a folder has changed, from the file system's events, by watchdog."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_MODIFIED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from runtime.file_state import identity_of

CONTENT_EVENTS = frozenset({EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED, EVENT_TYPE_CLOSED})
# a folder that was written to holds something else now, of which the system tells by itself
_NEW_FOLDER_EVENTS = frozenset({EVENT_TYPE_CREATED, EVENT_TYPE_MOVED})
# beyond it listing the whole folder costs less, and memory stays bounded whatever floods in
MOST_HINTS = 10_000


class Hints(msgspec.Struct, frozen=True):
    """What changed since the last time it was asked.

    Attributes:
        files: below the folder, created, written to, or moved there.
        folders: below the folder, made or moved there with all they hold.
        overflow: more than can be told: the whole folder is to be listed.
    """

    files: frozenset[Path]
    folders: frozenset[Path]
    overflow: bool


class FolderHints:
    """Hints about one folder."""

    def __init__(self, folder: Path, observer: BaseObserver) -> None:
        self._folder, self._observer, self._identity = folder, observer, identity_of(folder)
        self._lock = threading.Lock()
        self._files: set[Path] = set()
        self._folders: set[Path] = set()
        self._overflow = False
        self._any = threading.Event()

    def wait(self, seconds: float) -> None:
        """Wait for a hint, no longer than that."""
        self._any.wait(seconds)

    def take(self) -> Hints:
        """What was hinted at since the last call."""
        with self._lock:
            taken = Hints(frozenset(self._files), frozenset(self._folders), self._overflow)
            self._files.clear()
            self._folders.clear()
            self._overflow = False
            self._any.clear()
        return taken

    def tell_of_it(self) -> bool:
        """Whether they still tell of the folder: one that was moved away, deleted or mounted anew is another."""
        return identity_of(self._folder) == self._identity and all(part.is_alive() for part in self._observer.emitters)

    def add(self, path: Path, *, is_folder: bool) -> None:
        """Note a hint; called by watchdog's thread."""
        with self._lock:
            if len(self._files) + len(self._folders) < MOST_HINTS:
                (self._folders if is_folder else self._files).add(path)
            else:
                self._overflow = True
            self._any.set()


@contextmanager
def folder_hints(folder: Path) -> Iterator[FolderHints]:
    """Observe `folder` for as long as it is entered.

    Raises:
        OSError: the system gives no events, for this folder or any more.
    """
    # the system tells nothing of what is behind a link, so the folder behind it is observed
    real = folder.resolve()
    observer = Observer()
    hints = FolderHints(folder, observer)
    # what cannot be started holds system resources all the same
    try:
        observer.schedule(_Handler(hints, real, folder), str(real), recursive=True)
        observer.start()
        yield hints
    finally:
        observer.stop()
        if observer.is_alive():
            observer.join()


class _Handler(FileSystemEventHandler):
    """Passes the paths of events to the watching thread and does nothing else in watchdog's."""

    def __init__(self, hints: FolderHints, real: Path, folder: Path) -> None:
        self._hints, self._real, self._folder = hints, real, folder

    def on_any_event(self, event: FileSystemEvent) -> None:
        # files that are only opened are no news: this process opens them itself, to see whether they are images
        if event.event_type not in (_NEW_FOLDER_EVENTS if event.is_directory else CONTENT_EVENTS):
            return
        path = Path(os.fsdecode(event.dest_path or event.src_path))
        # what was moved out of the folder is no longer ours
        if path.is_relative_to(self._real):
            self._hints.add(self._folder / path.relative_to(self._real), is_folder=event.is_directory)
