"""The watch loop: every image that comes to rest is scored once, and what happened is said in one line.

One image's way: `FolderWatch.poll` finds it at rest, the ledger notes that it arrived and hands it out when its turn
comes, one thread reads it, another scores it, and this loop writes the result and tells the ledger. While it writes,
the threads are busy with the next images already. Only this loop touches the ledger and the outputs.
"""

import shlex
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from runtime.acquisition import Acquisition
from runtime.conclusion import Conclusion
from runtime.errors import InflamapError, one_line
from runtime.file_state import FileState
from runtime.folder_watch import FolderWatch, watch_folder
from runtime.heartbeat import Heartbeat, end_hard
from runtime.images.opening import is_being_written
from runtime.in_hand import STUCK_S, Examiner, InHand, Stages
from runtime.ledger import Ledger
from runtime.ledger.damage import is_damage
from runtime.ledger.ledger import GIVEN_UP, Arrival
from runtime.ledger.turns import Turns
from runtime.missing_outputs import LONGEST_ONCE_S, MissingOutputs
from runtime.model import Model
from runtime.obstacles import Obstacles, Stopped
from runtime.output_folder import LeftOut
from runtime.patience import WatchSettings
from runtime.pseudonyms import Pseudonyms
from runtime.retention import Keep, Retention
from runtime.service_log import ServiceLog
from runtime.version import __version__

# a flood of files that are being written must not keep the loop from looking at the folder
MOST_POSTPONED = 100
# beside the one whose result is being written: one is scored, one read
IN_HAND = 2
# somebody who waits for `--once` should know for what
SILENCE_S = 10.0
OPEN = "another program has the file open for writing"


class ServiceSettings(msgspec.Struct, frozen=True):
    """How the service treats images and disk.

    Attributes:
        watch: how patient it is with the folder.
        acquisition: what the user says of the images.
        min_free_gb: scoring pauses while the results' disk has less free, in 10^9 bytes.
        once: do what is there and end.
        keep: how long overlays are kept.
        pseudonyms: stand for the names of folders and files inside overlays and maps; None shows the names.
    """

    watch: WatchSettings = msgspec.field(default_factory=WatchSettings)
    acquisition: Acquisition = msgspec.field(default_factory=Acquisition)
    min_free_gb: float = 10.0
    once: bool = False
    keep: Keep = msgspec.field(default_factory=Keep)
    pseudonyms: Pseudonyms | None = None


class Tally(msgspec.Struct, frozen=True):
    """What a run of the watch has done.

    Attributes:
        done: results written.
        kept: images whose earlier result was found to be about the same content.
        failed: images that could not be done and are still there, and folders that cannot be listed.
    """

    done: int = 0
    kept: int = 0
    failed: int = 0


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
    """Score images as they come, until `stop` is set; the image that is being scored is finished.

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
    heart = heartbeat or Heartbeat({})

    def warn(path: Path, fault: InflamapError) -> None:
        nonlocal faults
        faults += not isinstance(fault, LeftOut)
        log.event("folder_fault", str(fault), level="warning", about=path.relative_to(folder))

    obstacles = Obstacles(
        out,
        ledger,
        min_free_gb=settings.min_free_gb,
        once=settings.once,
        stop=stop,
        log=log,
        alive=lambda why: heart.beat(lambda: why),
    )

    def known(paths: Sequence[str]) -> Mapping[str, FileState]:
        return obstacles.surely(partial(ledger.known_of, paths))

    examiner = Examiner(folder, out, model, settings.acquisition)
    with (
        watch_folder(folder, settings.watch, known=known, once=settings.once, warn=warn) as found,
        Stages(examiner, stop) as stages,
    ):
        service = _Service(folder, out, ledger, model, settings, found, examiner, stages, stop, log, heart, obstacles)
        try:
            obstacles.surely(service.start)
            service.run()
        except Exception as end:
            # an end that is said is no interruption by an image
            with suppress(sqlite3.Error):
                ledger.release()
            if not isinstance(end, Stopped):
                raise
    return Tally(service.ends.done, service.ends.kept, faults + len(service.ends.failing))


class _Service:
    """The loop and what it works with. `ends`: what became of the images."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        ledger: Ledger,
        model: Model,
        settings: ServiceSettings,
        found: FolderWatch,
        examiner: Examiner,
        stages: Stages,
        stop: threading.Event,
        log: ServiceLog,
        heartbeat: Heartbeat,
        obstacles: Obstacles,
    ) -> None:
        self._folder, self._out, self._ledger, self._model, self._settings = folder, out, ledger, model, settings
        self._found, self._stages, self._stop, self._log, self._heartbeat = found, stages, stop, log, heartbeat
        self._hands: deque[InHand] = deque()
        self._turns = Turns()
        self._obstacles = obstacles
        self._surely = self._obstacles.surely
        self.ends = Conclusion(
            folder,
            out,
            ledger,
            model,
            examiner=examiner,
            found=found,
            obstacles=obstacles,
            patience=settings.watch,
            once=settings.once,
            log=log,
            pseudonyms=settings.pseudonyms,
            alive=lambda: heartbeat.beat(self._status),
        )
        self._retention = Retention(out, ledger, settings.keep, self._surely, log)
        longest_s = LONGEST_ONCE_S if settings.once else float("inf")
        self._missing = MissingOutputs(folder, out, ledger, self._surely, log, longest_s=longest_s)
        self._folder_fault: str | None = None
        self._listed_again = False
        self._listings = 0
        self._say_unsettled_at = time.monotonic() + settings.watch.settle_s + SILENCE_S
        self._give_up_at = self._say_unsettled_at + SILENCE_S if settings.once else float("inf")

    def start(self) -> None:
        """Take up what an earlier run left, and say what it left that is not as it would be made now."""
        now = time.time()
        for row in self._ledger.to_give_up():
            self.ends.keep_failure(row, GIVEN_UP, now, heals=False)
        for path in self._ledger.recover():
            reason = f"given up, see `inflamap status --out {shlex.quote(str(self._out))}`"
            self.ends.failing[path] = reason
            self._log.failed(path, reason, attempts=0, again_in_s=None)
        if self._ledger.noted("version") not in (None, __version__):
            # it may read what the one before could not
            self._ledger.retry_failed(now)
        self._ledger.note("version", __version__)
        acquisition = self._settings.acquisition
        um_per_px = acquisition.um_per_px
        if um_per_px is not None or acquisition.um_per_px_in:
            self._ledger.retry_without_scale(now)
        if um_per_px is not None and (other := self._ledger.at_other_scale(um_per_px)):
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
        while True:
            self._take_more()
            hand = self._hands[0] if self._hands else None
            # a thread that does not come back from an image must not be told as life
            if hand is not None and hand.is_stuck():
                self._tell_stuck(hand)
            else:
                self._heartbeat.beat(self._status)
            if hand is None:
                if self._stop.is_set() or (self._settings.once and self._nothing_left()):
                    return
                if self._settings.once and self._obstacles.paused is not None and self._surely(self._ledger.waits):
                    raise InflamapError(
                        self._obstacles.paused, next_step="free space there, or give a smaller --min-free"
                    )
                # not stop.wait: the signal that sets `stop` may come while this thread holds its lock
                if not self._found.busy and not self._idle_step():
                    self._found.wait()
            # a large image takes long, and the folder is looked at meanwhile
            elif wait([hand.examined], 0 if self._found.busy else self._settings.watch.poll_s).done:
                self._hands.popleft()
                self._take_more(beside=True)
                self.ends.conclude(hand.row, hand.examined)
                if hand.told:
                    self._surely(partial(self._ledger.note, "paused", None))
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
        if self._found.listings != self._listings and self._folder_fault is None:
            self._listings = self._found.listings
            self.ends.drop_gone()

    def _take_more(self, *, beside: bool = False) -> None:
        """Keep the threads busy. `beside`: whether another image's result is still to be written."""
        while len(self._hands) < IN_HAND and not self._stop.is_set():
            hand = self._begin_next(beside=beside or bool(self._hands))
            if hand is None:
                return
            self._hands.append(hand)

    def _begin_next(self, *, beside: bool) -> InHand | None:
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
            if self._found.state_of(row.path) not in (None, row.file):
                self.ends.postpone(row)
            elif is_being_written(path, inside=self._folder):
                if time.monotonic() < self._give_up_at:
                    self.ends.postpone(row, OPEN)
                else:
                    self.ends.fail(row, OPEN)
            else:
                return self._stages.begin(row)
        return None

    def _nothing_left(self) -> bool:
        if self._found.busy or self._found.unsettled or self._surely(self._ledger.waits):
            if time.monotonic() > self._say_unsettled_at:
                self._say_unsettled_at = float("inf")
                what = f"{self._found.unsettled} files to come to rest" if self._found.unsettled else "files held open"
                self._log.event("settling", f"waiting for {what}")
            return False
        # a file that could not be looked at for a moment is found by a second listing
        listed_again, self._listed_again = self._listed_again, True
        if not listed_again:
            self._found.list_again()
            return False
        return not self._idle_step()

    def _idle_step(self) -> bool:
        """Do a little of what has time; whether there is more to do right now."""
        return self._retention.step(time.time()) or self.ends.keep_more_failures() or self._missing.step()

    def _tell_stuck(self, hand: InHand) -> None:
        """Say it once; where no manager starts this anew, end, so that whoever started it can."""
        if hand.told:
            return
        hand.told = True
        name = one_line(hand.row.path.as_posix())
        end = "" if self._heartbeat.watched else "; the watch ends, start it again"
        line = f"{name}: in hand for {STUCK_S / 60:.0f} minutes, and no end to it{end}"
        self._log.event("stuck", line, level="error", about=hand.row.path)
        with suppress(sqlite3.Error):
            self._ledger.note("paused", "an image is in hand and does not come to an end")
        if end:
            end_hard()

    def _status(self) -> str:
        """One line for the service manager."""
        if self._obstacles.paused is not None:
            return f"paused: {self._obstacles.paused}"
        if self._folder_fault is not None:
            return self._folder_fault
        try:
            counts = ", ".join(f"{count} {state}" for state, count in self._ledger.counts().items())
        except sqlite3.OperationalError as error:
            if is_damage(error):
                raise
            counts = f"the ledger cannot be read: {error}"
        return f"{self._found.unsettled} settling, {counts}"

    def _retry_hint(self) -> str:
        return f"`inflamap retry --all --out {shlex.quote(str(self._out))}` has them scored anew"
