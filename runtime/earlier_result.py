"""What an earlier run left of an image: to be taken over, or to be taken away."""

from collections.abc import Callable
from pathlib import Path, PurePath

from runtime.acquisition import Acquisition
from runtime.errors import InflamapError
from runtime.file_state import is_missing
from runtime.images import file_sha256
from runtime.outputs import read_record, remove_result, result_files
from runtime.result import Result


def earlier_result(
    folder: Path, relative: PurePath, out: Path, acquisition: Acquisition, *, gone: bool
) -> Result | None:
    """The image's earlier result, if it is about this very content and its files are there.

    So it is after a kill between the record and the ledger's row, when the ledger was lost, and when a file was only
    touched. The model may be another: that is flagged, and never silently rescored. An image that is gone keeps the
    result it has, for there will be no other.

    Args:
        folder: the watched folder.
        relative: the image's path below it.
        out: the results' folder.
        acquisition: what the user says of the images.
        gone: whether the image is there no more.

    Raises:
        PlaceForbids: a link leads from the image out of the watched folder.
    """
    files = result_files(relative)
    try:
        result = Result.from_json(read_record(out, relative))
    except ValueError:
        # none, or of another make: it is made anew
        return None
    # an overlay that was removed to make room is not missed
    wanted = [file for file, named in ((files.overlay, result.overlay), (files.map, result.map)) if named is not None]
    if any(is_missing(out / file) for file in wanted):
        return None
    if gone:
        return result
    # an image withheld for want of a scale is scored once somebody gives it
    scale_came = result.image.um_per_px is None and acquisition.scale_of(relative) is not None
    return result if not scale_came and result.image.sha256 == file_sha256(folder / relative, inside=folder) else None


def has_result(out: Path, relative: PurePath) -> bool:
    """Return whether the image has a valid score.json, even one of earlier content."""
    if is_missing(out / result_files(relative).score):
        return False
    try:
        Result.from_json(read_record(out, relative))
    except (ValueError, InflamapError):
        return False
    return True


def withdraw_stale_result(
    folder: Path, relative: PurePath, out: Path, *, alive: Callable[[], object] = lambda: None
) -> None:
    """Remove the earlier result of an image that holds something else now, lest an overlay be taken for its own.

    Args:
        folder: the watched folder.
        relative: the image's path below it.
        out: the results' folder.
        alive: called again and again while a large file is read.
    """
    files = result_files(relative)
    # most of what cannot be read never had a result, and need not be read again for that
    if all(is_missing(out / file) for file in (files.score, files.overlay, files.map)):
        return
    try:
        record = read_record(out, relative)
        now = file_sha256(folder / relative, alive=alive, inside=folder)
        # an overlay without a record is what an earlier removal could not finish
        if now is not None and (record is None or Result.from_json(record).image.sha256 != now):
            remove_result(out, relative)
    except (ValueError, InflamapError):
        # of another make; or nobody can tell what the file holds now, so that it may well be the same
        return
