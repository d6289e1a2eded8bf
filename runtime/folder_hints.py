"""Hints that files of a folder have changed, from the file system's events, by watchdog."""

import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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

CONTENT_EVENTS = frozenset({EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED, EVENT_TYPE_CLOSED})


class FolderHints:
    """Hints about one folder.

    Attributes:
        paths: files below the folder that were created, written to, or moved there.
    """

    def __init__(self, folder: Path, observer: BaseObserver) -> None:
        self.paths: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._folder, self._observer, self._identity = folder, observer, _identity(folder)

    def tell_of_it(self) -> bool:
        """Whether they still tell of the folder: one that was moved away, deleted or mounted anew is another."""
        return _identity(self._folder) == self._identity and all(part.is_alive() for part in self._observer.emitters)


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
        observer.schedule(_Handler(hints.paths, real, folder), str(real), recursive=True)
        observer.start()
        yield hints
    finally:
        observer.stop()
        if observer.is_alive():
            observer.join()


def _identity(folder: Path) -> tuple[int, int] | None:
    """What a folder of the same name elsewhere does not share; None where there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Handler(FileSystemEventHandler):
    """Passes the paths of events to the watching thread and does nothing else in watchdog's."""

    def __init__(self, paths: "queue.SimpleQueue[Path]", real: Path, folder: Path) -> None:
        self._paths, self._real, self._folder = paths, real, folder

    def on_any_event(self, event: FileSystemEvent) -> None:
        # files that are only opened are no news: this process opens them itself, to see whether they are images
        if event.is_directory or event.event_type not in CONTENT_EVENTS:
            return
        path = Path(os.fsdecode(event.dest_path or event.src_path))
        # what was moved out of the folder is no longer ours
        if path.is_relative_to(self._real):
            self._paths.put(self._folder / path.relative_to(self._real))
