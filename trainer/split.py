"""Which patches train, which choose, and which are held out."""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence, Set
from pathlib import Path
from typing import TextIO

import numpy as np

from runtime.bundle import abbreviate
from runtime.errors import DataError
from runtime.outputs import write_atomically
from trainer.dataset import ScoredPatches
from trainer.scores import ScoredPatch
from trainer.table import Fault, Table, read_table

PARTS = ("train", "val", "test")
SPLIT_FILE = "split.csv"
# the study's 797 of 3797
TEST_SHARE = 0.21
VALIDATION_SHARE = 0.1


def split_patches(data: ScoredPatches, how: str, seed: int) -> tuple[str, ...]:
    """The part of each patch.

    Args:
        data: the data set.
        how: `random` holds out 21 % of the images, `subject` whole subjects up to about that share, else a CSV file
            with the columns `path,split` (and `x,y` where patches of one frame differ, as a run's own `split.csv` has
            them) or `subject,split`. A `split` column in the data set is used where `how` is `column`.
        seed: of the drawing.

    Returns:
        `train`, `val` or `test` for each patch; `val` is drawn from what is not held out, by the same unit, or by
        subject where a file or column names none.

    Raises:
        DataError: a file that names unknown parts, two for one image or subject, or leaves some out (all of them in
            `details`), a part that would stay empty, or a single grade to train on.
    """
    if how == "random":
        parts = _draw(data, [patch.path for patch in data.patches], seed)
    elif how == "subject":
        parts = _draw(data, [patch.subject for patch in data.patches], seed)
    else:
        parts = _complete(_given(data.patches, how), [patch.subject for patch in data.patches], seed)
    empty = [part for part in PARTS if part not in parts]
    if empty:
        raise DataError(
            f"split {how}: no patches in {', '.join(empty)}",
            seen=f"{len(data)} patches of {len({patch.subject for patch in data.patches})} subjects",
            wanted="patches to train on, to choose by and to hold out",
            next_step="give more patches, or another --split",
        )
    taught = {patch.grade for patch, part in zip(data.patches, parts, strict=True) if part == "train"}
    if len(taught) == 1:
        raise DataError(
            f"split {how}: only one grade to train on",
            seen=data.grades[taught.pop()],
            wanted="patches of at least two",
            next_step="give more patches, or another --split",
        )
    return tuple(parts)


def is_written_by_run(how: str) -> bool:
    """Whether `how` is the `split.csv` of a run: nobody else lists the patches' content."""
    return how not in {"random", "subject", "column"} and "sha256" in _split_table(Path(how)).columns


def person(subject: str) -> str:
    """One name for a subject, however it was spelled: `S01` and `s01 ` are the same."""
    return subject.strip().casefold()


def write_split(folder: Path, data: ScoredPatches, parts: Sequence[str]) -> None:
    """Write `split.csv`: what the run used for what, by path and by content.

    File names that are no UTF-8 keep their bytes.
    """
    content = io.StringIO(newline="")
    writer = csv.writer(content)
    writer.writerow(["path", "x", "y", "um_per_px", "grade", "split", "sha256"])
    for patch, sha256, part in zip(data.patches, data.sha256, parts, strict=True):
        x, y = patch.corner or ("", "")
        writer.writerow([patch.path, x, y, patch.um_per_px, patch.grade, part, sha256])
    write_atomically(folder / SPLIT_FILE, content.getvalue().encode("utf-8", "surrogateescape"))


def split_sha256(data: ScoredPatches, parts: Sequence[str]) -> str:
    """One hash for what was used for what, by content: an edited split file makes another run."""
    lines = sorted(f"{sha256} {part}" for sha256, part in zip(data.sha256, parts, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def seen_in_training(run: Path) -> frozenset[str]:
    """Content hashes, abbreviated, of every patch the run trained or chose by.

    Raises:
        DataError: the run's `split.csv` is missing or damaged: without it no figure would be honest.
    """
    try:
        with (run / SPLIT_FILE).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = _rows(file, {"sha256", "split"})
            return frozenset(abbreviate(row["sha256"]) for row in reader if row["split"] != "test")
    # a row that was cut short holds None
    except (OSError, csv.Error, ValueError, TypeError) as error:
        raise DataError(
            f"{run / SPLIT_FILE}: cannot be read",
            seen=error,
            wanted="the file that `inflamap train` wrote",
            next_step="train again",
        ) from error


def _rows(file: TextIO, columns: Set[str]) -> "csv.DictReader[str]":
    """Also of a file without rows the columns are wanted."""
    reader = csv.DictReader(file)
    missing = columns - set(reader.fieldnames or ())
    if missing:
        raise ValueError(f"no column {', '.join(sorted(missing))}")
    return reader


def _draw(data: ScoredPatches, units: list[str], seed: int) -> list[str]:
    """Hold out whole units until the share is reached, then the same for validation."""
    rows_of = defaultdict(list)
    for row, unit in enumerate(units):
        rows_of[unit].append(row)
    names = sorted(rows_of)
    np.random.default_rng(seed).shuffle(names)
    parts = ["train"] * len(data)
    wanted = round(TEST_SHARE * len(data))
    shares = (("test", wanted), ("val", round(VALIDATION_SHARE * (len(data) - wanted))))
    for part, size in shares:
        taken = 0
        # a unit is taken while that brings the part nearer to its size
        while names and (taken == 0 or taken + len(rows_of[names[-1]]) / 2 <= size):
            rows = rows_of[names.pop()]
            taken += len(rows)
            for row in rows:
                parts[row] = part
    return parts


def _given(patches: Sequence[ScoredPatch], how: str) -> list[str]:
    """The part that the data set's own column, or a file, gives each patch."""
    if how == "column":
        named = [patch.split or "" for patch in patches]
        without = (patch.path for patch in patches if not patch.split)
        faults = [f"{path}: no part in the column split" for path in dict.fromkeys(without)]
    else:
        named, faults = _read_split(Path(how), patches)
    if faults:
        raise DataError(
            f"split {how}: {len(faults)} fault(s)",
            wanted=f"one of {', '.join(PARTS)} for each",
            next_step="mend what the lines above name, or give --split random or subject",
            details=faults,
        )
    return named


def _read_split(path: Path, patches: Sequence[ScoredPatch]) -> tuple[list[str], list[str]]:
    """The part that a file gives each patch, and what is wrong with that."""
    table = _split_table(path)
    corners = {"path", "x", "y"} <= set(table.columns)

    def key(cells: Mapping[str, str]) -> Hashable:
        if "path" not in table.columns:
            return person(cells["subject"])
        image = Path(cells["path"]).as_posix()
        return (image, cells["x"], cells["y"]) if corners else image

    part_of: dict[Hashable, str] = {}
    faults = []
    for number, cells in table.rows:
        part = cells["split"]
        before = part_of.setdefault(key(cells), part)
        name = cells.get("path") or f"subject {cells['subject']}"
        if part not in PARTS:
            faults.append(f"row {number}: {name}: unknown part {part!r}")
        elif part != before:
            faults.append(f"row {number}: {name} is in two parts, {before} and {part}")
    named, without = [], []
    for patch in patches:
        x, y = patch.corner or ("", "")
        cells = {"path": patch.path, "subject": patch.subject, "x": str(x), "y": str(y)}
        named.append(part_of.get(key(cells), ""))
        if key(cells) not in part_of:
            without.append(patch.path if "path" in table.columns else f"subject {patch.subject}")
    return named, faults + [f"{name}: not in {path}" for name in dict.fromkeys(without)]


def _split_table(path: Path) -> Table:
    wanted = "random, subject, or a CSV file with the columns path,split or subject,split"
    try:
        table = read_table(path, ("split",))
    # ValueError: a zero byte in the name
    except (OSError, ValueError) as error:
        raise DataError(f"split {path}: cannot be read", seen=error, wanted=wanted) from error
    faults = list(table.faults)
    if not {"path", "subject"} & set(table.columns):
        faults.append(Fault(0, f"{path.name}: no column path or subject"))
    if faults:
        raise DataError(
            f"split {path}: cannot be read", seen=f"{len(faults)} fault(s)", wanted=wanted, details=map(str, faults)
        )
    return table


def _complete(parts: list[str], subjects: list[str], seed: int) -> list[str]:
    """Draw a validation part by subject from `train` where none is named."""
    if "val" in parts:
        return parts
    names = sorted({subject for subject, part in zip(subjects, parts, strict=True) if part == "train"})
    np.random.default_rng(seed).shuffle(names)
    chosen = set(names[: max(1, round(VALIDATION_SHARE * len(names)))])
    return [
        "val" if part == "train" and subject in chosen else part for subject, part in zip(subjects, parts, strict=True)
    ]
