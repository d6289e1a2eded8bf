"""The newest results of a ledger as the page knows them: by ids, with what changed since when."""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from heapq import nsmallest
from itertools import islice
from pathlib import PurePath

import msgspec

from runtime.ledger import ImageRow, State
from runtime.ledger.columns import DAMAGED_ROW
from runtime.ledger.row import to_key
from runtime.viewer.scales import on_scale
from runtime.viewer.setup import Scale

# a day at the microscope is some hundreds; what is older stands in `inflamap results`
MOST = 5000


class Entry(msgspec.Struct, frozen=True):
    """One image as the page is told of it.

    Attributes:
        id: stands for its path, which no browser ever names.
        name: its path below the watched folder, or the pseudonym of it.
        state: see `State`.
        reason: why it, or a part of it, was withheld, or why it failed.
        score: mean expected grade; None where there is none, and where the grades have no order.
        grade: number of the nearest grade, counted as `score`; of grades without order, index of the one with the most
            area.
        share: of grades without order, the share of the area that has `grade`; None otherwise.
        grades: names of the grades of this result where they are not the scale's, as after a change of the model;
            empty where they are not known. None where they are the scale's, and where there is no score.
        withheld: share of its cells that were left out.
        acquired: when its file was saved, Unix seconds; images are ordered by it, then by name.
        at: when it was finished, Unix seconds.
        overlay, map: whether there is such a file.
        engine, model: what scored it; the model by its file's hash.
        synthetic: whether that model was trained on synthetic images.
        version: raised with each change of any entry.
    """

    id: str
    name: str
    state: State
    reason: str
    score: float | None
    grade: int | None
    share: float | None
    grades: tuple[str, ...] | None
    withheld: float | None
    acquired: float
    at: float
    overlay: bool
    map: bool
    engine: str | None
    model: str | None
    synthetic: bool | None
    version: int


class Session:
    """What the page shows; `take` is told rows, everything else only asks.

    Args:
        scale: of the model that the watch runs.
        name: what a path is called.
        said: what is said of an image, as it may be shown.
        most: images kept.
    """

    def __init__(
        self,
        scale: Scale,
        name: Callable[[PurePath], str],
        said: Callable[[str, PurePath], str] = lambda text, _path: text,
        most: int = MOST,
    ) -> None:
        self.scale = scale
        self._name, self._said, self._most = name, said, most
        self._rows: dict[str, ImageRow] = {}
        self._entries: dict[str, Entry] = {}
        self.version = 0
        """Of the newest change."""
        self.dropped = 0
        """Version of the newest change that took an entry away: who knows less has to ask for everything."""

    def take(self, rows: Iterable[ImageRow], *, all_of_them: bool = False) -> bool:
        """Note how images stand; whether anything changed.

        Args:
            rows: images that were done. Where `all_of_them`, the last acquired first.
            all_of_them: no other image is known any more.
        """
        seen: set[str] = set()
        # told at the end: a page that asks in the midst asks for this version again
        version, changed, first = self.version + 1, False, None
        # of a full session, images acquired before all others are not taken: they would have to go at once
        least = min(map(_place, self._rows.values())) if len(self._rows) >= self._most and not all_of_them else None
        for row in islice(rows, self._most):
            key = id_of(row.path)
            if least is not None and key not in self._rows and _place(row) < least:
                continue
            seen.add(key)
            if self._rows.get(key) != row:
                changed = True
                self._rows[key] = row
                self._entries[key] = self._entry(key, row, version)
            first = row
        missing = [key for key in self._rows if key not in seen] if all_of_them else []
        # the first ones make room without a word: every page lets go of its own
        edge = _place(first) if first is not None and len(seen) == self._most else (float("-inf"), b"")
        gone = [key for key in missing if _place(self._rows[key]) > edge]
        for key in missing:
            del self._entries[key], self._rows[key]
        for key in nsmallest(len(self._rows) - self._most, self._rows, key=lambda key: _place(self._rows[key])):
            del self._entries[key], self._rows[key]
        if gone:
            self.dropped = version
        if changed or gone:
            self.version = version
        return changed or bool(gone)

    def entries(self, since: int = 0) -> list[Entry]:
        """Return the entries that changed after a version, in the order of acquisition, then by name."""
        # in one step, for another thread may be taking new ones
        found = [entry for entry in tuple(self._entries.values()) if entry.version > since]
        return sorted(found, key=lambda entry: (entry.acquired, entry.name))

    def row(self, key: str) -> ImageRow | None:
        """The image behind an id; None where there is none."""
        return self._rows.get(key)

    def _entry(self, key: str, row: ImageRow, version: int) -> Entry:
        outcome, done = row.outcome, row.state in (State.SCORED, State.WITHHELD)
        found = on_scale(row, self.scale)
        return Entry(
            id=key,
            name=self._name(row.path),
            state=row.state,
            # with its path damaged too, nobody knows which names to hide in the rest
            reason=DAMAGED_ROW if row.damaged else self._said(row.reason, row.path),
            score=found.score,
            grade=found.grade,
            share=found.share,
            grades=found.grades,
            withheld=outcome.withheld_fraction if done else None,
            acquired=row.acquired,
            at=row.finished or row.arrived,
            overlay=outcome.overlay_file is not None,
            map=outcome.map_file is not None,
            engine=outcome.engine,
            model=outcome.model_sha256,
            synthetic=outcome.synthetic,
            version=version,
        )


def _place(row: ImageRow) -> tuple[float, bytes]:
    return row.acquired, to_key(row.path)


def id_of(path: PurePath) -> str:
    """Stands for a path: always the same, and no part of any address."""
    return blake2b(to_key(path), digest_size=8).hexdigest()
