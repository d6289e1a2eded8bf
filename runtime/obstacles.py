"""What keeps the watch as a whole from getting on: room on the disk, a disk or ledger that cannot be written to."""

import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from runtime.disk import shortage
from runtime.errors import InflamapError
from runtime.file_state import identity_of, is_missing
from runtime.ledger import Ledger
from runtime.ledger.damage import is_damage
from runtime.output_folder import probe_writing
from runtime.outputs import LEDGER_FILE
from runtime.service_log import ServiceLog

# how often the disk is asked, and how often a pause looks whether it may end
DISK_CHECK_S = 1.0
# a disk on which nothing could be written is tried again this long after
BLOCKED_S = 10.0

T = TypeVar("T")


class Stopped(Exception):
    """Somebody wants an end while the ledger is waited for; what was to be noted there is found again at the start."""


class Obstacles:
    """Looks for them, waits until they are out of the way, and says so.

    Args:
        out: the results' folder.
        ledger: of it.
        min_free_gb: scoring pauses while the disk has less free, in 10^9 bytes.
        once: nothing is waited for: what is in the way is an error.
        stop: ends all waiting.
        log: told when a pause begins and ends.
        alive: called while waiting.
    """

    def __init__(
        self,
        out: Path,
        ledger: Ledger,
        *,
        min_free_gb: float,
        once: bool,
        stop: threading.Event,
        log: ServiceLog,
        alive: Callable[[str], None],
    ) -> None:
        self._out, self._ledger, self._min_free_gb = out, ledger, min_free_gb
        self._once, self._stop, self._log, self._alive = once, stop, log, alive
        self.paused: str | None = None
        """Why nothing is scored now."""
        self._blocked: str | None = None
        self._next_probe = 0.0
        self._next_check = 0.0
        self._identity = identity_of(out / LEDGER_FILE)

    def pauses(self) -> bool:
        """Whether nothing can be scored for now; the start and the end of a pause are said and noted.

        Raises:
            InflamapError: the results' folder is another one now.
        """
        if time.monotonic() < self._next_check:
            return self.paused is not None
        self._next_check = time.monotonic() + DISK_CHECK_S
        self._require_same_ledger()
        was, self.paused = self.paused, shortage(self._out, self._min_free_gb) or self._still_blocked()
        if (was is None) != (self.paused is None) and not self._once:
            self.surely(partial(self._ledger.note, "paused", self.paused))
            if self.paused:
                self._log.event("paused", f"paused: {self.paused}; it goes on by itself", level="warning")
            else:
                self._log.event("resumed", "scoring goes on")
        return self.paused is not None

    def blocks(self) -> bool:
        """Whether the results' disk takes nothing now, asked because something could not be written there.

        It is full, read-only or failing, or rights are missing: no fault of the image that was to be written.
        """
        self._probe()
        self._next_check = 0.0
        return self._blocked is not None

    def surely(self, act: Callable[[], T]) -> T:
        """Ask or change the ledger; one that cannot be used (a full disk, a lock, a share that is gone) is waited for.

        Raises:
            sqlite3.Error: it is damaged; or it cannot be read or written, and nothing is waited for.
            Stopped: an end is wanted instead.
            InflamapError: the results' folder is another one now.
        """
        said = False
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if self._once or is_damage(error):
                    raise
                if self._stop.is_set():
                    raise Stopped from error
                why = f"waiting, because the ledger in {self._out} cannot be used: {error}"
                if not said:
                    self._log.event("ledger_blocked", why, level="warning")
                said = True
                self._alive(why)
                time.sleep(DISK_CHECK_S)
                self._require_same_ledger()

    def _still_blocked(self) -> str | None:
        # what ends a pause is that something could be written
        if self._blocked is not None and time.monotonic() >= self._next_probe:
            self._probe()
        return self._blocked

    def _probe(self) -> None:
        reason = probe_writing(self._out)
        self._blocked = None if reason is None else f"nothing can be written to {self._out} ({reason})"
        self._next_probe = time.monotonic() + BLOCKED_S

    def _require_same_ledger(self) -> None:
        """A folder that was removed or replaced would take results of which no ledger tells."""
        path = self._out / LEDGER_FILE
        found = identity_of(path)
        if found is None and not is_missing(path):
            # that the disk does not answer for a while is no news of the folder
            return
        if found != self._identity:
            raise InflamapError(
                f"{path}: the ledger was removed or replaced while the watch ran",
                next_step="start the watch again; it takes over what is there",
            )
