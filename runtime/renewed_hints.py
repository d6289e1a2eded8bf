"""The file system's hints about a folder that may go away and come back as another one."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from runtime.errors import InflamapError
from runtime.file_state import is_folder
from runtime.folder_scan import Warn

if TYPE_CHECKING:
    from runtime.folder_hints import FolderHints, Hints


class RenewedHints:
    """The file system's hints about a folder, taken anew when the folder is replaced; none where none are to be had."""

    def __init__(self, folder: Path, warn: Warn) -> None:
        self._folder, self._warn = folder, warn
        self._entered = ExitStack()
        self._hints: FolderHints | None = None
        self._told = False

    def __enter__(self) -> Self:
        self._observe()
        return self

    def __exit__(self, *_error: object) -> None:
        self._entered.close()

    def wait(self, seconds: float) -> None:
        """Wait for a hint, no longer than that."""
        if self._hints is None:
            time.sleep(seconds)
        else:
            self._hints.wait(seconds)

    def take(self) -> "Hints | None":
        """What was hinted at since the last call; None where nothing can be."""
        return None if self._hints is None else self._hints.take()

    def are_stale(self) -> bool:
        """Whether they are of a folder that is no more."""
        return self._hints is not None and not self._hints.tell_of_it()

    def renew(self) -> None:
        """Observe the folder that is there now, if it is another one."""
        if self._hints is None or self.are_stale():
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
            # that the folder itself is gone is told by the listing
            if not self._told and is_folder(self._folder):
                self._warn(
                    self._folder,
                    InflamapError(
                        f"{self._folder}: no events ({error.strerror}); new images are found when it is listed again"
                    ),
                )
                self._told = True
