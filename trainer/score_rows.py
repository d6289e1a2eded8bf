"""One row of `scores.csv`: the score of one patch by one rater."""

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trainer.grade_scale import GradeScale
from trainer.table import Fault

# no image has more pixels along a side; a larger number does not fit what reads and hashes it
LARGEST_POSITION = 2**31 - 1
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Row:
    """The score of one patch by one rater.

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


def parse_row(number: int, cells: dict[str, str], scale: GradeScale | None, faults: list[Fault]) -> Row:
    """Return a row of the table, and append what is wrong with it to `faults`."""

    def value(column: str, convert: Callable[[str], _Value]) -> _Value | None:
        text = cells.get(column, "")
        try:
            return convert(text)
        except ValueError as error:
            faults.append(Fault(number, f"{column} {text!r}, wanted {error}", f"{column}: {error}"))
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
    score = value("score", _score if scale is None else scale.index)
    return Row(number, path, corner, patch, score, value("um_per_px", _scale), cells)


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


def _score(text: str) -> int:
    if _number(text) % 1 == 0.5:
        raise ValueError("a whole number from 0 (half grades: double every score, and give --grades 0-8)")
    return _whole_number(text)


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
