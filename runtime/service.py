"""The watch loop: every image that comes to rest is scored once, and what happened is said in one line.

One image's way: `FolderWatch.poll` finds it at rest, the ledger notes that it arrived and hands it out when its turn
comes, a thread of its own reads and scores it, and this loop writes the result and tells the ledger. While it writes,
the thread is busy with the next image already. Only this loop touches the ledger and the outputs.
"""

import shlex
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import TypeVar

from runtime.disk import shortage
from runtime.earlier_result import earlier_result, withdraw_stale_result
from runtime.errors import InflamapError, one_line
from runtime.file_state import FileState, is_folder, is_missing
from runtime.folder_watch import FolderWatch, WatchSettings, watch_folder
from runtime.ledger import ImageRow, Ledger
from runtime.ledger.ledger import LONGEST_PAUSE_S
from runtime.result import Result, summary_line
from runtime.scoring import ChangedMeanwhile, Examined, Model, examine, write_examined

# how often the disk is asked, and how often a pause looks whether it may end
DISK_CHECK_S = 1.0
# a flood of files that are being written must not keep the loop from looking at the folder
MOST_POSTPONED = 100
# somebody who waits for `--once` should know for what
SILENCE_S = 10.0
GONE = "the file is gone; next: put it back if it is to be scored"

T = TypeVar("T")


@dataclass(frozen=True)
class ServiceSettings:
    """How the service treats images and disk.

    Attributes:
        watch: how patient it is with the folder.
        um_per_px: sampling of the images, where the user says so.
        min_free_gb: scoring pauses while the results' disk has less free, in 10^9 bytes.
        once: do what is there and end.
    """

    watch: WatchSettings = field(default_factory=WatchSettings)
    um_per_px: float | None = None
    min_free_gb: float = 10.0
    once: bool = False


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
    """An image taken from the ledger, and what the scoring thread makes of it: its earlier result, or a new one."""

    row: ImageRow
    found: "Future[_Earlier | Examined]"


@dataclass(frozen=True)
class _Earlier:
    """An image's earlier result that still holds; `gone`: because the image itself is there no more."""

    result: Result
    gone: bool


def watch(
    folder: Path,
    out: Path,
    ledger: Ledger,
    model: Model,
    settings: ServiceSettings,
    stop: threading.Event,
    *,
    say: Callable[[str], None],
) -> Tally:
    """Score images as they come, until `stop` is set; the image in hand is finished.

    Args:
        folder: where the microscope saves; only read.
        out: the results' folder, outside of `folder`, held by the caller (`runtime.output_lock`).
        ledger: that folder's ledger.
        model: what scores.
        settings: how to go about it.
        stop: ends the loop.
        say: told one line an image.

    Raises:
        InflamapError: there is no such folder; or, with `once`, the disk has too little room to go on.
    """
    faults = 0

    def warn(line: str) -> None:
        nonlocal faults
        faults += 1
        say(f"inflamap: {line}")

    known = [(folder / relative, file) for relative, file in ledger.known()]
    with (
        watch_folder(folder, settings.watch, known=known, once=settings.once, warn=warn) as found,
        ThreadPoolExecutor(1, "scoring") as thread,
    ):
        service = _Service(folder, out, ledger, model, settings, found, thread, stop, say)
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
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._out, self._ledger, self._model, self._settings = folder, out, ledger, model, settings
        self._found, self._thread, self._stop, self._say = found, thread, stop, say
        self.done = self.kept = 0
        self.failing: dict[PurePath, str] = {}
        self._real_folder, self._real_out = folder.resolve(), out.resolve()
        self._paused: str | None = None
        self._next_disk_check = 0.0
        self._folder_fault: str | None = None
        self._listed_again = False
        self._say_unsettled_at = time.monotonic() + settings.watch.settle_s + SILENCE_S

    def start(self) -> None:
        """Take up what an earlier run left, and say what it left that is not as it would be made now."""
        now = time.time()
        for path in self._ledger.recover():
            self.failing[path] = f"given up, see `inflamap status --out {shlex.quote(str(self._out))}`"
            self._say_failed(path, self.failing[path])
        um_per_px = self._settings.um_per_px
        if um_per_px is not None:
            self._ledger.retry_without_scale(now)
            if other := self._ledger.at_other_scale(um_per_px):
                self._say(f"{other} earlier results took another scale than {um_per_px:g} µm/px; {self._retry_hint()}")
        if other := sum(share.images for share in self._ledger.models() if share.sha256 != self._model.sha256):
            self._say(f"{other} earlier results are of another model; {self._retry_hint()}")

    def run(self) -> None:
        """The loop itself."""
        hand: _InHand | None = None
        while True:
            self._discover()
            if hand is None and not self._stop.is_set():
                hand = self._begin_next()
            if hand is None:
                if self._stop.is_set() or (self._settings.once and self._nothing_left()):
                    return
                if self._settings.once and self._paused is not None and self._ledger.waits():
                    raise InflamapError(self._paused, next_step="free space there, or give a smaller --min-free")
                # not stop.wait: the signal that sets `stop` may come while this thread holds its lock
                time.sleep(self._settings.watch.poll_s)
                continue
            # a large image takes long, and the folder is looked at meanwhile
            if not wait([hand.found], self._settings.watch.poll_s).done:
                continue
            following = None if self._stop.is_set() else self._begin_next(beside=True)
            self._conclude(hand)
            hand = following

    def _discover(self) -> None:
        for path, file in self._found.poll():
            self._surely(partial(self._ledger.arrived, path.relative_to(self._folder), file, time.time()))
        if self._found.fault != self._folder_fault:
            self._folder_fault = self._found.fault
            self._surely(partial(self._ledger.note, "folder_fault", self._folder_fault))

    def _begin_next(self, *, beside: bool = False) -> _InHand | None:
        if self._pauses():
            return None
        now = time.time()
        for _ in range(MOST_POSTPONED):
            row = self._surely(partial(self._ledger.take, now, beside=beside))
            if row is None:
                break
            # an image that is due for another reason than its arrival may be being written right now
            if FileState.of(self._folder / row.path) in (None, row.file):
                return _InHand(row, self._thread.submit(self._find_or_examine, row))
            self._postpone(row)
        return None

    def _nothing_left(self) -> bool:
        if self._found.unsettled or self._ledger.waits():
            if self._found.unsettled and time.monotonic() > self._say_unsettled_at:
                self._say_unsettled_at = float("inf")
                self._say(f"waiting for {self._found.unsettled} files to come to rest")
            return False
        # a file that could not be looked at for a moment is found by a second listing
        listed_again, self._listed_again = self._listed_again, True
        if not listed_again:
            self._found.list_again()
        return listed_again

    def _find_or_examine(self, row: ImageRow) -> _Earlier | Examined:
        """In the scoring thread: the image's earlier result where it still holds, else a new one."""
        path = self._folder / row.path
        if self._would_write_into_folder(row):
            raise InflamapError(
                f"{path}: its results would lie in the watched folder, which is only read",
                next_step="choose an --out that does not hold the watched folder",
            )
        gone = self._is_gone(path)
        if gone or not row.redo:
            earlier = earlier_result(path, row.path, self._out, self._settings.um_per_px, gone=gone)
            if earlier is not None:
                return _Earlier(earlier, gone)
        return examine(path, self._model, um_per_px=self._settings.um_per_px)

    def _would_write_into_folder(self, row: ImageRow) -> bool:
        return (self._real_out / row.path).is_relative_to(self._real_folder)

    def _is_gone(self, path: Path) -> bool:
        """Whether the image was deleted or moved; not when the whole folder cannot be reached."""
        return is_folder(self._folder) and is_missing(path) and is_folder(self._folder)

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
        except InflamapError as problem:
            self._fail(row, str(problem))
        except Exception as problem:
            self._fail(row, str(InflamapError(f"{path}: unexpected {type(problem).__name__}", seen=problem)))
        else:
            self._surely(partial(self._ledger.finished, row, result, time.time(), gone=gone))
            self.failing.pop(row.path, None)
            if isinstance(found, Examined):
                self.done += 1
                self._say(summary_line(result))
            else:
                self.kept += 1
            if gone:
                self._found.forget(path)
                self._say(f"{one_line(row.path.as_posix())}: the image is gone; its earlier result stays")

    def _postpone(self, row: ImageRow) -> None:
        """The image has to come to rest again; if no event tells of that, it is looked at when it is due."""
        watch = self._settings.watch
        pause_s = min(max(watch.settle_s, watch.poll_s), LONGEST_PAUSE_S)
        self._surely(partial(self._ledger.postponed, row.path, time.time() + pause_s))
        self._found.look(self._folder / row.path)

    def _fail(self, row: ImageRow, problem: str) -> None:
        path = self._folder / row.path
        gone = self._is_gone(path)
        reason = GONE if gone else problem.removeprefix(f"{one_line(str(path))}: ")
        if not gone and not self._would_write_into_folder(row):
            withdraw_stale_result(path, row.path, self._out)
        self._surely(partial(self._ledger.failed, row, reason, time.time(), gone=gone))
        # one that fails again and again is told of once
        if self.failing.get(row.path) != reason:
            self._say_failed(row.path, reason)
        if gone:
            # it is to be noticed when it comes back; that somebody took it away is no failure of ours
            self._found.forget(path)
            self.failing.pop(row.path, None)
        else:
            self._found.look(path)
            self.failing[row.path] = reason

    def _say_failed(self, relative: PurePath, reason: str) -> None:
        self._say(f"inflamap: {one_line(relative.as_posix())}: {reason}")

    def _surely(self, act: Callable[[], T]) -> T:
        """Change the ledger; one that cannot be written (a full disk, a lock, a share that is gone) is waited for."""
        said = False
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if self._settings.once or self._stop.is_set():
                    raise
                if not said:
                    self._say(f"inflamap: waiting, because the ledger in {self._out} cannot be written: {error}")
                said = True
                time.sleep(DISK_CHECK_S)

    def _pauses(self) -> bool:
        """Whether the disk has too little room to go on; the start and the end of a pause are said and noted."""
        if time.monotonic() < self._next_disk_check:
            return self._paused is not None
        self._next_disk_check = time.monotonic() + DISK_CHECK_S
        was, self._paused = self._paused, shortage(self._out, self._settings.min_free_gb)
        if (was is None) != (self._paused is None) and not self._settings.once:
            self._surely(partial(self._ledger.note, "paused", self._paused))
            self._say(f"inflamap: paused: {self._paused}; it goes on by itself" if self._paused else "scoring goes on")
        return self._paused is not None

    def _retry_hint(self) -> str:
        return f"`inflamap retry --all --out {shlex.quote(str(self._out))}` has them scored anew"
