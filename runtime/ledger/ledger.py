"""Every change of a row's state, and every question about the rows."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path, PurePath
from typing import Any

from runtime.file_state import FileState
from runtime.ledger.database import open_database
from runtime.ledger.row import ImageRow, Outcome, State, from_key, to_key
from runtime.result import Result

FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 3600.0
# a kill may hit the same image twice or thrice by chance; one that ends the program every time is found by this
MOST_INTERRUPTIONS = 5

# what a row holds of an image whose file is there no more: no file is so
NO_FILE = FileState(-1, 0)

_OUTCOME = tuple(field.name for field in fields(Outcome))
# file names, which need not be UTF-8
_NAMES = frozenset({"score_file", "overlay_file", "map_file"})
_ROW = "path, state, reason, attempts, redo, size, mtime_ns, arrived, finished, " + ", ".join(_OUTCOME)


@dataclass(frozen=True)
class ModelShare:
    """How many of the results stem from one model."""

    model: str
    sha256: str
    images: int


@contextmanager
def open_ledger(out: Path, *, create: bool = False) -> Iterator["Ledger"]:
    """The ledger of an output folder; the arguments and errors of `open_database`."""
    with open_database(out, create=create) as database:
        yield Ledger(database)


class Ledger:
    """Every image's state; see `runtime.ledger` for the ways between the states.

    Each change is one transaction. Its methods raise sqlite3.Error, which `open_ledger` turns into a plain line.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def known(self) -> Iterator[tuple[Path, FileState]]:
        """Every image, and the content of it that the row is about."""
        for key, size, mtime_ns in self._database.execute("SELECT path, size, mtime_ns FROM images"):
            yield from_key(key), FileState(size, mtime_ns)

    def arrived(self, relative: PurePath, file: FileState, now: float) -> None:
        """New content has come to rest under this path. An image in hand stays in hand: that its content changed is
        found when it is hashed again."""
        self._database.execute(
            "INSERT INTO images (path, state, size, mtime_ns, arrived, due) VALUES (?, 'waiting', ?, ?, ?, 0)"
            " ON CONFLICT (path) DO UPDATE SET state = 'waiting', reason = '', size = excluded.size,"
            " mtime_ns = excluded.mtime_ns, arrived = excluded.arrived, due = 0, attempts = 0, interruptions = 0",
            (to_key(relative), file.size, file.mtime_ns, now),
        )

    def take(self, now: float, *, beside: bool = False) -> ImageRow | None:
        """The image to be scored next, now in hand; None when none is due.

        Those that interrupted least come first, then those that were never scored, then those that wait longest.

        Args:
            now: Unix seconds.
            beside: whether another image is in hand. One that interrupted before is only taken alone, so that none is
                blamed for what its neighbour does.
        """
        # found by an index, so that a watch with nothing to do asks ten times a second for next to nothing
        soonest, latest = self._database.execute(
            "SELECT (SELECT min(due) FROM images WHERE due IS NOT NULL),"
            " (SELECT max(due) FROM images WHERE due IS NOT NULL)"
        ).fetchone()
        # a time further ahead than any pause comes from a clock that was set back
        if soonest is None or (soonest > now and latest <= now + LONGEST_PAUSE_S):
            return None
        rows = self._database.execute(
            "UPDATE images SET begun = :now, attempts = attempts + 1 WHERE path = ("
            " SELECT path FROM images WHERE due IS NOT NULL AND begun IS NULL"
            " AND (due <= :now OR due > :now + :longest) AND (interruptions = 0 OR NOT :beside)"
            f" ORDER BY interruptions, redo, arrived, path LIMIT 1) RETURNING {_ROW}",
            {"now": now, "longest": LONGEST_PAUSE_S, "beside": beside},
        ).fetchall()
        return _to_row(rows[0]) if rows else None

    def finished(self, row: ImageRow, result: Result, now: float, *, gone: bool = False) -> None:
        """The result of the image in hand is on the disk.

        It waits again if new content arrived, or a retry was asked for, while it was in hand.

        Args:
            row: the image, as it was taken.
            result: of what it held.
            now: Unix seconds.
            gone: the file is there no more; whatever comes under its name is new content.
        """
        outcome = Outcome.of(row.path, result)
        columns = ", ".join(f"{name} = ?" for name in _OUTCOME)
        self._database.execute(
            "UPDATE images SET state = iif(arrived = ?1, ?2, 'waiting'), due = iif(arrived = ?1, NULL, 0),"
            " redo = redo AND arrived != ?1, reason = ?3, finished = ?4, begun = NULL, interruptions = 0,"
            f" size = iif(?5, {NO_FILE.size}, size), mtime_ns = iif(?5, {NO_FILE.mtime_ns}, mtime_ns), {columns}"
            " WHERE path = ?",
            (
                row.arrived,
                result.status,
                "; ".join(result.reasons),
                now,
                gone,
                *(_to_column(name, getattr(outcome, name)) for name in _OUTCOME),
                to_key(row.path),
            ),
        )

    def failed(self, row: ImageRow, reason: str, now: float, *, gone: bool = False) -> None:
        """The image in hand could not be done; it is due again after a pause, twice as long each time.

        It waits, and is due at once, if new content arrived, or a retry was asked for, while it was in hand.

        Args:
            row: the image, as it was taken.
            reason: for a person.
            now: Unix seconds.
            gone: the file is there no more; trying again is of no use before something comes under its name.
        """
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(row.attempts - 1, 30))
        due = None if gone else now + pause_s
        self._database.execute(
            "UPDATE images SET state = iif(arrived = ?1, 'failed', 'waiting'), reason = iif(arrived = ?1, ?2, ''),"
            " due = iif(arrived = ?1, ?3, 0), begun = NULL, interruptions = 0, finished = ?4,"
            f" size = iif(?6, {NO_FILE.size}, size), mtime_ns = iif(?6, {NO_FILE.mtime_ns}, mtime_ns) WHERE path = ?5",
            (row.arrived, reason, due, now, to_key(row.path), gone),
        )

    def postponed(self, relative: PurePath, until: float) -> None:
        """The content of the image in hand is changing; nothing was written."""
        self._database.execute(
            "UPDATE images SET state = 'waiting', reason = '', due = ?, begun = NULL, attempts = max(0, attempts - 1)"
            " WHERE path = ?",
            (until, to_key(relative)),
        )

    def recover(self) -> list[Path]:
        """At a start: release what an earlier run was killed with in hand, and let what failed be tried at once.

        Returns:
            the images given up just now, because they were in hand whenever the program was ended.
        """
        self._database.execute(
            "UPDATE images SET begun = NULL, interruptions = interruptions + 1 WHERE begun IS NOT NULL"
        )
        self._database.execute("UPDATE images SET due = 0 WHERE due IS NOT NULL")
        given_up = self._database.execute(
            "UPDATE images SET state = 'failed', due = NULL, interruptions = 0, reason = ?"
            " WHERE due IS NOT NULL AND interruptions >= ? RETURNING path",
            (
                f"the program was ended {MOST_INTERRUPTIONS} times while this image was in hand; it may be the image "
                "that ends it; next: inflamap retry",
                MOST_INTERRUPTIONS,
            ),
        )
        return [from_key(key) for (key,) in given_up.fetchall()]

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

    def waits(self) -> bool:
        """Whether any image is waiting, due or not, or a failed one is due now."""
        query = "SELECT 1 FROM images WHERE due IS NOT NULL AND (state = 'waiting' OR due = 0) LIMIT 1"
        return self._database.execute(query).fetchone() is not None

    def counts(self) -> dict[State, int]:
        """Number of images in each state."""
        found = dict(self._database.execute("SELECT state, COUNT(*) FROM images GROUP BY state"))
        return {state: found.get(state, 0) for state in State}

    def oldest_waiting(self) -> float | None:
        """When the image that waits longest arrived; None when none waits."""
        (arrived,) = self._database.execute("SELECT MIN(arrived) FROM images WHERE state = 'waiting'").fetchone()
        return None if arrived is None else float(arrived)

    def finished_between(self, since: float, until: float) -> tuple[int, float | None]:
        """Number of results of that time, and when the first of them was finished."""
        count, first = self._database.execute(
            "SELECT COUNT(*), MIN(finished) FROM images WHERE finished BETWEEN ? AND ?"
            " AND state IN ('scored', 'withheld')",
            (since, until),
        ).fetchone()
        return int(count), first

    def models(self) -> list[ModelShare]:
        """The models behind the results, the commonest first."""
        found = self._database.execute(
            "SELECT model, model_sha256, COUNT(*) AS images FROM images WHERE state IN ('scored', 'withheld')"
            " GROUP BY model, model_sha256 ORDER BY images DESC, model_sha256"
        )
        return [ModelShare(*share) for share in found]

    def at_other_scale(self, um_per_px: float) -> int:
        """Number of results for which another scale was taken."""
        query = "SELECT COUNT(*) FROM images WHERE state IN ('scored', 'withheld') AND um_per_px != ?"
        return int(self._database.execute(query, (um_per_px,)).fetchone()[0])

    def rows(self, state: State | None = None) -> Iterator[ImageRow]:
        """All images, or those in one state, by path."""
        where = "" if state is None else "WHERE state = ?"
        found = self._database.execute(
            f"SELECT {_ROW} FROM images {where} ORDER BY path", () if state is None else (state,)
        )
        yield from map(_to_row, found)

    def note(self, name: str, value: object) -> None:
        """Keep a value about the watch itself, as JSON."""
        self._database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value)))

    def noted(self, name: str) -> Any:
        """What `note` kept; None when there is nothing."""
        found = self._database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])


def _to_column(name: str, value: object) -> object:
    return os.fsencode(value) if name in _NAMES and isinstance(value, str) else value


def _to_row(values: tuple[Any, ...]) -> ImageRow:
    key, state, reason, attempts, redo, size, mtime_ns, arrived, finished, *outcome = values
    named = dict(zip(_OUTCOME, outcome, strict=True))
    for name in _NAMES:
        named[name] = None if named[name] is None else os.fsdecode(named[name])
    named["synthetic"] = None if named["synthetic"] is None else bool(named["synthetic"])
    return ImageRow(
        from_key(key),
        State(state),
        reason,
        attempts,
        bool(redo),
        FileState(size, mtime_ns),
        arrived,
        finished,
        Outcome(**named),
    )
