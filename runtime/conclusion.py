"""What becomes of an image that was taken: its result is written, it is put off, or it failed; the ledger is told."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path, PurePath

from runtime.earlier_result import has_result, withdraw_stale_result
from runtime.errors import InflamapError, NeverAnImage, as_value, one_line
from runtime.failure_record import FailureRecord, remove_failure, write_failure
from runtime.file_state import is_missing
from runtime.folder_watch import FolderWatch
from runtime.in_hand import Earlier, EngineFailed, Examiner, Outcome
from runtime.ledger import ImageRow, Ledger, State
from runtime.ledger.ledger import LONGEST_PAUSE_S, NO_FILE
from runtime.ledger.row import to_key
from runtime.model import Model
from runtime.obstacles import BLOCKED_S, Obstacles
from runtime.outputs import CannotWrite, read_record, result_files
from runtime.patience import WatchSettings
from runtime.place import PlaceForbids
from runtime.pseudonyms import Pseudonyms
from runtime.result import Result
from runtime.scoring import ChangedMeanwhile, Examined, write_examined
from runtime.service_log import ServiceLog

# who took a bad file away sees for a day that it is gone
GONE_KEPT_S = 86_400.0
MOST_ASKED, DROP_EVERY_S = 200, 60.0
# beyond it what fails may be told again
MOST_FAILING = 10_000
# as many failures are looked at in a step, and a disk that took no record is tried again after so many seconds
KEPT_AT_ONCE, KEEP_AGAIN_S = 20, 600.0
GONE = "the file is gone; next: put it back if it is to be scored"


class Conclusion:
    """Ends what was begun with an image.

    Attributes:
        done: results written.
        kept: images whose earlier result was found to be about the same content.
        failing: images that could not be done the last time and are still there, with the reason.
    """

    def __init__(
        self,
        folder: Path,
        out: Path,
        ledger: Ledger,
        model: Model,
        *,
        examiner: Examiner,
        found: FolderWatch,
        obstacles: Obstacles,
        patience: WatchSettings,
        once: bool,
        log: ServiceLog,
        pseudonyms: Pseudonyms | None,
        alive: Callable[[], object],
    ) -> None:
        self._folder, self._out, self._ledger, self._model = folder, out, ledger, model
        self._examiner, self._found, self._obstacles, self._patience = examiner, found, obstacles, patience
        self._once, self._log, self._pseudonyms, self._alive = once, log, pseudonyms, alive
        self._surely = obstacles.surely
        self.done = self.kept = 0
        self.failing: dict[PurePath, str] = {}
        self._next_drop = 0.0
        self._asked = b""
        self._said_unkept = self._lacks_records = False
        self._keep_after: PurePath | None = None
        self._next_keep = 0.0

    def conclude(self, row: ImageRow, examined: "Future[Outcome]") -> None:
        """Write the result, tell the ledger, say the line.

        Raises:
            EngineFailed: whatever the image was, the engine does not work any more.
        """
        found = self._result_of(row, examined)
        if found is None:
            self._surely(partial(self._ledger.postponed, row.path, time.time()))
        elif isinstance(found, InflamapError):
            self._end_without_result(row, found)
        else:
            self._take_over(row, *found)

    def postpone(self, row: ImageRow, reason: str = "") -> None:
        """The image has to come to rest again; if no event tells of that, it is looked at when it is due."""
        pause_s = min(max(self._patience.settle_s, self._patience.poll_s), LONGEST_PAUSE_S)
        self._surely(partial(self._ledger.postponed, row.path, time.time() + pause_s, reason))
        self._found.look(str(row.path))

    def fail(self, row: ImageRow, problem: str, *, heals: bool = True) -> None:
        """The image could not be done. `heals`: whether trying again may help though it stays as it is."""
        path = self._folder / row.path
        gone = self._examiner.is_gone(path)
        reason = GONE if gone else problem.removeprefix(f"{one_line(str(path))}: ")
        if not gone and not self._examiner.would_write_into_folder(row.path):
            withdraw_stale_result(self._folder, row.path, self._out, alive=self._alive)
        now = time.time()
        self.keep_failure(row, reason, now, heals=heals, gone=gone)
        due = self._surely(partial(self._ledger.failed, row, reason, now, heals=heals, gone=gone))
        # one that fails again and again is told of once
        if self.failing.get(row.path) != reason:
            again_in_s = None if due is None else max(0.0, due - now)
            self._log.failed(row.path, reason, attempts=row.attempts, again_in_s=again_in_s)
        if gone:
            # that somebody took it away is no failure of ours
            self.failing.pop(row.path, None)
        else:
            self._found.look(str(row.path))
            if len(self.failing) >= MOST_FAILING:
                self.failing.clear()
            self.failing[row.path] = reason

    def keep_failure(self, row: ImageRow, reason: str, now: float, *, heals: bool, gone: bool = False) -> None:
        """Write the failure record of an image, before the ledger says that the image failed.

        Nothing is written if the same failure is recorded already, or if the image has an earlier result. A record that
        cannot be written is no failure of its own: the ledger keeps the reason, and the record is written later.

        Args:
            row: the image, as it was taken.
            reason: for a person.
            now: Unix seconds.
            heals: whether trying again may help though nothing arrives under this name.
            gone: whether the file is there no more.
        """
        # the watched folder is only read
        if self._examiner.would_write_into_folder(row.path):
            return
        same = row.state is State.FAILED and row.reason == reason
        if (same and not is_missing(self._out / result_files(row.path).failure)) or has_result(self._out, row.path):
            return
        failure = FailureRecord(
            path=row.path, file=row.file, reason=reason, attempts=row.attempts, heals=heals, gone=gone, at=now
        )
        try:
            write_failure(self._out, failure)
        except CannotWrite as problem:
            # a full disk stays full for many images
            if not self._said_unkept:
                line = f"{one_line(row.path.as_posix())}: only the ledger keeps this failure: {problem}"
                self._log.event("failure_not_kept", line, level="warning", about=row.path)
            self._said_unkept = self._lacks_records = True
            self._next_keep = min(self._next_keep, time.monotonic() + KEEP_AGAIN_S)

    def keep_more_failures(self) -> bool:
        """Write failure records that the ledger's failures lack, a few at a time; whether there are more right now.

        A disk that took nothing when an image failed is one reason, an earlier version that wrote none another.
        """
        if time.monotonic() < self._next_keep:
            return False
        rows = self._surely(partial(self._ledger.failed_rows, self._keep_after, KEPT_AT_ONCE))
        for row in rows:
            gone = row.file.size == NO_FILE.size
            self.keep_failure(row, row.reason, row.finished or row.arrived, heals=row.due is not None, gone=gone)
            self._keep_after = row.path
        if len(rows) == KEPT_AT_ONCE:
            return True
        self._next_keep = time.monotonic() + KEEP_AGAIN_S if self._lacks_records else float("inf")
        self._keep_after, self._lacks_records = None, False
        return False

    def drop_gone(self) -> None:
        """What failed and was taken away since is listed for a while, and then no more; a few at a time."""
        if time.monotonic() < self._next_drop:
            return
        self._next_drop = time.monotonic() + DROP_EVERY_S
        then = time.time() - GONE_KEPT_S
        failed = self._surely(partial(self._ledger.failed_before, then, self._asked, MOST_ASKED))
        self._asked = to_key(failed[-1]) if len(failed) == MOST_ASKED else b""
        for path in failed:
            if self._examiner.is_gone(self._folder / path) and read_record(self._out, path) is None:
                # the record first: left behind, it would bring the failure back with the next loss of the ledger
                if not self._forget_failure(path):
                    continue
                self._surely(partial(self._ledger.dropped, path))
                self._log.event("dropped", f"{one_line(path.as_posix())}: gone, and not listed any more", about=path)

    def _end_without_result(self, row: ImageRow, problem: InflamapError) -> None:
        if isinstance(problem, EngineFailed):
            raise problem
        if isinstance(problem, ChangedMeanwhile):
            self.postpone(row)
        # not for one who waits for the end, and is to see what is wrong
        elif isinstance(problem, CannotWrite) and not self._once and self._obstacles.blocks():
            self._surely(partial(self._ledger.postponed, row.path, time.time() + BLOCKED_S))
        else:
            self.fail(row, str(problem), heals=not isinstance(problem, NeverAnImage | PlaceForbids))

    def _result_of(
        self, row: ImageRow, examined: "Future[Outcome]"
    ) -> tuple[Result, Earlier | Examined] | InflamapError | None:
        """Return what is in the record now, and how it came there; an error as a value; None where it was let go."""
        found = examined.result()
        if found is None or isinstance(found, InflamapError):
            return found
        if isinstance(found, Earlier):
            return found.result, found
        # whatever an image does to what draws and writes it, it must not stop the others
        try:
            return self._write(row, found), found
        except Exception as problem:
            return as_value(problem)

    def _write(self, row: ImageRow, found: Examined) -> Result:
        return write_examined(found, row.path, self._out, self._model, pseudonyms=self._pseudonyms, alive=self._alive)

    def _take_over(self, row: ImageRow, result: Result, found: Earlier | Examined) -> None:
        """The image is done."""
        gone = isinstance(found, Earlier) and found.gone
        # a new result removed it already, but on a disk that took no change for a moment
        forgotten = self._forget_failure(row.path)
        # one that was only read once more was finished when its result was
        kept = isinstance(found, Earlier) and row.outcome.sha256 == result.image.sha256
        at = row.finished if kept and row.finished is not None else time.time()
        self._surely(partial(self._ledger.finished, row, result, at, gone=gone))
        if not forgotten:
            self._forget_failure(row.path)
        self.failing.pop(row.path, None)
        if isinstance(found, Examined):
            self.done += 1
            self._log.result(row.path, result)
        else:
            self.kept += 1
        if gone:
            line = f"{one_line(row.path.as_posix())}: the image is gone; its earlier result stays"
            self._log.event("gone", line, about=row.path)

    def _forget_failure(self, relative: PurePath) -> bool:
        """Remove the failure record of an image; whether there is none now."""
        if self._examiner.would_write_into_folder(relative):
            return True
        try:
            remove_failure(self._out, relative)
        except CannotWrite:
            return False
        return True
