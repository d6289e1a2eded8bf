"""A row of the ledger's tables and the objects made of it; a damaged row becomes an object that says so."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.file_state import FileState
from runtime.ledger.checksum import is_sound
from runtime.ledger.row import ImageRow, Outcome, State, from_key

OUTCOME = Outcome.__struct_fields__
# all that the checksum of an image's row is of, in its order
COLUMNS = (
    *("path", "state", "reason", "size", "mtime_ns", "ctime_ns", "inode", "arrived", "due", "begun", "attempts"),
    *("interruptions", "redo", "finished"),
    *OUTCOME,
)
NOTE_COLUMNS = ("name", "value")
# for `checked_row`
CHECKED_ROW = ", ".join((*COLUMNS, "crc"))
# file names, which need not be UTF-8
_NAMES = frozenset({"score_file", "overlay_file", "map_file"})
# the reason of a damaged row
DAMAGED_ROW = "this row of the ledger is damaged; the next start of the watch repairs it"
# what a date can show
_LATEST_S = 253_402_300_799.0


def to_column(name: str, value: object) -> object:
    """Return a field of an `Outcome` as its column holds it."""
    return os.fsencode(value) if name in _NAMES and isinstance(value, str) else value


def checked_row(values: Sequence[Any]) -> ImageRow:
    """Return the image of which the columns of `CHECKED_ROW` tell, sound or damaged."""
    return to_row(values[:-1]) if is_sound(values) else _damaged_row(values)


def to_row(values: Sequence[Any]) -> ImageRow:
    """Return the image of which `COLUMNS` tell, whose values are known to be sound."""
    key, state, reason, size, mtime_ns, ctime_ns, inode, arrived, due, _begun, attempts, *more = values
    _interruptions, redo, finished, *outcome = more
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
        FileState(size, mtime_ns, ctime_ns, inode),
        arrived,
        due,
        finished,
        Outcome(**named),
    )


def to_text(value: object) -> str:
    """Return a text for a person, of a column that may hold anything."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def to_time(value: object) -> float | None:
    """Return Unix seconds of a column that may hold anything; None where the value is no time."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value <= _LATEST_S else None


def _damaged_row(values: Sequence[Any]) -> ImageRow:
    """Return a row without any result: of its numbers nobody knows which is wrong."""
    found = dict(zip(COLUMNS, values, strict=False))
    key, said = found["path"], to_text(found["reason"])
    mtime_s = to_time(found["mtime_ns"] / 1e9 if isinstance(found["mtime_ns"], int) else None)
    return ImageRow(
        _path_of(key),
        State.FAILED,
        f"{DAMAGED_ROW}{f' (was: {said})' if said else ''}",
        0,
        False,
        FileState(0, 0 if mtime_s is None else int(mtime_s * 1e9)),
        to_time(found["arrived"]) or 0.0,
        None,
        to_time(found["finished"]),
        Outcome(),
        damaged=True,
    )


def _path_of(key: object) -> Path:
    """Return the path of a damaged key, for a person."""
    try:
        return from_key(key) if isinstance(key, bytes) else Path(to_text(key))
    except UnicodeDecodeError:
        # Windows takes no other bytes than UTF-8
        return Path(to_text(key))
