"""Overlays are pictures for the days after: the oldest may go, by age or by what they take. Records and maps stay.

An age is as good as the clock. No overlay goes by age while the clock and the newest result are further apart than the
limit, and in a day no more than a share of the overlays goes by age, whatever the clock says.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from runtime.errors import InflamapError, one_line
from runtime.ledger import Ledger
from runtime.ledger.account import KeptOverlay
from runtime.outputs import read_record, remove_overlay, result_files
from runtime.service_log import ServiceLog

DAY_S = 86_400.0
# how often it is looked whether some may go
SWEEP_S = 600.0
PAGE = 200
# a clock is doubted from here on, however short the limit is
LEAST_DOUBT_S = DAY_S
SHARE_NOTE = "overlays_removed_by_age"
HOUR_S = 3600.0


class Keep(msgspec.Struct, frozen=True):
    """How long overlays are kept. `days`: since their result; `gb`: all together, in 10^9 bytes. None: no limit."""

    days: float | None = None
    gb: float | None = None


class DailyShare(msgspec.Struct, frozen=True):
    """The limit on removals by age within a day: `part` of all overlays, and at least `least`."""

    part: float = 0.1
    least: int = 10

    def of(self, overlays: int) -> int:
        """Return the number, of so many overlays."""
        return max(self.least, int(self.part * overlays))


class _Spent(msgspec.Struct):
    """Recent removals by age, kept as a note of the ledger.

    Attributes:
        seconds: that passed for certain since the first removal.
        steady: the steady clock then.
        hours: removals by the hour of `seconds`.
    """

    seconds: float = 0.0
    steady: float = 0.0
    hours: dict[int, int] = msgspec.field(default_factory=dict)

    def advance(self, steady: float) -> None:
        """Let the time pass that passed for certain, and forget what is more than a day ago.

        Computers count the steady clock from their start. Where it is lower than before, the computer was started
        anew, and for how long it was off only the doubted clock could tell.
        """
        self.seconds += steady - self.steady if steady >= self.steady else steady
        self.steady = steady
        # a removal at the very end of an hour stays for a whole day
        oldest = int((self.seconds - DAY_S) // HOUR_S)
        self.hours = {hour: count for hour, count in self.hours.items() if hour >= oldest}

    def add(self, count: int) -> None:
        hour = int(self.seconds // HOUR_S)
        self.hours[hour] = self.hours.get(hour, 0) + count

    @property
    def in_all(self) -> int:
        return sum(self.hours.values())


class Retention:
    """Removes overlays a little at a time, while the loop has nothing else to do.

    Args:
        out: the results' folder.
        ledger: of it.
        keep: what is kept.
        surely: changes the ledger, waiting for it where it must (`runtime.obstacles`).
        log: told of each sweep that removed any, and once of a clock that is doubted.
        share: how many may go by age within a day.
        steady: seconds since the computer was started, whatever its clock is set to.
    """

    def __init__(
        self,
        out: Path,
        ledger: Ledger,
        keep: Keep,
        surely: Callable[[Callable[[], Any]], Any],
        log: ServiceLog,
        *,
        share: DailyShare = DailyShare(),  # noqa: B008 - frozen
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._ledger, self._keep, self._surely, self._log = out, ledger, keep, surely, log
        self._share, self._steady = share, steady
        self._sweep: Iterator[None] | None = None
        self._next = 0.0
        self._allowed = 0
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
            if self._steady() < self._next:
                return False
            self._sweep = self._all_of_it(now)
        for _ in self._sweep:
            return True
        self._sweep, self._next = None, self._steady() + SWEEP_S
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
        removed, too_old_before = 0, self._too_old_before(now)
        for page in self._pages():
            for overlay in page:
                # the oldest first, so that all after it stay too
                by_size = most is not None and left > most
                if not by_size and not (overlay.finished < too_old_before and self._spend()):
                    self._tell(removed)
                    return
                left -= self._size(overlay)
                gone = self._remove(overlay)
                removed += gone
                if not gone and not by_size:
                    self._give_back()
                yield
        self._tell(removed)

    def _too_old_before(self, now: float) -> float:
        """Return the time before which a result's overlay is too old, Unix seconds; -inf where none may go by age."""
        newest = None if self._keep.days is None else self._surely(self._ledger.newest_result)
        if self._keep.days is None or newest is None:
            return float("-inf")
        # of all the overlays that there were before the day's removals
        spent = self._spent().in_all
        self._allowed = self._share.of(self._surely(self._ledger.overlay_count) + spent)
        limit_s = self._keep.days * DAY_S
        finished, path = newest
        if abs(now - finished) <= max(limit_s, LEAST_DOUBT_S):
            return now - limit_s
        days, after = abs(now - finished) / DAY_S, now > finished
        right = "the next result ends this" if after else "have that image scored anew (Retry)"
        self._tell_once(
            "clock_doubted",
            f"{one_line(path.as_posix())}: this is the newest result, and the clock is {days:.0f} days "
            f"{'after' if after else 'before'} it, so that no overlay is removed by age; next: set this computer's "
            f"clock; if it is right, {right}",
            path,
        )
        return float("-inf")

    def _spend(self) -> bool:
        """Take one removal out of the day's share, durably; False where the share is used up."""
        spent = self._spent()
        if spent.in_all >= self._allowed:
            self._tell_once(
                "overlays_kept",
                f"{spent.in_all} overlays were removed by age within a day, which is the most; more go day by day",
            )
            return False
        self._note(spent, 1)
        return True

    def _give_back(self) -> None:
        self._note(self._spent(), -1)

    def _spent(self) -> _Spent:
        noted = self._surely(partial(self._ledger.noted, SHARE_NOTE))
        if noted is None:
            return _Spent(steady=self._steady())
        spent = msgspec.convert(noted, _Spent, str_keys=True)
        spent.advance(self._steady())
        return spent

    def _note(self, spent: _Spent, count: int) -> None:
        spent.add(count)
        self._surely(partial(self._ledger.note, SHARE_NOTE, msgspec.to_builtins(spent)))

    def _pages(self) -> Iterator[list[KeptOverlay]]:
        after: KeptOverlay | None = None
        while page := self._surely(partial(self._ledger.overlays, after, PAGE)):
            yield page
            after = page[-1]

    def _finish_removals(self, page: list[KeptOverlay], *, oldest: bool) -> bool:
        """Remove overlays anew that are gone: they count for nothing here, and would never be removed.

        A removal ends so halfway where neither the record nor the ledger can be written, on a disk that stays full.
        A missing overlay with an older one still there was not removed here, unless its record says so.

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
            # tried again at the next sweep
            self._tell_once("overlay_kept", str(problem), overlay.path)
            return False
        self._surely(partial(self._ledger.overlay_removed, overlay.path))
        return True

    def _tell_once(self, event: str, line: str, about: Path | None = None) -> None:
        """Log what goes on from sweep to sweep the first time."""
        # a clock that is doubted is so by another number of days tomorrow
        known = event if event != "overlay_kept" else line
        if known not in self._said:
            self._said.add(known)
            self._log.event(event, line, level="warning", about=about)

    def _tell(self, removed: int) -> None:
        if removed:
            self._log.event("overlays_removed", f"{removed} old overlays removed to make room", removed=removed)
