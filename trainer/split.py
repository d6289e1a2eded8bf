"""Which patches train, which choose, and which are held out."""

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TextIO

import numpy as np

from runtime.bundle import abbreviate
from runtime.errors import DataError
from runtime.outputs import write_atomically
from trainer.dataset import ScoredPatches
from trainer.scores import ScoredPatch

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
            with the columns `path,split`. A `split` column in the data set is used where `how` is `column`.
        seed: of the drawing.

    Returns:
        `train`, `val` or `test` for each patch; `val` is drawn from what is not held out, by the same unit, or by
        subject where a file or column names none.

    Raises:
        DataError: a file that names unknown parts or leaves patches out, a part that would stay empty, or a single
            grade to train on.
    """
    if how == "random":
        parts = _draw(data, [patch.path for patch in data.patches], seed)
    elif how == "subject":
        parts = _draw(data, [patch.subject for patch in data.patches], seed)
    else:
        named = [patch.split for patch in data.patches] if how == "column" else _read_split(Path(how), data.patches)
        parts = _complete(named, [patch.subject for patch in data.patches], seed)
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


def _complete(named: list[str | None], subjects: list[str], seed: int) -> list[str]:
    """Draw a validation part by subject from `train` where none is named."""
    unnamed = sum(not part for part in named)
    if unnamed:
        raise DataError(
            "split: patches without a part",
            seen=f"{unnamed} of {len(named)}",
            wanted=f"{', '.join(PARTS)} for each",
            next_step="name them in the split, or give --split random or subject",
        )
    parts = [part or "" for part in named]
    if "val" in parts:
        return parts
    names = sorted({subject for subject, part in zip(subjects, parts, strict=True) if part == "train"})
    np.random.default_rng(seed).shuffle(names)
    chosen = set(names[: max(1, round(VALIDATION_SHARE * len(names)))])
    return [
        "val" if part == "train" and subject in chosen else part for subject, part in zip(subjects, parts, strict=True)
    ]


def _read_split(path: Path, patches: Sequence[ScoredPatch]) -> list[str | None]:
    part_of: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            for row in _rows(file, {"path", "split"}):
                part = row["split"] or ""
                if part_of.setdefault(row["path"], part) != part:
                    raise DataError(
                        f"split {path}: {row['path']} is in two parts",
                        seen=f"{part_of[row['path']]} and {part}",
                        wanted="one part an image, so that no image trains and is held out",
                    )
    except (OSError, csv.Error, ValueError) as error:
        raise DataError(
            f"split {path}: cannot be read",
            seen=error,
            wanted="random, subject, or a CSV file with the columns path,split",
        ) from error
    unknown = sorted(set(part_of.values()) - set(PARTS))
    if unknown:
        raise DataError(f"split {path}: unknown part", seen=", ".join(map(repr, unknown)), wanted=", ".join(PARTS))
    return [part_of.get(patch.path) for patch in patches]
