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

CONTENT_EVENTS = frozenset({EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED, EVENT_TYPE_CLOSED})


@contextmanager
def folder_hints(folder: Path) -> Iterator["queue.SimpleQueue[Path]"]:
    """A queue of files below `folder` that were created, written to, or moved there; for as long as it is entered.

    Raises:
        OSError: the system gives no events, for this folder or any more.
    """
    hints: queue.SimpleQueue[Path] = queue.SimpleQueue()
    # the system tells nothing of what is behind a link, so the folder behind it is observed
    real = folder.resolve()
    observer = Observer()
    observer.schedule(_Hints(hints, real, folder), str(real), recursive=True)
    observer.start()
    try:
        yield hints
    finally:
        observer.stop()
        observer.join()


class _Hints(FileSystemEventHandler):
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
