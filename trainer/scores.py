"""What the raters said of each patch: `scores.csv`, row by row."""

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trainer.table import Fault, read_table

SCORES_FILE = "scores.csv"
# grades beyond the usual 0 to 4 are believed when each has this many scores: fewer is a typing error
BELIEVABLE_SCORES = 5
# no image has more pixels along a side; a larger number does not fit what reads and hashes it
LARGEST_POSITION = 2**31 - 1
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class ScoredPatch:
    """One patch with every rater's score.

    Attributes:
        path: as written in the data set, below its folder, with `/` between folders.
        corner: top-left pixel (x, y) of the patch in a whole frame, None when the file is the patch.
        scores: each rater's grade index.
        raters: names in the order of `scores`.
        subject: whose skin it is; the path when nothing tells.
        split: `train`, `val` or `test` where the data set says so, else None.
        um_per_px: sampling of the file; as far as the data set tells it before the file is read.
    """

    path: str
    corner: tuple[int, int] | None
    scores: tuple[int, ...]
    raters: tuple[str, ...]
    subject: str
    split: str | None
    um_per_px: float | None

    @property
    def grade(self) -> int:
        """The raters' median, ties down."""
        return median(self.scores)


def median(scores: Sequence[int]) -> int:
    """The middle score; of two in the middle the lower."""
    return sorted(scores)[(len(scores) - 1) // 2]


@dataclass(frozen=True)
class Listing:
    """A data set before any of its images is read.

    Attributes:
        patches: those whose file is there.
        rows: the first line that speaks of each, 0 where there is no table.
        grades: names of the K grades, lowest first.
        notes: what the person should know, one line each.
        faults: what must be mended; where there are any, `patches` serve to find more, and for nothing else.
    """

    patches: tuple[ScoredPatch, ...]
    rows: tuple[int, ...]
    grades: tuple[str, ...]
    notes: tuple[str, ...]
    faults: tuple[Fault, ...]


def read_scores(folder: Path) -> Listing:
    """The patches of `scores.csv`, each with all its raters, and everything that is wrong with them.

    Paths lie below the data folder: an absolute one, or one with `..`, would hold on one machine only, and is a fault.
    """
    try:
        table = read_table(folder / SCORES_FILE, ("path", "score"))
    except OSError as error:
        return Listing((), (), (), (), (Fault(0, f"{SCORES_FILE}: cannot be read: {error.strerror}"),))
    faults = list(table.faults)
    if not table.rows and not faults:
        faults.append(Fault(0, f"{SCORES_FILE}: no rows"))
    rows = [_parse(number, cells, faults) for number, cells in table.rows]
    grades, notes = _grades(rows, faults)

    rows = [row for row in rows if row.path]
    images, patches = _grouped(rows, lambda row: row.path), _grouped(rows, lambda row: row.patch)
    # of whom a frame is, and how it was sampled, holds for every patch in it
    for column, groups in (("subject", images), ("um_per_px", images), ("split", patches)):
        for group in groups:
            _require_one(column, group, faults)
    missing = {group[0].path for group in images if not _is_file(folder / group[0].path)}
    faults += [Fault(group[0].number, f"no file {group[0].path}") for group in images if group[0].path in missing]
    gathered = [(group[0].number, _gather(group, faults)) for group in patches]
    there = [(number, patch) for number, patch in gathered if patch.path not in missing]
    return Listing(
        tuple(patch for _number, patch in there),
        tuple(number for number, _patch in there),
        grades,
        notes,
        tuple(faults),
    )


@dataclass(frozen=True)
class _Row:
    """What one rater said of one patch.

    Attributes:
        number: its line.
        path: of the image; empty where that is at fault.
        corner: of the patch in it, None also where that is at fault.
        patch: what tells the patch from others.
        score: None where it is at fault.
        um_per_px: None where it is at fault, or not told.
        cells: as they stand in the table.
    """

    number: int
    path: str
    corner: tuple[int, int] | None
    patch: Hashable
    score: int | None
    um_per_px: float | None
    cells: dict[str, str]


def _parse(number: int, cells: dict[str, str], faults: list[Fault]) -> _Row:
    def value(column: str, convert: Callable[[str], _Value]) -> _Value | None:
        text = cells.get(column, "")
        try:
            return convert(text)
        except ValueError as error:
            faults.append(Fault(number, f"{column} {text!r}, wanted {error}"))
            return None

    path = value("path", _path) or ""
    for column, convert in (("subject", _name), ("rater", _name), ("split", _part)):
        value(column, convert)
    corner: tuple[int, int] | None = None
    patch: Hashable = path
    if cells.get("x") or cells.get("y"):
        x, y = value("x", _position), value("y", _position)
        if x is None or y is None:
            patch = (path, number)  # no other rater's
        else:
            corner = x, y
            patch = (path, corner)
    return _Row(number, path, corner, patch, value("score", _whole_number), value("um_per_px", _scale), cells)


def _name(text: str) -> str:
    if not text.isascii() and any("\udc80" <= letter <= "\udcff" for letter in text):
        raise ValueError("UTF-8 (in a spreadsheet: save as CSV UTF-8)")
    return text


def _path(text: str) -> str:
    path = Path(_name(text))
    if not text.strip():
        raise ValueError("the name of an image file")
    if path.anchor or ".." in path.parts:
        raise ValueError("a path below the data folder, without '..'")
    # forward slashes, so that a run trained on Windows is exported on Linux
    return path.as_posix()


def _part(text: str) -> str:
    if text not in {"", "train", "val", "test"}:
        raise ValueError("train, val or test")
    return text


def _whole_number(text: str) -> int:
    """0 or more, and `3.0` for 3 as spreadsheets write it."""
    value = _number(text)
    if not (value >= 0 and value.is_integer()):
        raise ValueError("a whole number from 0")
    return int(value)


def _position(text: str) -> int:
    value = _whole_number(text)
    if value > LARGEST_POSITION:
        raise ValueError(f"at most {LARGEST_POSITION}")
    return value


def _scale(text: str) -> float | None:
    if not text:
        return None
    value = _number(text)
    if not 0 < value < math.inf:
        raise ValueError("a positive number")
    return value


def _number(text: str) -> float:
    """NaN, which no comparison lets pass, for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _grades(rows: Sequence[_Row], faults: list[Fault]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The grades' names, and notes on them; none where a score is at fault, which may be a grade in the billions."""
    scored = [(row.number, row.score) for row in rows if row.score is not None]
    counts = Counter(score for _number, score in scored)
    highest = max(counts, default=0)
    if highest > 4 and any(counts[grade] < BELIEVABLE_SCORES for grade in range(highest + 1)):
        faults.extend(
            Fault(number, f"score {score}, wanted 0 to 4 (or {BELIEVABLE_SCORES} scores of every grade up to it)")
            for number, score in scored
            if score > 4
        )
        return (), ()
    if len(scored) < len(rows):
        return (), ()
    if rows and not highest:
        faults.append(Fault(0, "only 1 grade, wanted at least 2"))
    notes = tuple(f"no score is {grade}: a grade without patches" for grade in range(highest) if not counts[grade])
    return tuple(str(grade) for grade in range(highest + 1)), notes


def _grouped(rows: Iterable[_Row], key: Callable[[_Row], Hashable]) -> list[list[_Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return list(groups.values())


def _require_one(column: str, group: Sequence[_Row], faults: list[Fault]) -> None:
    first = group[0].cells.get(column, "")
    for row in group:
        other = row.cells.get(column, "")
        if other != first:
            faults.append(Fault(row.number, f"{row.path} has {column} {first!r} and {other!r}, wanted one"))
            return


def _gather(group: Sequence[_Row], faults: list[Fault]) -> ScoredPatch:
    """One patch of all its rows."""
    first = group[0]
    # several rows without a name are several raters all the same
    raters = tuple(
        row.cells.get("rater") or (f"rater {nth}" if len(group) > 1 else "") for nth, row in enumerate(group, 1)
    )
    faults += [
        Fault(row.number, f"{row.path} scored twice by rater {rater!r}, wanted one row a rater")
        for nth, (row, rater) in enumerate(zip(group, raters, strict=True))
        if rater in raters[:nth]
    ]
    return ScoredPatch(
        first.path,
        first.corner,
        tuple(row.score for row in group if row.score is not None),
        raters,
        first.cells.get("subject") or first.path,
        first.cells.get("split") or None,
        first.um_per_px,
    )


def _is_file(path: Path) -> bool:
    # Path.is_file raises for a name that is too long
    return os.path.isfile(path)  # noqa: PTH113
