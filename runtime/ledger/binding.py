"""One watched folder an output folder: images are known by their path below it."""

import os
from pathlib import Path, PurePath

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.ledger.ledger import Ledger, open_ledger
from runtime.outputs import LEDGER_FILE, write_atomically

FOLDER_NOTE = "folder"
# in the results' folder: which one is watched, as bytes
FOLDER_FILE = "inflamap.folder"


def bind_folder(ledger: Ledger, folder: Path, out: Path) -> None:
    """Note which folder the results in `out` are of.

    A second folder would have its `v0000000.bmp` taken for a new content of the first one's. Where the first is gone
    and its images are found here, it was moved or mounted elsewhere, and the new place is noted.

    Raises:
        InflamapError: they are of another folder.
    """
    absolute = str(folder.resolve())
    earlier = ledger.noted(FOLDER_NOTE)
    if earlier not in (None, absolute) and _is_another(Path(earlier), folder, ledger):
        raise InflamapError(
            f"output folder {out} holds results of another folder",
            seen=earlier,
            wanted=absolute,
            next_step="give this folder an --out of its own",
        )
    ledger.note(FOLDER_NOTE, absolute)
    # beside the ledger, should that be lost
    name = os.fsencode(absolute)
    if _read(out / FOLDER_FILE) != name:
        write_atomically(out / FOLDER_FILE, name)


def recall_folder(ledger: Ledger, out: Path) -> bool:
    """Note the folder that a lost ledger of `out` was of; False where no watch ever wrote its results there."""
    name = _read(out / FOLDER_FILE)
    if name is None:
        return False
    if ledger.noted(FOLDER_NOTE) is None:
        ledger.note(FOLDER_NOTE, os.fsdecode(name))
    return True


def is_bound(out: Path, folder: Path) -> bool:
    """Whether `out` holds the results of `folder` already; no where that cannot be told.

    A ledger that is damaged or of an older version tells nothing before the watch is started: the file beside it does.
    """
    try:
        absolute = str(folder.resolve())
        with open_ledger(out) as ledger:
            return bool(ledger.noted(FOLDER_NOTE) == absolute)
    except InflamapError:
        return _read(out / FOLDER_FILE) == os.fsencode(absolute)
    except OSError:
        return False


def watched_images(out: Path) -> frozenset[PurePath]:
    """Images whose results in `out` a watch keeps account of; none where there is no ledger.

    Raises:
        InflamapError: there is one that cannot be read.
    """
    if not (out / LEDGER_FILE).exists():
        return frozenset()
    with open_ledger(out) as ledger:
        return frozenset(relative for relative, _file in ledger.known())


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except OSError:
        return None


def _is_another(earlier: Path, folder: Path, ledger: Ledger) -> bool:
    try:
        return not earlier.samefile(folder)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError:
        # there, and not to be looked at
        return True
    known = list(ledger.known())
    # One is enough: size and time of change to the nanosecond are no coincidence, and others may have been archived.
    # The other marks are of the place where the file lay.
    return bool(known) and not any(_moved_with(FileState.of(folder / relative), file) for relative, file in known)


def _moved_with(found: FileState | None, file: FileState) -> bool:
    return found is not None and (found.size, found.mtime_ns) == (file.size, file.mtime_ns)
