"""The watch loop: every image that comes to rest is scored once, and what happened is said in one line.

One image's way: `FolderWatch.poll` finds it at rest, the ledger notes that it arrived and hands it out when its turn
comes, a thread of its own reads and scores it, and this loop writes the result and tells the ledger. While it writes,
the thread is busy with the next image already. Only this loop touches the ledger and the outputs.
"""

import shlex
import sqlite3
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath

from runtime.earlier_result import withdraw_stale_result
from runtime.errors import InflamapError, NeverAnImage, one_line
from runtime.file_state import FileState
from runtime.folder_watch import FolderWatch, watch_folder
from runtime.heartbeat import Heartbeat
from runtime.images.opening import is_being_written
from runtime.in_hand import Earlier, Examiner, PlaceForbids
from runtime.ledger import ImageRow, Ledger
from runtime.ledger.ledger import LONGEST_PAUSE_S, Arrival
from runtime.ledger.turns import Turns
from runtime.obstacles import BLOCKED_S, Obstacles
from runtime.outputs import OutputsBlocked
from runtime.patience import WatchSettings
from runtime.retention import Keep, Retention
from runtime.scoring import ChangedMeanwhile, Examined, Model, write_examined
from runtime.service_log import ServiceLog
from runtime.version import __version__

# a flood of files that are being written must not keep the loop from looking at the folder
MOST_POSTPONED = 100
# somebody who waits for `--once` should know for what
SILENCE_S = 10.0
# the largest mosaic takes a minute or two; what takes longer is stuck, and the service manager is to know
STUCK_S = 900.0
GONE = "the file is gone; next: put it back if it is to be scored"
OPEN = "another program has the file open for writing"


@dataclass(frozen=True)
class ServiceSettings:
    """How the service treats images and disk.

    Attributes:
        watch: how patient it is with the folder.
        um_per_px: sampling of the images, where the user says so.
        min_free_gb: scoring pauses while the results' disk has less free, in 10^9 bytes.
        once: do what is there and end.
        keep: how long overlays are kept.
    """

    watch: WatchSettings = field(default_factory=WatchSettings)
    um_per_px: float | None = None
    min_free_gb: float = 10.0
    once: bool = False
    keep: Keep = field(default_factory=Keep)


@dataclass(frozen=True)
class Tally:
    """What a run of the watch has done.

    Attributes:
        done: results written.
        kept: images whose earlier result was found to be about the same content.
        failed: images that could not be done and are still there, and folders that cannot be listed.
    """

    done: int = 0
    kept: int = 0
    failed: int = 0


@dataclass(frozen=True)
class _InHand:
    """An image taken from the ledger, and what the scoring thread makes of it. `since`: seconds, steady clock."""

    row: ImageRow
    found: Future[Earlier | Examined]
    since: float


def watch(
    folder: Path,
    out: Path,
    ledger: Ledger,
    model: Model,
    settings: ServiceSettings,
    stop: threading.Event,
    *,
    log: ServiceLog,
    heartbeat: Heartbeat | None = None,
) -> Tally:
    """Score images as they come, until `stop` is set; the image in hand is finished.

    Args:
        folder: where the microscope saves; only read. May be gone for a while, at the start too.
        out: the results' folder, outside of `folder`, held by the caller (`runtime.output_lock`).
        ledger: that folder's ledger.
        model: what scores.
        settings: how to go about it.
        stop: ends the loop.
        log: told one line an image.
        heartbeat: tells the service manager that the loop gets on.

    Raises:
        InflamapError: the results' folder was removed or replaced; or, with `once`, the disk has too little room.
    """
    faults = 0

    def warn(path: Path, line: str) -> None:
        nonlocal faults
        faults += 1
        log.event("folder_fault", line, level="warning", about=path.relative_to(folder))

    with (
        watch_folder(folder, settings.watch, known=ledger.known_of, once=settings.once, warn=warn) as found,
        ThreadPoolExecutor(1, "scoring") as thread,
    ):
        service = _Service(folder, out, ledger, model, settings, found, thread, stop, log, heartbeat or Heartbeat({}))
        try:
            service.start()
            service.run()
        except Exception:
            # an end that is said is no interruption by an image
            with suppress(sqlite3.Error):
                ledger.release()
            raise
    return Tally(service.done, service.kept, faults + len(service.failing))


class _Service:
    """The loop and what it works with.

    Attributes:
        done, kept: as in `Tally`.
        failing: images that could not be done the last time and are still there, with the reason.
    """

    def __init__(
        self,
        folder: Path,
        out: Path,
        ledger: Ledger,
        model: Model,
        settings: ServiceSettings,
        found: FolderWatch,
        thread: ThreadPoolExecutor,
        stop: threading.Event,
        log: ServiceLog,
        heartbeat: Heartbeat,
    ) -> None:
        self._folder, self._out, self._ledger, self._model, self._settings = folder, out, ledger, model, settings
        self._found, self._thread, self._stop, self._log, self._heartbeat = found, thread, stop, log, heartbeat
        self.done = self.kept = 0
        self.failing: dict[PurePath, str] = {}
        self._examiner = Examiner(folder, out, model, settings.um_per_px)
        self._turns = Turns()
        self._obstacles = Obstacles(
            out,
            ledger,
            min_free_gb=settings.min_free_gb,
            once=settings.once,
            stop=stop,
            log=log,
            alive=lambda why: heartbeat.beat(lambda: why),
        )
        self._surely = self._obstacles.surely
        self._retention = Retention(out, ledger, settings.keep, self._surely, log)
        self._folder_fault: str | None = None
        self._listed_again = False
        self._say_unsettled_at = time.monotonic() + settings.watch.settle_s + SILENCE_S

    def start(self) -> None:
        """Take up what an earlier run left, and say what it left that is not as it would be made now."""
        now = time.time()
        for path in self._ledger.recover():
            self.failing[path] = f"given up, see `inflamap status --out {shlex.quote(str(self._out))}`"
            self._log.failed(path, self.failing[path], attempts=0, again_in_s=None)
        if self._ledger.noted("version") not in (None, __version__):
            # it may read what the one before could not
            self._ledger.retry_failed(now)
        self._ledger.note("version", __version__)
        um_per_px = self._settings.um_per_px
        if um_per_px is not None:
            self._ledger.retry_without_scale(now)
            if other := self._ledger.at_other_scale(um_per_px):
                line = f"{other} earlier results took another scale than {um_per_px:g} µm/px; {self._retry_hint()}"
                self._log.event("other_scale", line, images=other)
        if other := sum(share.images for share in self._ledger.models() if share.sha256 != self._model.sha256):
            self._log.event(
                "other_model", f"{other} earlier results are of another model; {self._retry_hint()}", images=other
            )

    def run(self) -> None:
        """The loop itself."""
        self._discover()
        self._heartbeat.ready(self._status())
        hand: _InHand | None = None
        while True:
            if hand is None and not self._stop.is_set():
                hand = self._begin_next()
            # a thread that does not come back from an image must not be told as life
            if hand is None or time.monotonic() - hand.since < STUCK_S:
                self._heartbeat.beat(self._status)
            if hand is None:
                if self._stop.is_set() or (self._settings.once and self._nothing_left()):
                    return
                if self._settings.once and self._obstacles.paused is not None and self._ledger.waits():
                    raise InflamapError(
                        self._obstacles.paused, next_step="free space there, or give a smaller --min-free"
                    )
                # not stop.wait: the signal that sets `stop` may come while this thread holds its lock
                if not self._found.busy and not self._retention.step(time.time()):
                    time.sleep(self._settings.watch.poll_s)
            # a large image takes long, and the folder is looked at meanwhile
            elif wait([hand.found], 0 if self._found.busy else self._settings.watch.poll_s).done:
                following = None if self._stop.is_set() else self._begin_next(beside=True)
                self._conclude(hand)
                hand = following
            self._discover()

    def _discover(self) -> None:
        found = self._found.poll()
        if found:
            now = time.time()
            arrivals = [Arrival(image.path, image.state, now - image.rested_s) for image in found]
            self._surely(partial(self._ledger.arrived, arrivals))
        if self._found.fault != self._folder_fault:
            self._folder_fault = self._found.fault
            self._surely(partial(self._ledger.note, "folder_fault", self._folder_fault))

    def _begin_next(self, *, beside: bool = False) -> _InHand | None:
        if self._obstacles.pauses():
            return None
        now = time.time()
        for _ in range(MOST_POSTPONED):
            row = self._surely(partial(self._ledger.take, now, turn=self._turns.next, beside=beside))
            if row is None:
                break
            self._turns.taken()
            path = self._folder / row.path
            # an image that is due for another reason than its arrival may be being written right now
            if FileState.of(path) not in (None, row.file):
                self._postpone(row)
            elif is_being_written(path):
                self._postpone(row, OPEN)
            else:
                return _InHand(row, self._thread.submit(self._examiner.examine, row), time.monotonic())
        return None

    def _nothing_left(self) -> bool:
        if self._found.busy or self._found.unsettled or self._ledger.waits():
            if self._found.unsettled and time.monotonic() > self._say_unsettled_at:
                self._say_unsettled_at = float("inf")
                self._log.event("settling", f"waiting for {self._found.unsettled} files to come to rest")
            return False
        # a file that could not be looked at for a moment is found by a second listing
        listed_again, self._listed_again = self._listed_again, True
        if not listed_again:
            self._found.list_again()
            return False
        return not self._retention.step(time.time())

    def _conclude(self, hand: _InHand) -> None:
        """Write the result, tell the ledger, say the line."""
        row, path = hand.row, self._folder / hand.row.path
        # whatever an image does to its decoder or the engine, it must not stop the others
        try:
            found = hand.found.result()
            if isinstance(found, Examined):
                result, gone = write_examined(found, row.path, self._out, self._model), False
            else:
                result, gone = found.result, found.gone
        except ChangedMeanwhile:
            self._postpone(row)
        except OutputsBlocked as problem:
            self._block(row, problem)
        except InflamapError as problem:
            self._fail(row, str(problem), heals=not isinstance(problem, NeverAnImage | PlaceForbids))
        except Exception as problem:
            self._fail(row, str(InflamapError(f"{path}: unexpected {type(problem).__name__}", seen=problem)))
        else:
            self._surely(partial(self._ledger.finished, row, result, time.time(), gone=gone))
            self.failing.pop(row.path, None)
            if isinstance(found, Examined):
                self.done += 1
                self._log.result(row.path, result)
            else:
                self.kept += 1
            if gone:
                line = f"{one_line(row.path.as_posix())}: the image is gone; its earlier result stays"
                self._log.event("gone", line, about=row.path)

    def _postpone(self, row: ImageRow, reason: str = "") -> None:
        """The image has to come to rest again; if no event tells of that, it is looked at when it is due."""
        watch = self._settings.watch
        pause_s = min(max(watch.settle_s, watch.poll_s), LONGEST_PAUSE_S)
        self._surely(partial(self._ledger.postponed, row.path, time.time() + pause_s, reason))
        self._found.look(str(row.path))

    def _block(self, row: ImageRow, problem: InflamapError) -> None:
        """The disk of the results is in the way: the image waits, and so do all others."""
        if self._settings.once:
            self._fail(row, str(problem))
            return
        self._surely(partial(self._ledger.postponed, row.path, time.time() + BLOCKED_S))
        self._obstacles.block(str(problem))

    def _fail(self, row: ImageRow, problem: str, *, heals: bool = True) -> None:
        path = self._folder / row.path
        gone = self._examiner.is_gone(path)
        reason = GONE if gone else problem.removeprefix(f"{one_line(str(path))}: ")
        if not gone and not self._examiner.would_write_into_folder(row.path):
            withdraw_stale_result(path, row.path, self._out)
        now = time.time()
        due = self._surely(partial(self._ledger.failed, row, reason, now, heals=heals, gone=gone))
        # one that fails again and again is told of once
        if self.failing.get(row.path) != reason:
            self._log.failed(
                row.path, reason, attempts=row.attempts, again_in_s=None if due is None else max(0.0, due - now)
            )
        if gone:
            # that somebody took it away is no failure of ours
            self.failing.pop(row.path, None)
        else:
            self._found.look(str(row.path))
            self.failing[row.path] = reason

    def _status(self) -> str:
        """One line for the service manager."""
        if self._obstacles.paused is not None:
            return f"paused: {self._obstacles.paused}"
        if self._folder_fault is not None:
            return self._folder_fault
        counts = ", ".join(f"{count} {state}" for state, count in self._ledger.counts().items())
        return f"{self._found.unsettled} settling, {counts}"

    def _retry_hint(self) -> str:
        return f"`inflamap retry --all --out {shlex.quote(str(self._out))}` has them scored anew"
