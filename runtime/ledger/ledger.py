"""Every change of a row's state."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import NamedTuple

from runtime.failure_record import FailureRecord
from runtime.file_state import FileState
from runtime.ledger.account import Account
from runtime.ledger.columns import CHECKED_ROW, COLUMNS, OUTCOME, checked_row, to_column, to_row
from runtime.ledger.database import open_database
from runtime.ledger.row import ImageRow, Outcome, State, from_key, to_key
from runtime.ledger.turns import Turn
from runtime.result import Result

FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 3600.0
# a kill may hit the same image twice or thrice by chance; one that ends the program every time is found by this
MOST_INTERRUPTIONS = 5
GIVEN_UP = (
    f"the program was ended {MOST_INTERRUPTIONS} times while this image was in hand; it may be the image that ends it; "
    "next: inflamap retry"
)

# What a new row holds of an image that was never seen as a file. A row whose file disappeared keeps the time when the
# file was saved, by which images are ordered; the size alone marks it, because no file has that size.
NO_FILE = FileState(-1, 0)

# the image's number in the line is told by indexes (`runtime.ledger.schema`)
_NEWEST = "AND interruptions = 0 AND retried = 0 AND redo = 0 ORDER BY since DESC, path DESC"
_BACKLOG = "ORDER BY interruptions, retried, redo, since, path"
_WHO = {
    Turn.NEWEST: (_NEWEST, _BACKLOG),
    Turn.BACKLOG: (_BACKLOG,),
    Turn.LONGEST: ("ORDER BY since, path",),
}
_ROW = ", ".join(COLUMNS)
_TAKE = {
    who: "UPDATE images SET begun = :now, attempts = attempts + 1 WHERE path = ("
    " SELECT path FROM images WHERE due IS NOT NULL AND begun IS NULL"
    f" AND (due <= :now OR due > :now + :longest) {who} LIMIT 1)"
    f" AND (interruptions = 0 OR NOT :beside) RETURNING {_ROW}"
    for ways in _WHO.values()
    for who in ways
}


class Arrival(NamedTuple):
    """New content.

    Attributes:
        path: below the watched folder, with the system's own separators.
        file: what it looks like.
        at: when it came to rest, Unix seconds.
    """

    path: str
    file: FileState
    at: float


@contextmanager
def open_ledger(out: Path, *, create: bool = False) -> Iterator["Ledger"]:
    """The ledger of an output folder; the arguments and errors of `open_database`."""
    with open_database(out, create=create) as database:
        yield Ledger(database)


class Ledger(Account):
    """Every image's state, and all that changes it; see `runtime.ledger` for the ways between the states.

    Each change is one transaction. Its methods raise sqlite3.Error, which `open_ledger` turns into a plain line.
    """

    def arrived(self, images: Iterable[Arrival]) -> None:
        """New content has come to rest under each of these paths. An image in hand stays in hand: that its content
        changed is found when it is hashed again."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "INSERT INTO images (path, state, size, mtime_ns, ctime_ns, inode, arrived, due)"
                " VALUES (?, 'waiting', ?, ?, ?, ?, ?, 0)"
                " ON CONFLICT (path) DO UPDATE SET state = 'waiting', reason = '', size = excluded.size,"
                " mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns, inode = excluded.inode,"
                " arrived = excluded.arrived, due = 0, attempts = 0, interruptions = 0",
                ((to_key(image.path), *image.file, image.at) for image in images),
            )

    def take(self, now: float, *, turn: Turn = Turn.NEWEST, beside: bool = False) -> ImageRow | None:
        """The image to be scored next, now in hand; None when none is due.

        Args:
            now: Unix seconds.
            turn: whose turn it is.
            beside: whether another image is in hand. One that interrupted before is only taken alone, so that none is
                blamed for what its neighbour does; None where it is its turn.
        """
        # found by an index, so that a watch with nothing to do asks ten times a second for next to nothing
        soonest, latest = self._database.execute(
            "SELECT (SELECT min(due) FROM images WHERE due IS NOT NULL),"
            " (SELECT max(due) FROM images WHERE due IS NOT NULL)"
        ).fetchone()
        # a time further ahead than any pause comes from a clock that was set back
        if soonest is None or (soonest > now and latest <= now + LONGEST_PAUSE_S):
            return None
        for who in _WHO[turn]:
            asked = {"now": now, "longest": LONGEST_PAUSE_S, "beside": beside}
            rows = self._database.execute(_TAKE[who], asked).fetchall()
            if rows:
                return to_row(rows[0])
        return None

    def finished(self, row: ImageRow, result: Result, now: float, *, gone: bool = False) -> None:
        """The result of the image in hand is on the disk.

        It waits again if new content arrived, or a retry was asked for, while it was in hand.

        Args:
            row: the image, as it was taken.
            result: of what it held.
            now: Unix seconds.
            gone: the file was deleted. A later file of this name is new content. A requested retry is kept until that
                file arrives.
        """
        outcome = Outcome.of(row.path, result)
        columns = ", ".join(f"{name} = ?" for name in OUTCOME)
        self._database.execute(
            "UPDATE images SET state = iif(arrived = ?1, ?2, 'waiting'), due = iif(arrived = ?1, NULL, 0),"
            " redo = redo AND (arrived != ?1 OR ?5), reason = ?3, finished = ?4, begun = NULL, interruptions = 0,"
            f" size = iif(?5, {NO_FILE.size}, size), {columns}"
            " WHERE path = ?",
            (
                row.arrived,
                result.status,
                "; ".join(result.reasons),
                now,
                gone,
                *(to_column(name, getattr(outcome, name)) for name in OUTCOME),
                to_key(row.path),
            ),
        )

    def restore(self, results: Iterable[tuple[PurePath, Result, float]], failures: Iterable[FailureRecord] = ()) -> int:
        """Take over results and failures of which only their own files tell, all or none.

        Args:
            results: the image, its result, and when it was finished, Unix seconds. Whatever is found under its name is
                compared with it.
            failures: asked for after all results. A failure of an image that has a result is left.

        Returns:
            number of results not known before.
        """
        restored = 0
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for relative, result, at in results:
                path = Path(relative)
                new = self._database.execute(
                    "INSERT OR IGNORE INTO images (path, state, size, mtime_ns, ctime_ns, inode, arrived)"
                    " VALUES (?, 'waiting', ?, ?, ?, ?, ?)",
                    (to_key(path), *NO_FILE, at),
                ).rowcount
                if new:
                    row = ImageRow(path, State.WAITING, "", 0, False, NO_FILE, at, 0.0, None, Outcome())
                    self.finished(row, result, at)
                restored += new
            for failure in failures:
                self._restore_failure(failure)
        return restored

    def failed(self, row: ImageRow, reason: str, now: float, *, heals: bool = True, gone: bool = False) -> float | None:
        """The image in hand could not be done; it is due again after a pause, twice as long each time.

        It waits, and is due at once, if new content arrived, or a retry was asked for, while it was in hand.

        Args:
            row: the image, as it was taken.
            reason: for a person.
            now: Unix seconds.
            heals: whether trying again may help though nothing arrives under this name.
            gone: the file is there no more; whatever comes under its name is new content.

        Returns:
            when it is due again, Unix seconds; None when only an arrival or a retry changes anything.
        """
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(row.attempts - 1, 30))
        due = now + pause_s if heals and not gone else None
        self._database.execute(
            "UPDATE images SET state = iif(arrived = ?1, 'failed', 'waiting'), reason = iif(arrived = ?1, ?2, ''),"
            " due = iif(arrived = ?1, ?3, 0), begun = NULL, interruptions = 0, finished = ?4,"
            f" size = iif(?6, {NO_FILE.size}, size) WHERE path = ?5",
            (row.arrived, reason, due, now, to_key(row.path), gone),
        )
        return due

    def _restore_failure(self, failure: FailureRecord) -> None:
        path = Path(failure.path)
        new = self._database.execute(
            "INSERT OR IGNORE INTO images (path, state, size, mtime_ns, ctime_ns, inode, arrived, attempts)"
            " VALUES (?, 'waiting', ?, ?, ?, ?, ?, ?)",
            (to_key(path), *failure.file, failure.at, failure.attempts),
        ).rowcount
        if new:
            row = ImageRow(
                path, State.WAITING, "", failure.attempts, False, failure.file, failure.at, 0.0, None, Outcome()
            )
            self.failed(row, failure.reason, failure.at, heals=failure.heals, gone=failure.gone)

    def postponed(self, relative: PurePath, until: float, reason: str = "") -> None:
        """The image in hand cannot be done now, for a reason that is not its own; nothing was written."""
        self._database.execute(
            "UPDATE images SET state = 'waiting', reason = ?, due = ?, begun = NULL, attempts = max(0, attempts - 1)"
            " WHERE path = ?",
            (reason, until, to_key(relative)),
        )

    def to_give_up(self) -> list[ImageRow]:
        """Return the images that `recover` will give up, in the state in which an earlier run was killed with them."""
        found = self._database.execute(
            f"SELECT {CHECKED_ROW} FROM images WHERE due IS NOT NULL AND interruptions + (begun IS NOT NULL) >= ?",
            (MOST_INTERRUPTIONS,),
        )
        return [checked_row(row) for row in found.fetchall()]

    def recover(self) -> list[Path]:
        """At a start: release what an earlier run was killed with in hand, and let what failed be tried at once.

        Returns:
            the images given up just now, because they were in hand whenever the program was ended.
        """
        self._database.execute(
            "UPDATE images SET begun = NULL, interruptions = interruptions + 1 WHERE begun IS NOT NULL"
        )
        self._database.execute("UPDATE images SET due = 0 WHERE due IS NOT NULL AND due != 0")
        given_up = self._database.execute(
            "UPDATE images SET state = 'failed', due = NULL, interruptions = 0, reason = ?"
            " WHERE due IS NOT NULL AND interruptions >= ? RETURNING path",
            (GIVEN_UP, MOST_INTERRUPTIONS),
        )
        return [from_key(key) for (key,) in given_up.fetchall()]

    def retry_failed(self, now: float) -> int:
        """Let what failed be tried again at once, what cannot heal too; their number. For a new inflamap, which may
        read what the one before could not."""
        return self._database.execute(
            "UPDATE images SET due = 0, attempts = 0, interruptions = 0, arrived = ? WHERE state = 'failed'"
            f" AND size != {NO_FILE.size}",
            (now,),
        ).rowcount

    def dropped(self, relative: PurePath) -> None:
        """The image failed, has no result, and is gone: there is nothing left to tell of it."""
        self._database.execute("DELETE FROM images WHERE path = ? AND state = 'failed'", (to_key(relative),))

    def release(self) -> None:
        """At an orderly end: what is in hand is let go, and interrupted nothing."""
        self._database.execute("UPDATE images SET begun = NULL WHERE begun IS NOT NULL")

    def retry(self, images: Iterable[PurePath], now: float) -> None:
        """Let a person's images be scored anew, whatever their records say."""
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "UPDATE images SET state = 'waiting', reason = '', arrived = ?, due = 0, attempts = 0,"
                " interruptions = 0, redo = 1 WHERE path = ?",
                ((now, to_key(relative)) for relative in images),
            )

    def retry_without_scale(self, now: float) -> int:
        """Let images that were withheld for want of a scale be scored, now that somebody gives it; their number."""
        return self._database.execute(
            "UPDATE images SET state = 'waiting', reason = '', arrived = ?, due = 0, attempts = 0"
            " WHERE state = 'withheld' AND um_per_px IS NULL",
            (now,),
        ).rowcount

    def overlay_removed(self, relative: PurePath) -> None:
        """The image's overlay is there no more; its record and map are."""
        self._database.execute("UPDATE images SET overlay_file = NULL WHERE path = ?", (to_key(relative),))

    def note(self, name: str, value: object) -> None:
        """Keep a value about the watch itself, as JSON."""
        self._database.execute(
            "INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, json.dumps(value)),
        )
