"""Overlays are pictures for the days after: the oldest may go, by age or by what they take. Records and maps stay."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from runtime.errors import InflamapError
from runtime.ledger import Ledger
from runtime.ledger.account import KeptOverlay
from runtime.outputs import read_record, remove_overlay, result_files
from runtime.service_log import ServiceLog

DAY_S = 86_400.0
# how often it is looked whether some may go
SWEEP_S = 600.0
PAGE = 200


class Keep(msgspec.Struct, frozen=True):
    """How long overlays are kept. `days`: since their result; `gb`: all together, in 10^9 bytes. None: no limit."""

    days: float | None = None
    gb: float | None = None


class Retention:
    """Removes overlays a little at a time, while the loop has nothing else to do.

    Args:
        out: the results' folder.
        ledger: of it.
        keep: what is kept.
        surely: changes the ledger, waiting for it where it must (`runtime.obstacles`).
        log: told of each sweep that removed any.
    """

    def __init__(
        self,
        out: Path,
        ledger: Ledger,
        keep: Keep,
        surely: Callable[[Callable[[], Any]], Any],
        log: ServiceLog,
    ) -> None:
        self._out, self._ledger, self._keep, self._surely, self._log = out, ledger, keep, surely, log
        self._sweep: Iterator[None] | None = None
        self._next = 0.0
        self._said: set[str] = set()

    def step(self, now: float) -> bool:
        """Do a little of it, where some is due.

        Args:
            now: Unix seconds.

        Returns:
            whether there is more to do right now.
        """
        if self._keep == Keep():
            return False
        if self._sweep is None:
            if time.monotonic() < self._next:
                return False
            self._sweep = self._all_of_it(now)
        for _ in self._sweep:
            return True
        self._sweep, self._next = None, time.monotonic() + SWEEP_S
        return False

    def _all_of_it(self, now: float) -> Iterator[None]:
        """The work, with a yield wherever it may be left for a while."""
        left, most = 0, None if self._keep.gb is None else self._keep.gb * 1e9
        if most is not None:
            oldest = True
            for page in self._pages():
                left += sum(map(self._size, page))
                oldest = self._finish_removals(page, oldest=oldest)
                yield
        removed = 0
        for page in self._pages():
            for overlay in page:
                too_old = self._keep.days is not None and overlay.finished < now - self._keep.days * DAY_S
                # the oldest first, so that all after it stay too
                if not too_old and (most is None or left <= most):
                    self._tell(removed)
                    return
                left -= self._size(overlay)
                removed += self._remove(overlay)
                yield
        self._tell(removed)

    def _pages(self) -> Iterator[list[KeptOverlay]]:
        after: KeptOverlay | None = None
        while page := self._surely(partial(self._ledger.overlays, after, PAGE)):
            yield page
            after = page[-1]

    def _finish_removals(self, page: list[KeptOverlay], *, oldest: bool) -> bool:
        """Remove overlays anew that are gone: they count for nothing here, and would never be removed.

        A removal ends so halfway where neither the record nor the ledger can be written, on a disk that stays full.
        One that is gone while an older one is there went otherwise, unless its record says that it was removed.

        Args:
            page: some of the overlays.
            oldest: whether all older ones are gone.

        Returns:
            whether all of these are gone too.
        """
        for overlay in page:
            try:
                gone = not (self._out / result_files(overlay.path).overlay).exists()
                record = read_record(self._out, overlay.path) if gone else None
            except (InflamapError, OSError):
                # asked again at the next sweep
                gone, record = False, None
            if not gone:
                oldest = False
            elif oldest or (record is not None and record.get("overlay") == {"file": None}):
                self._remove(overlay)
        return oldest

    def _size(self, overlay: KeptOverlay) -> int:
        try:
            return (self._out / result_files(overlay.path).overlay).stat().st_size
        except OSError:
            return 0

    def _remove(self, overlay: KeptOverlay) -> bool:
        try:
            remove_overlay(self._out, overlay.path)
        except InflamapError as problem:
            # tried again at the next sweep; one that fails again and again is told of once
            if str(problem) not in self._said:
                self._said.add(str(problem))
                self._log.event("overlay_kept", str(problem), level="warning", about=overlay.path)
            return False
        self._surely(partial(self._ledger.overlay_removed, overlay.path))
        return True

    def _tell(self, removed: int) -> None:
        if removed:
            self._log.event("overlays_removed", f"{removed} old overlays removed to make room", removed=removed)
