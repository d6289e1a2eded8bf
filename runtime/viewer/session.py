"""The newest results of a ledger as the page knows them: by ids, with what changed since when."""

import json
from collections.abc import Callable, Iterable
from hashlib import blake2b
from itertools import islice
from pathlib import PurePath

import msgspec

from runtime.ledger import ImageRow, State
from runtime.ledger.row import to_key

# a day at the microscope is some hundreds; what is older stands in `inflamap results`
MOST = 5000


class Entry(msgspec.Struct, frozen=True):
    """One image as the page is told of it.

    Attributes:
        id: stands for its path, which no browser ever names.
        name: its path below the watched folder, or the pseudonym of it.
        state: see `State`.
        reason: why it, or a part of it, was withheld, or why it failed.
        score: mean expected grade; None where there is none.
        grade: nearest grade.
        withheld: share of its cells that were left out.
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
    withheld: float | None
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
        name: what a path is called.
        said: what is said of an image, as it may be shown.
        most: images kept.
    """

    def __init__(
        self,
        name: Callable[[PurePath], str],
        said: Callable[[str, PurePath], str] = lambda text, _path: text,
        most: int = MOST,
    ) -> None:
        self._name, self._said, self._most = name, said, most
        self._rows: dict[str, ImageRow] = {}
        self._entries: dict[str, Entry] = {}
        self.version = 0
        """Of the newest change."""
        self.grades: list[str] = []
        """Names of the grades, lowest first, by the newest result."""
        self.dropped = 0
        """Version of the newest change that took an entry away: who knows less has to ask for everything."""

    def take(self, rows: Iterable[ImageRow], *, all_of_them: bool = False) -> bool:
        """Note how images stand; whether anything changed.

        Args:
            rows: images that were done, newest first.
            all_of_them: no other image is known any more.
        """
        seen: set[str] = set()
        # told at the end: a page that asks in the midst asks for this version again
        version, changed, oldest = self.version + 1, False, float("-inf")
        for row in islice(rows, self._most):
            key = id_of(row.path)
            seen.add(key)
            if self._rows.get(key) != row:
                changed = True
                self._rows[key] = row
                self._entries[key] = self._entry(key, row, version)
            oldest = self._entries[key].at
        newest = max(self._rows.values(), key=lambda row: row.finished or 0.0, default=None)
        if newest is not None and newest.outcome.area_fraction:
            self.grades = list(json.loads(newest.outcome.area_fraction))
        missing = [entry for key, entry in self._entries.items() if key not in seen] if all_of_them else []
        # the oldest make room without a word: every page lets go of its own
        full = len(seen) == self._most
        gone = [entry for entry in missing if not full or entry.at > oldest]
        room = sorted(self._entries.values(), key=lambda entry: entry.at)[: max(0, len(self._entries) - self._most)]
        for key in {entry.id for entry in (*missing, *room)}:
            del self._entries[key], self._rows[key]
        if gone:
            self.dropped = version
        if changed or gone:
            self.version = version
        return changed or bool(gone)

    def entries(self, since: int = 0) -> list[Entry]:
        """Those that changed after a version, the oldest first."""
        # in one step, for another thread may be taking new ones
        found = [entry for entry in tuple(self._entries.values()) if entry.version > since]
        return sorted(found, key=lambda entry: (entry.at, entry.version))

    def row(self, key: str) -> ImageRow | None:
        """The image behind an id; None where there is none."""
        return self._rows.get(key)

    def _entry(self, key: str, row: ImageRow, version: int) -> Entry:
        outcome, done = row.outcome, row.state in (State.SCORED, State.WITHHELD)
        return Entry(
            id=key,
            name=self._name(row.path),
            state=row.state,
            reason=self._said(row.reason, row.path),
            score=outcome.score if done else None,
            grade=outcome.grade if done else None,
            withheld=outcome.withheld_fraction if done else None,
            at=row.finished or row.arrived,
            overlay=outcome.overlay_file is not None,
            map=outcome.map_file is not None,
            engine=outcome.engine,
            model=outcome.model_sha256,
            synthetic=outcome.synthetic,
            version=version,
        )


def id_of(path: PurePath) -> str:
    """Stands for a path: always the same, and no part of any address."""
    return blake2b(to_key(path), digest_size=8).hexdigest()
