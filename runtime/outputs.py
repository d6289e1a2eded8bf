"""The files of one result: their names, and the one place that writes them.

A file is written whole under a temporary name in its folder and renamed into place, so that a reader sees the
earlier content or the new, whatever happens in between.
"""

import errno
import json
import os
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from hashlib import sha256
from itertools import accumulate
from pathlib import Path, PurePath
from typing import Any

import msgspec

from runtime.errors import InflamapError

SCORE, OVERLAY, MAP, FAILURE = ".score.json", ".overlay.jpg", ".map.ome.tif", ".failed.json"
# of `runtime.ledger` and `runtime.output_lock`, named here for those who only ask whether there is one
LEDGER_FILE, LOCK_FILE = "inflamap.db", "inflamap.lock"
# a folder that holds one of these is a folder of results, and no source of images
OUTPUT_MARKS = frozenset({LEDGER_FILE, LOCK_FILE})
# how results of any version end; what is named so is no image to score. A new kind of result is added here
RESULT_SUFFIXES = (SCORE, OVERLAY, ".overlay.png", MAP, FAILURE)
# a longer one would give long names other files than they have
LONGEST_SUFFIX = max(len(suffix) for suffix in (SCORE, OVERLAY, MAP, FAILURE))
# of Linux's file systems in bytes; Windows counts 255 UTF-16 units, which are never more
LONGEST_NAME = 255
# on Windows a file that a viewer or a virus scanner has open cannot be replaced; most let go soon
PATIENCE_S = 2.0
PAUSE_S = 0.05

_SHORTENED = re.compile(r"~[0-9a-f]{8}")
TEMPORARY = re.compile(r".+\.tmp-[0-9a-f]{8}", re.DOTALL)
_TEMPORARY_SUFFIX = len(".tmp-01234567")
_NEXT_STEPS = {
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free space on that disk",
    errno.EROFS: "choose an output folder on a disk that can be written to",
    errno.EACCES: "give this user write access, or close the program that has the file open",
    errno.EPERM: "give this user write access, or close the program that has the file open",
    errno.ENAMETOOLONG: "choose an output folder with a shorter path",
}


class CannotWrite(InflamapError):
    """The system refused to write; whether that one file or anything there is to be found out."""


class LinkedFolder(CannotWrite):
    """A folder of the results is a link, so that what is written there would lie elsewhere."""


class ResultFiles(msgspec.Struct, frozen=True):
    """Where the files of one image lie, relative to the output folder: of its result, or of its failure."""

    score: Path
    overlay: Path
    map: Path
    failure: Path


def is_named_as_result(path: str) -> bool:
    """Tell whether a file is named as a result of ours, or as a temporary file, whose name may be cut."""
    if path[-_TEMPORARY_SUFFIX:].startswith(".tmp-") and TEMPORARY.fullmatch(path):
        return True
    return path.lower().endswith(RESULT_SUFFIXES)


def result_files(relative: PurePath) -> ResultFiles:
    """Names of the files of the image found at `relative` below the watched folder.

    The folders are mirrored. A name too long to take a suffix becomes its beginning, `~` and eight hexadecimal
    digits of the whole name's hash; two images never share a name.

    Raises:
        InflamapError: `relative` leads out of the output folder.
    """
    if relative.is_absolute() or ".." in relative.parts or not relative.name:
        raise InflamapError("path of an image", seen=relative, wanted="a relative path without '..'")
    base = Path(*relative.parts[:-1], _short(relative.name))
    return ResultFiles(*(base.with_name(base.name + suffix) for suffix in (SCORE, OVERLAY, MAP, FAILURE)))


def write_result(
    out: Path, relative: PurePath, *, overlay: bytes, map_file: bytes | None, record: dict[str, Any]
) -> None:
    """Write the files of one result, score.json last: it is there only when all that it speaks of is.

    A failure record of the image is removed after that; one that cannot be removed is outdone by score.json.

    Args:
        out: the output folder.
        relative: the image's path below the watched folder.
        overlay: the overlay's file.
        map_file: the map's file; None when there is none, and an earlier one is removed.
        record: the document of score.json; names that are not UTF-8 keep their lone surrogates, escaped.

    Raises:
        LinkedFolder: a folder of the results is a link; nothing is written through it.
        InflamapError: a file cannot be written; no new score.json is there then.
        ValueError: `record` holds NaN or infinity, which JSON cannot; nothing is written then.
    """
    files = result_files(relative)
    contents = {files.overlay: overlay, files.map: map_file, files.score: to_document(record)}
    paths = {out / file: data for file, data in contents.items() if data is not None}
    score = out / files.score

    # What a kill leaves. While the temporaries are written (nearly all of the time, and where a full disk shows):
    # the earlier result, whole, and temporaries to be swept. From there to the last rename: no score.json, so the
    # image is plainly not done and is scored again. Were the earlier score.json left standing until it is
    # replaced, it would for that while vouch for an overlay and a map that are not its own.
    require_own_folder(out, score.parent)
    with said_plainly(score), ExitStack() as leftovers:
        staged = {path: _stage(path, data, leftovers) for path, data in paths.items()}
        # staging a large map takes a while
        require_own_folder(out, score.parent)
        _patiently(lambda: score.unlink(missing_ok=True))
        if map_file is None:
            _patiently(lambda: (out / files.map).unlink(missing_ok=True))
        for path, temporary in staged.items():
            if path == score:
                _sync_folder(score.parent)
            _replace(temporary, path)
        _discard(out / files.failure)
        _sync_folder(score.parent)


def remove_result(out: Path, relative: PurePath) -> None:
    """Remove the files of one result, score.json first.

    Raises:
        LinkedFolder: a folder of the results is a link; nothing is removed through it.
        InflamapError: one cannot be removed.
    """
    files = result_files(relative)
    require_own_folder(out, (out / files.score).parent)
    for file in (files.score, files.overlay, files.map):
        remove_file(out / file)


def remove_file(path: Path) -> None:
    """Remove a file, if there is one; wait for a while when another program has it open.

    Raises:
        CannotWrite: it cannot be removed.
    """
    with said_plainly(path):
        _patiently(partial(path.unlink, missing_ok=True))


def remove_overlay(out: Path, relative: PurePath) -> None:
    """Remove the overlay of one result; its record says so, before the file goes where there is room for that.

    A record that is not there or damaged is left: its image is scored anew at the next chance anyway.

    Raises:
        LinkedFolder: a folder of the results is a link; nothing is removed or written through it.
        InflamapError: it cannot be removed.
    """
    files = result_files(relative)
    require_own_folder(out, (out / files.overlay).parent)
    path, record = out / files.overlay, read_record(out, relative)
    if record is not None:
        record["overlay"] = {"file": None}
        document = to_document(record)
        try:
            write_atomically(out / files.score, document)
        except CannotWrite:
            # a full disk, on which the picture itself makes the room
            remove_file(path)
            write_atomically(out / files.score, document)
    remove_file(path)


def require_own_folder(out: Path, folder: Path) -> None:
    """Require that a folder of the results lies below the output folder really, by no link on the way.

    A link that is put there after this is not seen, nor is a mount.

    Args:
        out: the output folder, which may be a link itself.
        folder: below it, or the output folder; need not be there.

    Raises:
        LinkedFolder: it lies elsewhere, or a folder on the way is a link.
    """
    above = [each for each in (folder, *folder.parents) if each != out and each.is_relative_to(out)]
    with said_plainly(folder):
        linked = next((each for each in reversed(above) if each.is_symlink()), None)
        # a junction of Windows is no link to Python
        if linked is None and above and not folder.resolve().is_relative_to(out.resolve()):
            linked = folder
    if linked is not None:
        raise LinkedFolder(
            f"{linked}: this folder of the results is a link, and nothing is written through it",
            wanted="a folder of its own",
            next_step="put a folder there instead, or name another --out",
        )


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whose folders are made as needed; a reader sees the earlier content or the new.

    Raises:
        InflamapError: it cannot be written; the earlier content is still there.
    """
    with said_plainly(path), ExitStack() as leftovers:
        _replace(_stage(path, data, leftovers), path)
        _sync_folder(path.parent)


def read_record(out: Path, relative: PurePath) -> dict[str, Any] | None:
    """The image's earlier score.json; None when there is none or it is damaged.

    Raises:
        InflamapError: it is there and may not be read.
    """
    return read_record_file(out / result_files(relative).score)


def read_record_file(path: Path) -> dict[str, Any] | None:
    """The same of a score.json whose image only the record tells."""
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    except OSError as error:
        raise InflamapError(
            f"{path} cannot be read",
            seen=error.strerror or error,
            next_step="give this user read access to the output folder",
        ) from error
    return record if isinstance(record, dict) else None


def temporary_of(path: Path) -> Path:
    """Another name each time, beside `path`, under which a killed run's file is known and swept."""
    return path.with_name(f"{_cut(path.name, LONGEST_NAME - _TEMPORARY_SUFFIX)}.tmp-{os.urandom(4).hex()}")


def to_document(record: dict[str, Any]) -> bytes:
    """Encode the document of a record.

    Raises:
        ValueError: it holds NaN or infinity, which JSON cannot.
    """
    return (json.dumps(record, indent=2, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")


def _short(name: str) -> str:
    """The name, cut where a suffix would make it longer than a file system takes."""
    room = LONGEST_NAME - LONGEST_SUFFIX
    size = len(os.fsencode(name))
    # a name of the length and form of a shortened one is shortened as well, lest it be taken for one
    looks_shortened = size > room - 4 and _SHORTENED.fullmatch(name[-9:])
    if size <= room and not looks_shortened:
        return name
    mark = f"~{sha256(os.fsencode(name)).hexdigest()[:8]}"
    return _cut(name, room - len(mark)) + mark


def _cut(name: str, size: int) -> str:
    """As much of the name's beginning as `size` bytes hold; half a character is no name on some systems."""
    lengths = list(accumulate(len(os.fsencode(letter)) for letter in name))
    return name[: bisect_right(lengths, size)]


def _stage(path: Path, data: bytes, leftovers: ExitStack) -> Path:
    """Write a temporary beside `path`, down to the disk; `leftovers` removes it unless it is renamed."""
    _make_folder(path.parent)
    temporary = temporary_of(path)
    leftovers.callback(_discard, temporary)
    with temporary.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _discard(path: Path) -> None:
    # a temporary that cannot be removed now is swept at the next start; the error that led here is the one to tell
    with suppress(OSError):
        path.unlink()


def _replace(temporary: Path, path: Path) -> None:
    _patiently(lambda: os.replace(temporary, path))  # noqa: PTH105 - the seam that tests replace


def _patiently(act: Callable[[], None]) -> None:
    """Try again for a while when another program has the file open."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(PAUSE_S)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each entered in its parent on the disk."""
    if not folder.is_dir():
        if folder.parent == folder:
            raise FileNotFoundError(errno.ENOENT, "this drive or share is not there", str(folder))
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk, where the system lets one (Windows and some shares do not)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def said_plainly(path: Path) -> Iterator[None]:
    """Turn the system's error into one that names the file, the reason and what to do."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(
            f"{error.filename2 or path} cannot be written",
            seen=error.strerror or error,
            next_step=_NEXT_STEPS.get(error.errno or 0, "check that the output folder can be reached and written to"),
        ) from error
