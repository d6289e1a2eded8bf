"""A ledger that was lost, from what the results themselves tell."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from runtime.errors import InflamapError
from runtime.ledger.ledger import Ledger
from runtime.output_folder import is_same
from runtime.outputs import SCORE, read_record_file, result_files
from runtime.result import Result


def rebuild(ledger: Ledger, out: Path, watched: Path) -> int:
    """Take every result below `out` into a ledger that knows none; their number.

    The watched folder is left out, should it lie below.

    Nothing is scored and no image is read: one that is there and holds what its record says keeps its result when it
    is found again, one that was deleted since keeps it anyway. What failed leaves no result and is tried again.
    """
    return ledger.restore(_results_below(out, watched))


def _results_below(out: Path, watched: Path) -> Iterator[tuple[PurePath, Result, float]]:
    """Images, their results, and when these were written."""
    for folder, folders, names in os.walk(out):
        folders[:] = [name for name in folders if not is_same(Path(folder, name), watched)]
        for name in names:
            if name.endswith(SCORE):
                path = Path(folder, name)
                found = _result_of(out, path)
                if found is not None:
                    yield *found, path.stat().st_mtime


def _result_of(out: Path, path: Path) -> tuple[PurePath, Result] | None:
    """The image that a record is about, below the watched folder, and its result; None for what is none of ours."""
    try:
        result = Result.from_json(read_record_file(path))
        relative = PurePath(result.image.path)
        # a record that was copied or renamed is of no image here
        return (relative, result) if out / result_files(relative).score == path else None
    except (ValueError, InflamapError):
        return None
