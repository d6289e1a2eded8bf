"""What the ledger tells: every question about the rows, none of which changes any."""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import msgspec

from runtime.file_state import FileState
from runtime.ledger.row import ImageRow, Outcome, State, from_key, to_key

OUTCOME = Outcome.__struct_fields__
# a row's columns, in the order of `to_row`
ROW = "path, state, reason, attempts, redo, size, mtime_ns, arrived, due, finished, " + ", ".join(OUTCOME)
# `ImageRow.acquired` in SQL
ACQUIRED = "CASE WHEN mtime_ns > 0 THEN mtime_ns / 1e9 ELSE COALESCE(finished, arrived) END"
# file names, which need not be UTF-8
_NAMES = frozenset({"score_file", "overlay_file", "map_file"})


class KeptOverlay(NamedTuple):
    """An overlay that is there. `finished`: when its result was, Unix seconds."""

    finished: float
    path: Path


class NamedFiles(NamedTuple):
    """The files that a result consists of, by the ledger: relative to the output folder; None where there is none."""

    path: Path
    score: str | None
    overlay: str | None
    map: str | None


class ModelShare(msgspec.Struct, frozen=True):
    """How many of the results stem from one model."""

    model: str
    sha256: str
    images: int


class Account:
    """Answers from the rows as they are now. Its methods raise sqlite3.Error."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def known(self) -> Iterator[tuple[Path, FileState]]:
        """Every image, and the content of it that the row is about."""
        for key, size, mtime_ns in self._database.execute("SELECT path, size, mtime_ns FROM images"):
            yield from_key(key), FileState(size, mtime_ns)

    def known_of(self, paths: Sequence[str]) -> dict[str, FileState]:
        """The same of some images, by paths with the system's own separators; at most some hundreds at a time."""
        keys = {to_key(path): path for path in paths}
        marks = ", ".join("?" * len(keys))
        query = f"SELECT path, size, mtime_ns FROM images WHERE path IN ({marks})"
        return {keys[key]: FileState(size, mtime_ns) for key, size, mtime_ns in self._database.execute(query, [*keys])}

    def is_empty(self) -> bool:
        """Whether it knows no image at all."""
        return self._database.execute("SELECT 1 FROM images LIMIT 1").fetchone() is None

    def failed_before(self, then: float, after: bytes, most: int) -> list[Path]:
        """Images that failed before that time, Unix seconds, and did nothing else since; by path, from behind `after`
        on (`to_key`)."""
        found = self._database.execute(
            "SELECT path FROM images WHERE state = 'failed' AND COALESCE(finished, arrived) < ? AND begun IS NULL"
            " AND path > ? ORDER BY path LIMIT ?",
            (then, after, most),
        )
        return [from_key(key) for (key,) in found.fetchall()]

    def failed_rows(self, after: PurePath | None, most: int) -> list[ImageRow]:
        """Return some of the images that failed and are not in hand, by path, from behind `after` on."""
        found = self._database.execute(
            f"SELECT {ROW} FROM images WHERE state = 'failed' AND begun IS NULL AND path > ? ORDER BY path LIMIT ?",
            (b"" if after is None else to_key(after), most),
        )
        return [to_row(row) for row in found.fetchall()]

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

    def overlays(self, after: KeptOverlay | None, most: int) -> list[KeptOverlay]:
        """Some of the overlays, those of the oldest results first; of those after one of them."""
        finished, key = (float("-inf"), b"") if after is None else (after.finished, to_key(after.path))
        found = self._database.execute(
            "SELECT finished, path FROM images WHERE finished IS NOT NULL AND overlay_file IS NOT NULL"
            " AND (finished, path) > (?, ?) ORDER BY finished, path LIMIT ?",
            (finished, key, most),
        )
        return [KeptOverlay(at, from_key(key)) for at, key in found.fetchall()]

    def named_files(self, after: PurePath | None = None, most: int = -1) -> list[NamedFiles]:
        """Return the files of results, by path.

        Args:
            after: the image behind which the list begins; None for the first.
            most: number of images; -1 for all.
        """
        found = self._database.execute(
            "SELECT path, score_file, overlay_file, map_file FROM images WHERE state IN ('scored', 'withheld')"
            " AND path > ? ORDER BY path LIMIT ?",
            (b"" if after is None else to_key(after), most),
        )
        return [
            NamedFiles(from_key(key), *(None if name is None else os.fsdecode(name) for name in names))
            for key, *names in found.fetchall()
        ]

    def rows(self, state: State | None = None) -> Iterator[ImageRow]:
        """All images, or those in one state, by path."""
        where = "" if state is None else "WHERE state = ?"
        found = self._database.execute(
            f"SELECT {ROW} FROM images {where} ORDER BY path", () if state is None else (state,)
        )
        yield from map(to_row, found)

    def done_since(self, then: float, most: int) -> list[ImageRow]:
        """Images that were done, or failed, at that time (Unix seconds) or later, the newest first."""
        found = self._database.execute(
            f"SELECT {ROW} FROM images WHERE finished >= ? ORDER BY finished DESC, path DESC LIMIT ?", (then, most)
        )
        return [to_row(row) for row in found.fetchall()]

    def newest(self, most: int) -> list[ImageRow]:
        """Return the images acquired last that were ever done or failed, also those waiting for a retry.

        Ordered by `ImageRow.acquired`, then path; the last one first.
        """
        found = self._database.execute(
            f"SELECT {ROW} FROM images WHERE finished IS NOT NULL OR state = 'failed'"
            f" ORDER BY {ACQUIRED} DESC, path DESC LIMIT ?",
            (most,),
        )
        return [to_row(row) for row in found.fetchall()]

    def changes(self) -> int:
        """Another number than before where somebody else changed the ledger."""
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def noted(self, name: str) -> Any:
        """What `note` kept; None when there is nothing."""
        found = self._database.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])


def to_column(name: str, value: object) -> object:
    """A field of an `Outcome` as its column holds it."""
    return os.fsencode(value) if name in _NAMES and isinstance(value, str) else value


def to_row(values: tuple[Any, ...]) -> ImageRow:
    """What the columns of `ROW` hold."""
    key, state, reason, attempts, redo, size, mtime_ns, arrived, due, finished, *outcome = values
    named = dict(zip(OUTCOME, outcome, strict=True))
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
        due,
        finished,
        Outcome(**named),
    )
