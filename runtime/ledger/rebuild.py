"""The rebuilding of a lost ledger from the results and the failure records beside them."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from msgspec.structs import replace

from runtime.errors import InflamapError
from runtime.failure_record import FailureRecord, read_failure
from runtime.ledger.ledger import Ledger
from runtime.output_folder import is_same
from runtime.outputs import FAILURE, SCORE, read_record_file, result_files
from runtime.result import Result
from runtime.version import __version__


def rebuild(ledger: Ledger, out: Path, watched: Path) -> int:
    """Take every result and every failure below `out` into a ledger that knows none; the number of results.

    The watched folder is left out, should it lie below.

    Nothing is scored and no image is read: one that is there and holds what its record says keeps its result when it
    is found again, one that was deleted since keeps it anyway. A failure that cannot heal is not due before the content
    of its image changes. Where an image has both, its result holds.
    """
    failures: list[FailureRecord] = []
    # complete when the results are, which `restore` takes first
    return ledger.restore(_results_below(out, watched, failures), failures)


def _results_below(out: Path, watched: Path, failures: list[FailureRecord]) -> Iterator[tuple[PurePath, Result, float]]:
    """Yield images, their results, and when these were written; append what failed to `failures`."""
    for folder, folders, names in os.walk(out):
        folders[:] = [name for name in folders if not is_same(Path(folder, name), watched)]
        for name in names:
            path = Path(folder, name)
            if name.endswith(SCORE):
                found = _result_of(out, path)
                if found is not None:
                    yield *found, path.stat().st_mtime
            elif name.endswith(FAILURE) and (failure := read_failure(out, path)) is not None:
                # another version may read what the one that wrote the record could not
                heals = failure.heals or failure.version != __version__
                failures.append(replace(failure, heals=heals))


def _result_of(out: Path, path: Path) -> tuple[PurePath, Result] | None:
    """The image that a record is about, below the watched folder, and its result; None for what is none of ours."""
    try:
        result = Result.from_json(read_record_file(path))
        relative = PurePath(result.image.path)
        # a record that was copied or renamed is of no image here
        return (relative, result) if out / result_files(relative).score == path else None
    except (ValueError, InflamapError):
        return None
