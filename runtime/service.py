"""The watch loop: every image that comes to rest is scored once, and what happened is said in one line.

One image's way: `FolderWatch.poll` finds it at rest, the ledger notes that it arrived and hands it out when its turn
comes, a thread of its own reads and scores it, and this loop writes the result and tells the ledger. While it writes,
the thread is busy with the next image already. Only this loop touches the ledger and the outputs.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from runtime.disk import free_bytes
from runtime.errors import InflamapError
from runtime.folder_watch import FolderWatch, WatchSettings, watch_folder
from runtime.images import file_sha256
from runtime.ledger import ImageRow, Ledger
from runtime.ledger.ledger import LONGEST_PAUSE_S
from runtime.outputs import read_record, result_files
from runtime.result import Result, summary_line
from runtime.scoring import ChangedMeanwhile, Examined, Model, examine, write_examined

BYTES_PER_GB = 1_000_000_000
# how often the disk is asked, and how often a pause looks whether it may end
DISK_CHECK_S = 1.0


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


@dataclass
class Tally:
    """What this run of the watch has done so far.

    Attributes:
        done: results written.
        kept: images whose earlier result was found to be about the same content.
        failed: attempts that failed, and folders that cannot be listed.
    """

    done: int = 0
    kept: int = 0
    failed: int = 0


@dataclass(frozen=True)
class _InHand:
    """An image taken from the ledger, and what the scoring thread makes of it: its earlier result, or a new one."""

    row: ImageRow
    found: "Future[Result | Examined]"


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
    tally = Tally()

    def warn(line: str) -> None:
        tally.failed += 1
        say(f"inflamap: {line}")

    known = [(folder / relative, file) for relative, file in ledger.known()]
    with (
        watch_folder(folder, settings.watch, known=known, once=settings.once, warn=warn) as found,
        ThreadPoolExecutor(1, "scoring") as thread,
    ):
        service = _Service(folder, out, ledger, model, settings, found, thread, tally, say)
        service.start()
        service.run(stop)
    return tally


class _Service:
    """The loop and what it works with."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        ledger: Ledger,
        model: Model,
        settings: ServiceSettings,
        found: FolderWatch,
        thread: ThreadPoolExecutor,
        tally: Tally,
        say: Callable[[str], None],
    ) -> None:
        self._folder, self._out, self._ledger, self._model, self._settings = folder, out, ledger, model, settings
        self._found, self._thread, self._tally, self._say = found, thread, tally, say
        self._paused: str | None = None
        self._next_disk_check = 0.0
        self._told: dict[PurePath, str] = {}

    def start(self) -> None:
        """Take up what an earlier run left, and say what it left that is not as it would be made now."""
        now = time.time()
        for path in self._ledger.recover():
            self._tally.failed += 1
            self._fail_line(f"{self._folder / path}: given up, see `inflamap status --out {self._out}`")
        um_per_px = self._settings.um_per_px
        if um_per_px is not None:
            self._ledger.retry_without_scale(now)
            if other := self._ledger.at_other_scale(um_per_px):
                self._say(f"{other} earlier results took another scale than {um_per_px:g} µm/px; {self._retry_hint()}")
        if other := sum(share.images for share in self._ledger.models() if share.sha256 != self._model.sha256):
            self._say(f"{other} earlier results are of another model; {self._retry_hint()}")

    def run(self, stop: threading.Event) -> None:
        """The loop itself."""
        hand: _InHand | None = None
        while True:
            self._discover()
            if hand is None and not stop.is_set():
                hand = self._begin_next()
            if hand is None:
                if stop.is_set() or (self._settings.once and self._nothing_left()):
                    return
                if self._settings.once and self._paused is not None:
                    raise InflamapError(self._paused, next_step="free space there, or give a smaller --min-free")
                # not stop.wait: the signal that sets `stop` may come while this thread holds its lock
                time.sleep(self._settings.watch.poll_s)
                continue
            # a large image takes long, and the folder is looked at meanwhile
            if not wait([hand.found], self._settings.watch.poll_s).done:
                continue
            # whatever an image does to its decoder or the engine, it must not stop the others
            error = hand.found.exception()
            following = None if stop.is_set() else self._begin_next(beside=True)
            self._conclude(hand, error)
            hand = following

    def _discover(self) -> None:
        for path, file in self._found.poll():
            self._ledger.arrived(path.relative_to(self._folder), file, time.time())

    def _begin_next(self, *, beside: bool = False) -> _InHand | None:
        if self._pauses():
            return None
        row = self._ledger.take(time.time(), beside=beside)
        return None if row is None else _InHand(row, self._thread.submit(self._find_or_examine, row))

    def _nothing_left(self) -> bool:
        return not self._found.unsettled and not self._ledger.waits()

    def _find_or_examine(self, row: ImageRow) -> Result | Examined:
        """In the scoring thread: the image's earlier result where it still holds, else a new score."""
        path = self._folder / row.path
        earlier = None if row.redo else _earlier_result(path, row.path, self._out, self._settings.um_per_px)
        return earlier or examine(path, self._model, um_per_px=self._settings.um_per_px)

    def _conclude(self, hand: _InHand, error: BaseException | None) -> None:
        """Write the result, tell the ledger, say the line."""
        row, path = hand.row, self._folder / hand.row.path
        try:
            if error is not None:
                raise error
            found = hand.found.result()
            result = write_examined(found, row.path, self._out, self._model) if isinstance(found, Examined) else found
        except ChangedMeanwhile:
            self._ledger.postponed(row.path, time.time() + min(self._settings.watch.settle_s, LONGEST_PAUSE_S))
            self._found.look(path)
        except InflamapError as problem:
            self._fail(row, str(problem))
        except Exception as problem:
            self._fail(row, str(InflamapError(f"{path}: unexpected {type(problem).__name__}", seen=problem)))
        else:
            self._ledger.finished(row, result, time.time())
            if result is found:
                self._tally.kept += 1
            else:
                self._tally.done += 1
                self._say(summary_line(result))

    def _fail(self, row: ImageRow, reason: str) -> None:
        self._ledger.failed(row, reason, time.time())
        # an image that is gone is to be noticed when it comes back
        self._found.look(self._folder / row.path)
        self._tally.failed += 1
        # one that fails again and again is told of once
        if self._told.get(row.path) != reason:
            self._told[row.path] = reason
            self._fail_line(reason)

    def _fail_line(self, reason: str) -> None:
        self._say(f"inflamap: {reason}")

    def _pauses(self) -> bool:
        """Whether the disk has too little room to go on; the start and the end of a pause are said and noted."""
        if time.monotonic() < self._next_disk_check:
            return self._paused is not None
        self._next_disk_check = time.monotonic() + DISK_CHECK_S
        was, self._paused = self._paused, self._shortage()
        if (was is None) != (self._paused is None):
            self._ledger.note("paused", self._paused)
            self._say("scoring goes on" if self._paused is None else f"inflamap: paused: {self._paused}")
        return self._paused is not None

    def _shortage(self) -> str | None:
        wanted = self._settings.min_free_gb
        try:
            free = free_bytes(self._out) / BYTES_PER_GB
        except OSError as error:
            return f"{self._out}: the disk cannot be asked for its free space ({error.strerror})"
        if free >= wanted:
            return None
        return (
            f"{self._out}: {free:.1f} GB free, wanted {wanted:g} GB, because the microscope writes there too; "
            "scoring goes on by itself once there is room"
        )

    def _retry_hint(self) -> str:
        return f"`inflamap retry --all --out {self._out}` has them scored anew"


def _earlier_result(path: Path, relative: PurePath, out: Path, um_per_px: float | None) -> Result | None:
    """The image's earlier result, if it is about this very content and its files are there.

    So it is after a kill between the record and the ledger's row, when the ledger was lost, and when a file was only
    touched. The model may be another: that is flagged, and never silently rescored.
    """
    record, files = read_record(out, relative), result_files(relative)
    try:
        result = Result.from_json(record)
    except ValueError:
        # none, or of another make: it is made anew
        return None
    # an image withheld for want of a scale is scored once somebody gives it
    scale_came = result.image.um_per_px is None and um_per_px is not None
    wanted = [files.overlay] if result.map is None else [files.overlay, files.map]
    whole = not scale_came and all((out / file).is_file() for file in wanted)
    return result if whole and result.image.sha256 == file_sha256(path) else None
