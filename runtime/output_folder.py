"""The folder of the results as a whole: may it be that one, can it be written to, what did a killed run leave there."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from runtime.errors import InflamapError
from runtime.outputs import (
    OUTPUT_MARKS,
    TEMPORARY,
    LinkedFolder,
    require_own_folder,
    said_plainly,
    temporary_of,
)

# as much as a result may take
PROBE_BYTES = 1_000_000


class LeftOut(InflamapError):
    """A folder whose images are left out on purpose, which is told and is no fault."""


class HoldsResults(LeftOut):
    """A folder of results, whose overlays and maps are no images to score."""

    @staticmethod
    def of(folder: Path) -> "HoldsResults":
        """Return the line about a folder."""
        return HoldsResults(
            f"{folder}: a folder with results of inflamap, from which nothing is scored",
            next_step="nothing, if only results lie there; if images do too, move them to another folder",
        )


def check_source_folder(folder: Path) -> None:
    """Refuse a folder of images that is a folder of results: overlays of overlays would be made for ever.

    Raises:
        InflamapError: it holds a ledger, or the lock of a watch.
    """
    if any(os.path.lexists(folder / mark) for mark in OUTPUT_MARKS):
        raise is_output_folder(folder)


def is_output_folder(folder: Path) -> InflamapError:
    """Return the error about a folder of images that is a folder of results."""
    return InflamapError(
        f"{folder}: this folder holds results of inflamap and no images",
        seen=" or ".join(sorted(OUTPUT_MARKS)),
        wanted="the folder where the microscope saves",
        next_step="name that folder; if it is this one, move the results elsewhere and give them an --out outside it",
    )


def check_output_folder(out: Path, inputs: Sequence[Path], *, option: str = "--out") -> None:
    """Refuse an output folder that is, or lies in, a folder images are read from: that one is only read.

    Nothing is created. Links are followed, and folders compared by identity, so that neither a link nor a
    differently written name on a file system that ignores case gets past.

    Raises:
        InflamapError: `out` is in an input folder, is the folder of an input file, is a file, or lies below one.
    """
    with said_plainly(out):
        resolved = out.resolve()
        folders = [folder for folder in (resolved, *resolved.parents) if folder.exists()]
        if not folders[0].is_dir():
            raise InflamapError(
                f"output folder {out}",
                seen=f"{folders[0]} is a file",
                wanted="a folder",
                next_step=f"choose another {option}",
            )
    for given in inputs:
        if any(is_same(folder, given) for folder in folders) or (_is_file(given) and is_same(out, given.parent)):
            raise InflamapError(
                f"output folder {out} lies in the folder of images {given}, which is only read",
                wanted="a folder outside it",
                next_step=f"choose another {option}",
            )


def probe_writing(out: Path) -> str | None:
    """Why nothing of a result's size can be written below `out` now, by trying; None where it can."""
    temporary = temporary_of(out / "inflamap.probe")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None


def sweep_temporaries(out: Path, watched: Path) -> int:
    """Remove what a killed run left half-written below `out`; the number of files removed.

    Only while no other run writes there (the ledger's lock says so). Files not named as ours stay, and so does all of
    the watched folder, should it lie below `out`: it is only read. Nothing is removed through a link.
    """
    removed = 0
    for folder, folders, names in os.walk(out):
        folders[:] = [name for name in folders if not is_same(Path(folder, name), watched)]
        ours = [name for name in names if TEMPORARY.fullmatch(name)]
        if not ours:
            continue
        with suppress(LinkedFolder):
            require_own_folder(out, Path(folder))
            removed += sum(map(_is_removed, (Path(folder, name) for name in ours)))
    return removed


def _is_removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _is_file(path: Path) -> bool:
    """No where it cannot be looked at: what is wrong with it is said when it is read."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_same(one: Path, other: Path) -> bool:
    """Whether both are the same folder; no where one of them cannot be looked at."""
    try:
        return one.samefile(other)
    except OSError:
        return False
