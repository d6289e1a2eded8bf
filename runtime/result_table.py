"""All images of a ledger as a table: for a spreadsheet, and for a person at a terminal."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from runtime.csv_text import csv_of
from runtime.errors import one_line
from runtime.ledger import ImageRow, State
from runtime.result import share_in_words

# terminal columns of a class's name
WIDEST_NAME = 30
_DONE = (State.SCORED, State.WITHHELD)


def to_csv(rows: Sequence[ImageRow]) -> bytes:
    """One line an image, with a header; UTF-8.

    The columns: `path`, `status`, `score` (mean expected grade; empty where grades have no order), `grade` (its
    number), `grade_name`, `area_<grade>` (share of the valid cells, one column a grade), `withheld_fraction`, `reason`,
    `um_per_px`, `image_sha256`, `model`, `model_sha256`, `engine`, `precision`, `synthetic`, `attempts`, `arrived` and
    `finished` (UTC, ISO 8601), `read_ms`, `infer_ms`, `write_ms`, `total_ms`, and `score_file`, `overlay_file`,
    `map_file` below the output folder. What describes a result is empty for an image that waits or failed: an earlier
    result of it may be of another content.
    Bytes of names that are no UTF-8 are escaped as \\udcXX.
    """
    grades = list(dict.fromkeys(grade for row in rows for grade in _areas(row)))
    return csv_of(list(_record(None, grades)), (_record(row, grades) for row in rows))


def to_lines(rows: Iterable[ImageRow]) -> Iterator[str]:
    """The same for a person: score, state and path, with the reason where there is one.

    Without order the score is the class with the most area, and its share.
    """
    found = [(row, _score(row)) for row in rows]
    classes = any(row.state is State.SCORED and row.outcome.score is None for row, _ in found)
    heading = "most area" if classes else "score"
    width = max(map(cell_len, (heading, *(score for _, score in found))))
    yield f"{heading:<{width}}  state     image"
    for row, score in found:
        padded = f"{' ' * (width - cell_len(score))}{score}"
        yield f"{padded}  {row.state:<8}  {one_line(row.path.as_posix())}{_remark(row)}"


def _score(row: ImageRow) -> str:
    if row.state is not State.SCORED:
        return "-"
    if row.outcome.score is not None:
        return f"{row.outcome.score:.2f}"
    name = _grade_name(row)
    if name is None:
        return "-"
    shown = one_line(name)
    if cell_len(shown) > WIDEST_NAME:
        shown = f"{set_cell_size(shown, WIDEST_NAME - 1).rstrip()}…"
    return f"{shown} {share_in_words(_areas(row)[name])}"


def _grade_name(row: ImageRow) -> str | None:
    """Name of the grade of a scored image; None where it is not known."""
    names, grade = list(_areas(row)), row.outcome.grade
    place = -1 if grade is None else grade - row.outcome.lowest_grade
    return names[place] if 0 <= place < len(names) else None


def _remark(row: ImageRow) -> str:
    """Why there is no score; for a scored image, what was left out of it."""
    if not row.reason:
        return ""
    left_out = f"{share_in_words(row.outcome.withheld_fraction or 0.0)} of the cells left out: "
    return f"  ({left_out if row.state is State.SCORED else ''}{one_line(row.reason)})"


def _areas(row: ImageRow) -> dict[str, float]:
    found: dict[str, float] = json.loads(row.outcome.area_fraction or "{}") if row.state is State.SCORED else {}
    return found


def _record(row: ImageRow | None, grades: Sequence[str]) -> dict[str, object]:
    """A line's columns; those of no image tell the header."""
    outcome = row.outcome if row is not None and row.state in _DONE else None
    areas = {} if row is None else _areas(row)
    return {
        "path": row and row.path.as_posix(),
        "status": row and row.state,
        "score": outcome and outcome.score,
        "grade": outcome and outcome.grade,
        "grade_name": row and _grade_name(row),
        **{f"area_{grade}": areas.get(grade) for grade in grades},
        "withheld_fraction": outcome and outcome.withheld_fraction,
        "reason": row and row.reason,
        "um_per_px": outcome and outcome.um_per_px,
        "image_sha256": outcome and outcome.sha256,
        "model": outcome and outcome.model,
        "model_sha256": outcome and outcome.model_sha256,
        "engine": outcome and outcome.engine,
        "precision": outcome and outcome.precision,
        "synthetic": outcome and outcome.synthetic,
        "attempts": row and row.attempts,
        "arrived": row and _utc(row.arrived),
        "finished": row and (None if row.state is State.WAITING else _utc(row.finished)),
        "read_ms": outcome and outcome.read_ms,
        "infer_ms": outcome and outcome.infer_ms,
        "write_ms": outcome and outcome.write_ms,
        "total_ms": outcome and outcome.total_ms,
        "score_file": outcome and outcome.score_file,
        "overlay_file": outcome and outcome.overlay_file,
        "map_file": outcome and outcome.map_file,
    }


def _utc(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
