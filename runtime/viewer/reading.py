"""Keeps up with the ledger while the watch writes it; in one thread, for SQLite's connections are of one."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Any

from runtime.errors import InflamapError, one_line
from runtime.folder_report import Worst, worst_region
from runtime.ledger import ImageRow, Ledger, open_ledger
from runtime.outputs import LEDGER_FILE
from runtime.pseudonyms import pseudonyms_of
from runtime.status import Status, status_of
from runtime.viewer.folders import folder_table
from runtime.viewer.session import MOST, Session, id_of
from runtime.viewer.setup import Setup

# what a retry or a removed overlay changes shows by reading all again, which of thousands takes some 50 ms
ALL_AGAIN_S = 5.0
STATUS_S = 1.0
# So many times as long as it took to count all images, they are not counted again: of 100,000 it takes 0.15 s, and each
# new result would be a reason.
REST = 10.0
# a result's time is set shortly before it is committed
_OVERLAP_S = 5.0


class LedgerReader:
    """Reads the ledger of one results' folder again and again.

    Args:
        setup: which, and how names are shown.
        clock: Unix seconds.
    """

    def __init__(self, setup: Setup, clock: Callable[[], float] = time.time) -> None:
        self._out, self._clock = setup.out, clock
        self._pseudonyms = pseudonyms_of(setup.out) if setup.pseudonymise else None
        self.session = Session(setup.scale, self.name, self._said)
        self.status: Status | None = None
        """None where the ledger cannot be read."""
        self._opened = ExitStack()
        self._ledger: Ledger | None = None
        self._file: tuple[int, int] | None = None
        self._changes: int | None = None
        self._all_at = self._status_at = float("-inf")
        self._stale = self._status_stale = True
        self._status_rest_s = 0.0
        self._worst: dict[tuple[PurePath, str | None], Worst | None] = {}

    @property
    def status_age_s(self) -> float:
        """Seconds since `status` was read."""
        return max(0.0, self._clock() - self._status_at) if self.status is not None else 0.0

    def look(self) -> bool:
        """Read what changed; whether that is anything that a page shows."""
        try:
            return self._look(self._open())
        except (InflamapError, sqlite3.Error, OSError):
            # set aside, being made anew, or on a share that is gone: the watch tells why, it is read when it is back
            self.close()
            was, self.status = self.status, None
            return was is not None

    def retry(self, row: ImageRow) -> None:
        """Have an image scored anew.

        Raises:
            InflamapError: the ledger cannot be written.
        """
        try:
            self._open().retry([row.path], self._clock())
        except sqlite3.Error as error:
            raise InflamapError("the ledger cannot be written", seen=error, next_step="try again") from error
        self._changes = None
        self._all_at = float("-inf")

    def folders(self) -> list[dict[str, Any]]:
        """Return the table of folders, see `folder_table`; what records told is remembered."""
        try:
            rows = list(self._open().rows())
        except (InflamapError, sqlite3.Error, OSError):
            return []
        return folder_table(
            rows, self._out, self.session.scale, name=self.name, id_of=self.id_of, worst_of=self._remembered
        )

    def close(self) -> None:
        """Let go of the ledger."""
        self._ledger, self._changes = None, None
        self._opened.close()

    def name(self, path: PurePath) -> str:
        """What a path is called on the page."""
        return one_line(path.as_posix()) if self._pseudonyms is None else self._pseudonyms.of(path)

    def _said(self, text: str, path: PurePath) -> str:
        return text if self._pseudonyms is None else self._pseudonyms.within(text, path)

    def id_of(self, path: PurePath) -> str | None:
        """The id of an image that the session still holds."""
        key = id_of(path)
        return key if self.session.row(key) is not None else None

    def _look(self, ledger: Ledger) -> bool:
        now = self._clock()
        changes = ledger.changes()
        changed = changes != self._changes
        self._changes = changes
        self._stale |= changed
        shown = False
        if self._stale and not 0 <= now - self._all_at < ALL_AGAIN_S:
            # before the rows, so that what comes in between is read the next time
            self._stale, self._all_at = False, now
            shown = self.session.take(ledger.newest(MOST), all_of_them=True)
        elif changed:
            shown = self.session.take(ledger.done_since(now - ALL_AGAIN_S - _OVERLAP_S, MOST))
        self._status_stale |= changed
        rest_s = self._status_rest_s if self._status_stale else max(STATUS_S, self._status_rest_s)
        if self.status is None or not 0 <= now - self._status_at < rest_s:
            began = time.perf_counter()
            # the watch is this process's parent: while it is not gone, it runs
            self.status = status_of(ledger, running=True, now=now)
            self._status_at, self._status_stale = now, False
            self._status_rest_s = REST * (time.perf_counter() - began)
        return shown

    def _open(self) -> Ledger:
        found = (self._out / LEDGER_FILE).stat()
        file = found.st_dev, found.st_ino
        if self._ledger is not None and file != self._file:
            self.close()
        if self._ledger is None:
            self._file = file
            self._ledger = self._opened.enter_context(open_ledger(self._out))
            self._all_at = float("-inf")
            self._stale = True
        return self._ledger

    def _remembered(self, row: ImageRow, out: Path) -> Worst | None:
        key = row.path, row.outcome.sha256
        if key not in self._worst:
            self._worst[key] = worst_region(row, out)
        return self._worst[key]
