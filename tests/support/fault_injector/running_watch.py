"""A watch that runs while an image comes: when the image is moved in, and when the watch is to end.

All of this happens in the watch's own thread, whenever its loop has nothing to do, so that the same calls come in the
same order each time.
"""

import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

# a disk that stays broken has nothing more to tell after so long
BROKEN_S = 0.1
# a watch that has not done the image by then never will
LONGEST_S = 5.0
LOOK_S = 0.005


class Move(msgspec.Struct):
    """An image that comes: `source` is copied and the copy moved to `target`; done when a line begins with `until`."""

    source: str
    target: str
    until: str


class Script(msgspec.Struct):
    """What happens while a watch runs.

    Attributes:
        move: the image that comes.
        said: the file that holds what the watch prints.
        lasts: whether the fault does, so that the image is not waited for.
    """

    move: Move
    said: str
    lasts: bool


class Driver:
    """Stands for `FolderWatch.wait`, which the watch's loop calls when it has nothing to do.

    Args:
        script: what happens.
        wait: the method itself.
        arm: begins to count calls, once the watch has done what is there at its start.
        struck: whether the fault has come.
    """

    def __init__(
        self, script: Script, wait: Callable[[Any], None], arm: Callable[[], None], struck: Callable[[], bool]
    ) -> None:
        self._script, self._wait, self._arm, self._struck = script, wait, arm, struck
        self._lines_before: int | None = None

    def idle(self, watch: Any) -> None:
        """Move the image in at the first call; stop the watch once the image is done."""
        lines = Path(self._script.said).read_text(errors="replace").splitlines()
        if self._lines_before is None:
            self._lines_before = len(lines)
            self._arm()
            # from other threads, for the loop may be waiting for the ledger
            threading.Timer(LONGEST_S, stop).start()
            if self._script.lasts:
                threading.Thread(target=self._stop_after_fault, daemon=True).start()
            _move_in(self._script.move)
        elif any(line.startswith(self._script.move.until) for line in lines[self._lines_before :]):
            stop()
        watch.list_again()
        self._wait(watch)

    def _stop_after_fault(self) -> None:
        pause = threading.Event()
        while not self._struck():
            pause.wait(LOOK_S)
        pause.wait(BROKEN_S)
        stop()


def stop() -> None:
    """End the watch as a service manager does."""
    os.kill(os.getpid(), signal.SIGTERM)


def _move_in(move: Move) -> None:
    """Whole at once, as a move within a disk is."""
    copy = shutil.copy2(move.source, f"{move.source}.copy")
    Path(copy).replace(move.target)
