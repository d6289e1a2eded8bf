"""What the ledger tells: every question about the rows, none of which changes any."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import msgspec

from runtime.file_state import FileState
from runtime.ledger.checksum import DAMAGED, is_sound
from runtime.ledger.columns import CHECKED_ROW, checked_row, to_text, to_time
from runtime.ledger.row import ImageRow, State, from_key, to_key

# `ImageRow.acquired` in SQL
ACQUIRED = "CASE WHEN mtime_ns > 0 THEN mtime_ns / 1e9 ELSE COALESCE(finished, arrived) END"
_MARKS = ", ".join(FileState._fields)


class KeptOverlay(NamedTuple):
    """An overlay that is there. `finished`: when its result was, Unix seconds."""

    finished: float
    path: Path


class NamedFiles(NamedTuple):
    """The files that a result consists of, by the ledger: relative to the output folder; None where there is none."""

    path: PurePath
    score: str | None
    overlay: str | None
    map: str | None


class ModelShare(msgspec.Struct, frozen=True):
    """How many of the results stem from one model."""

    model: str
    sha256: str
    images: int


class Account:
    """Answers from the rows as they are now. Its methods raise sqlite3.Error.

    Whatever a damaged row holds, the others are told; see `ImageRow.damaged`.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def known(self) -> Iterator[tuple[Path, FileState]]:
        """Every image, and the content of it that the row is about."""
        # a damaged key may be no bytes
        query = f"SELECT path, {_MARKS} FROM images WHERE typeof(path) = 'blob'"
        for key, *marks in self._database.execute(query):
            yield from_key(key), FileState(*marks)

    def known_of(self, paths: Sequence[str]) -> dict[str, FileState]:
        """The same of some images, by paths with the system's own separators; at most some hundreds at a time."""
        keys = {to_key(path): path for path in paths}
        marks = ", ".join("?" * len(keys))
        query = f"SELECT path, {_MARKS} FROM images WHERE path IN ({marks})"
        return {keys[key]: FileState(*found) for key, *found in self._database.execute(query, [*keys])}

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
            f"SELECT {CHECKED_ROW} FROM images"
            " WHERE state = 'failed' AND begun IS NULL AND path > ? ORDER BY path LIMIT ?",
            (b"" if after is None else to_key(after), most),
        )
        return [checked_row(row) for row in found.fetchall()]

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
        return to_time(arrived)

    def finished_between(self, since: float, until: float) -> tuple[int, float | None]:
        """Number of results of that time, and when the first of them was finished."""
        count, first = self._database.execute(
            "SELECT COUNT(*), MIN(finished) FROM images WHERE finished BETWEEN ? AND ?"
            " AND state IN ('scored', 'withheld')",
            (since, until),
        ).fetchone()
        return int(count), to_time(first)

    def models(self) -> list[ModelShare]:
        """The models behind the results, the commonest first."""
        found = self._database.execute(
            "SELECT model, model_sha256, COUNT(*) AS images FROM images WHERE state IN ('scored', 'withheld')"
            " GROUP BY model, model_sha256 ORDER BY images DESC, model_sha256"
        )
        return [ModelShare(to_text(model), to_text(sha256), images) for model, sha256, images in found]

    def at_other_scale(self, um_per_px: float) -> int:
        """Number of results for which another scale was taken."""
        query = "SELECT COUNT(*) FROM images WHERE state IN ('scored', 'withheld') AND um_per_px != ?"
        return int(self._database.execute(query, (um_per_px,)).fetchone()[0])

    def overlays(self, after: KeptOverlay | None, most: int) -> list[KeptOverlay]:
        """Some of the overlays, those of the oldest results first; of those after one of them.

        Raises:
            sqlite3.Error: also where a row among them is damaged, by which an overlay must not be removed.
        """
        finished, key = (float("-inf"), b"") if after is None else (after.finished, to_key(after.path))
        found = self._database.execute(
            f"SELECT {CHECKED_ROW}, finished, path FROM images WHERE finished IS NOT NULL AND overlay_file IS NOT NULL"
            " AND (finished, path) > (?, ?) ORDER BY finished, path LIMIT ?",
            (finished, key, most),
        ).fetchall()
        if not all(is_sound(row) for *row, _at, _key in found):
            raise sqlite3.DatabaseError(DAMAGED)
        return [KeptOverlay(at, from_key(key)) for *_row, at, key in found]

    def overlay_count(self) -> int:
        """Return the number of overlays that are there."""
        query = "SELECT COUNT(*) FROM images WHERE finished IS NOT NULL AND overlay_file IS NOT NULL"
        return int(self._database.execute(query).fetchone()[0])

    def newest_result(self) -> tuple[float, Path] | None:
        """Return when the newest result was finished, Unix seconds, and its image; None where there is no result."""
        found = self._database.execute(
            "SELECT finished, path FROM images WHERE finished IS NOT NULL AND state IN ('scored', 'withheld')"
            " ORDER BY finished DESC LIMIT 1"
        ).fetchone()
        return None if found is None else (float(found[0]), from_key(found[1]))

    def named_files(self, after: PurePath | None = None, most: int = -1) -> list[NamedFiles]:
        """Return the files of results, by path.

        Args:
            after: the image behind which the list begins; None for the first.
            most: number of images; -1 for all.
        """
        found = self._database.execute(
            f"SELECT {CHECKED_ROW} FROM images"
            " WHERE state IN ('scored', 'withheld') AND path > ? ORDER BY path LIMIT ?",
            (b"" if after is None else to_key(after), most),
        )
        rows = [checked_row(values) for values in found.fetchall()]
        return [
            NamedFiles(row.path, row.outcome.score_file, row.outcome.overlay_file, row.outcome.map_file) for row in rows
        ]

    def rows(self, state: State | None = None) -> Iterator[ImageRow]:
        """All images, or those in one state, by path."""
        where = "" if state is None else "WHERE state = ?"
        found = self._database.execute(
            f"SELECT {CHECKED_ROW} FROM images {where} ORDER BY path", () if state is None else (state,)
        )
        yield from map(checked_row, found)

    def done_since(self, then: float, most: int) -> list[ImageRow]:
        """Images that were done, or failed, at that time (Unix seconds) or later, the newest first."""
        found = self._database.execute(
            f"SELECT {CHECKED_ROW} FROM images WHERE finished >= ? ORDER BY finished DESC, path DESC LIMIT ?",
            (then, most),
        )
        return [checked_row(row) for row in found.fetchall()]

    def newest(self, most: int) -> list[ImageRow]:
        """Return the images acquired last that were ever done or failed, also those waiting for a retry.

        Ordered by `ImageRow.acquired`, then path; the last one first.
        """
        found = self._database.execute(
            f"SELECT {CHECKED_ROW} FROM images WHERE finished IS NOT NULL OR state = 'failed'"
            f" ORDER BY {ACQUIRED} DESC, path DESC LIMIT ?",
            (most,),
        )
        return [checked_row(row) for row in found.fetchall()]

    def changes(self) -> int:
        """Another number than before where somebody else changed the ledger."""
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def noted(self, name: str) -> Any:
        """Return the value that `note` kept; None where there is none, or it is damaged."""
        query = "SELECT name, value, crc FROM notes WHERE name = ?"
        found = self._database.execute(query, (name,)).fetchone()
        return json.loads(found[1]) if found is not None and is_sound(found) else None

    def damaged_rows(self) -> int:
        """Return the number of rows that do not hold what was written to them, of images and of notes."""
        images = self._database.execute(f"SELECT {CHECKED_ROW} FROM images")
        return sum(not is_sound(row) for row in images) + self.damaged_notes()

    def damaged_notes(self) -> int:
        """Return the same of the notes alone, for a caller that has read all images."""
        notes = self._database.execute("SELECT name, value, crc FROM notes")
        return sum(not is_sound(row) for row in notes)
