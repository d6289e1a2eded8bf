"""What the raters said of each patch: `scores.csv`, row by row."""

import csv
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SCORES_FILE = "scores.csv"
# grades beyond the usual 0 to 4 are believed when each has this many scores: fewer is a typing error
BELIEVABLE_SCORES = 5
# no image has more pixels along a side; a larger number does not fit what reads and hashes it
LARGEST_POSITION = 2**31 - 1


@dataclass(frozen=True)
class ScoredPatch:
    """One patch with every rater's score.

    Attributes:
        path: as written in the data set, below its folder.
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


def read_scores(folder: Path, faults: list[str]) -> tuple[list[ScoredPatch], tuple[str, ...]]:
    """Rows of `scores.csv`, gathered patch by patch; every fault is appended to `faults`."""
    rows_of: dict[tuple[str, tuple[int, int] | None], list[tuple[int, dict[str, str]]]] = defaultdict(list)
    scores: dict[int, int] = {}
    for number, row in _csv_rows(folder / SCORES_FILE, faults):
        try:
            scores[number] = _whole_number(row, "score")
            corner = (_position(row, "x"), _position(row, "y")) if row.get("x") or row.get("y") else None
            if row.get("um_per_px") and not 0 < _number(row["um_per_px"]) < math.inf:
                raise ValueError(f"um_per_px {row['um_per_px']!r}, wanted a positive number")
            if row.get("split") not in {None, "", "train", "val", "test"}:
                raise ValueError(f"split {row['split']!r}, wanted train, val or test")
        except ValueError as error:
            faults.append(f"row {number}: {error}")
            continue
        rows_of[row["path"], corner].append((number, row))
    highest = max(scores.values(), default=0)
    believable = Counter(scores.values())
    if highest > 4 and any(believable[grade] < BELIEVABLE_SCORES for grade in range(highest + 1)):
        faults.extend(
            f"row {number}: score {score}, wanted 0 to 4 (or {BELIEVABLE_SCORES} scores of every grade up to it)"
            for number, score in scores.items()
            if score > 4
        )
    patches = []
    for (path, corner), rows in rows_of.items():
        first_number, first = rows[0]
        if not is_file(folder / path):
            faults.append(f"row {first_number}: no file {path}")
        # several rows without a name are several raters all the same
        raters = tuple(
            row.get("rater") or (f"rater {nth}" if len(rows) > 1 else "") for nth, (_number, row) in enumerate(rows, 1)
        )
        twice = [rater for rater, count in Counter(raters).items() if count > 1]
        if twice:
            faults.append(f"row {rows[-1][0]}: {path} scored twice by rater {twice[0]!r}, wanted one row a rater")
        for column in ("subject", "split", "um_per_px"):
            said = sorted({row.get(column) or "" for _number, row in rows})
            if len(said) > 1:
                faults.append(f"row {rows[-1][0]}: {path} has {column} {' and '.join(map(repr, said))}, wanted one")
        patches.append(
            ScoredPatch(
                path,
                corner,
                tuple(scores[number] for number, _row in rows),
                raters,
                first.get("subject") or path,
                first.get("split") or None,
                float(first["um_per_px"]) if first.get("um_per_px") else None,
            )
        )
    # a typing error may be a grade in the billions: no names are made for it
    return patches, () if faults else tuple(str(grade) for grade in range(highest + 1))


def _csv_rows(path: Path, faults: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with their line numbers, as a person's editor shows them."""
    try:
        # utf-8-sig: spreadsheets begin the file with a byte order mark
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"path", "score"} - set(reader.fieldnames or ())
            if missing:
                faults.append(f"{SCORES_FILE}: no column {', '.join(sorted(missing))}, seen {reader.fieldnames}")
                return
            empty = True
            for row in reader:
                empty = False
                if not row["path"] or row["score"] is None:
                    faults.append(f"row {reader.line_num}: path or score is empty")
                    continue
                yield reader.line_num, row
            if empty:
                faults.append(f"{SCORES_FILE}: no rows")
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        faults.append(f"{SCORES_FILE}: {error}")


def _whole_number(row: dict[str, str], column: str) -> int:
    """0 or more, and `3.0` for 3 as spreadsheets write it."""
    text = row.get(column) or ""
    value = _number(text)
    if not (value >= 0 and value.is_integer()):
        raise ValueError(f"{column} {text!r}, wanted a whole number from 0")
    return int(value)


def _position(row: dict[str, str], column: str) -> int:
    value = _whole_number(row, column)
    if value > LARGEST_POSITION:
        raise ValueError(f"{column} {row[column]!r}, wanted at most {LARGEST_POSITION}")
    return value


def _number(text: str) -> float:
    """NaN, which no comparison lets pass, for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def is_file(path: Path) -> bool:
    # Path.is_file raises for a name that is too long
    return os.path.isfile(path)  # noqa: PTH113
