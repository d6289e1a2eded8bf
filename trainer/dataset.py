"""Scored patches: what the experts saw and said, checked as a whole before any training."""

import csv
import hashlib
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.errors import DataError, InflamapError
from runtime.images import find_images
from runtime.images.patch import ASSUMED_UM_PER_PX, PatchPixels, read_patch

SCORES_FILE = "scores.csv"
PHANTOM_FILE = "phantom.json"
# grades beyond the usual 0 to 4 are believed when each has this many scores: fewer is a typing error
BELIEVABLE_SCORES = 5
# an error line stays readable; the count of the rest is told
FAULTS_SHOWN = 12
# no image has more pixels along a side; a larger number does not fit what reads and hashes it
LARGEST_POSITION = 2**31 - 1

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ScoredPatch:
    """One patch with every rater's score.

    Attributes:
        path: as written in the data set, below its folder.
        corner: top-left pixel (x, y) of the patch in a whole frame, None when the file is the patch.
        scores: each rater's grade index.
        raters: names in the order of `scores`.
        subject: whose skin it is; the path when nothing tells.
        split: `train`, `val` or `test` where the data set says so, else None.
        um_per_px: sampling of the file; as far as the data set tells it before the file is read.
    """

    path: str
    corner: tuple[int, int] | None
    scores: tuple[int, ...]
    raters: tuple[str, ...]
    subject: str
    split: str | None
    um_per_px: float | None

    @property
    def grade(self) -> int:
        """The raters' median, ties down."""
        return median(self.scores)


def median(scores: Sequence[int]) -> int:
    """The middle score; of two in the middle the lower."""
    return sorted(scores)[(len(scores) - 1) // 2]


@dataclass(frozen=True)
class ScoredPatches:
    """A whole data set in memory.

    Attributes:
        patches: what was said of each patch, N of them.
        pixels: uint8 [S, S] each, S the patch size or more, at the model's scale.
        sha256: of each patch's content, see `PatchPixels`.
        grades: names of the K grades, lowest first.
        synthetic: whether the phantom drew it.
        notes: what the person should know, one line each.
    """

    patches: tuple[ScoredPatch, ...]
    pixels: tuple[npt.NDArray[np.uint8], ...]
    sha256: tuple[str, ...]
    grades: tuple[str, ...]
    synthetic: bool
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.patches)

    def distribution(self) -> npt.NDArray[np.float32]:
        """Share of the raters behind each grade, float32 [N, K]."""
        shares = np.zeros((len(self), len(self.grades)), np.float32)
        for row, patch in enumerate(self.patches):
            for score in patch.scores:
                shares[row, score] += 1 / len(patch.scores)
        return shares

    def median_grades(self) -> npt.NDArray[np.int64]:
        """Each patch's grade by its raters' median, ties down, int64 [N]."""
        return np.array([patch.grade for patch in self.patches], np.int64)

    def content_sha256(self) -> str:
        """One hash for pixels and scores together, in whatever order they were listed."""
        digest = hashlib.sha256()
        for line in sorted(f"{sha} {patch.scores}" for sha, patch in zip(self.sha256, self.patches, strict=True)):
            digest.update(line.encode())
        return digest.hexdigest()

    def select(self, rows: list[int]) -> "ScoredPatches":
        """The given rows only."""
        return replace(
            self,
            patches=tuple(self.patches[row] for row in rows),
            pixels=tuple(self.pixels[row] for row in rows),
            sha256=tuple(self.sha256[row] for row in rows),
        )


def read_scored_patches(
    folder: Path,
    *,
    patch_px: int,
    model_um_per_px: float,
    um_per_px: float | None = None,
    progress: Progress = lambda _label, _done, _total: None,
) -> ScoredPatches:
    """Read a data set: `scores.csv`, or one sub-folder per grade.

    Args:
        folder: DATA of the contract.
        patch_px: smallest side of a patch at the model's scale.
        model_um_per_px: scale to which the pixels are brought.
        um_per_px: scale of files of which the data set says nothing.
        progress: told (label, done, total).

    Raises:
        DataError: with every fault found: rows, values, and what was wanted.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", next_step="check DATA")
    faults: list[str] = []
    notes: list[str] = []
    if (folder / SCORES_FILE).exists():
        patches, grades = _read_scores(folder, faults)
    else:
        patches, grades = _read_grade_folders(folder, notes, faults)
    if not faults and len(grades) < 2:
        faults.append(f"only {len(grades)} grade(s), wanted at least 2")

    read: list[PatchPixels] = []
    for done, patch in enumerate(patches):
        if not _is_file(folder / patch.path):
            continue  # among the faults already, with its row
        try:
            read.append(
                read_patch(
                    folder / patch.path,
                    corner=patch.corner,
                    um_per_px=um_per_px if patch.um_per_px is None else patch.um_per_px,
                    patch_px=patch_px,
                    model_um_per_px=model_um_per_px,
                )
            )
        except InflamapError as error:
            faults.append(str(error))
        progress("reading patches", done + 1, len(patches))
    _refuse(folder, faults)

    assumed = sum(here.assumed for here in read)
    if assumed:
        notes.append(
            f"{assumed} of {len(patches)} patches tell no µm/px: {ASSUMED_UM_PER_PX} assumed (give --um-per-px)"
        )
    return ScoredPatches(
        tuple(replace(patch, um_per_px=here.um_per_px) for patch, here in zip(patches, read, strict=True)),
        tuple(here.pixels for here in read),
        tuple(here.sha256 for here in read),
        grades,
        synthetic=(folder / PHANTOM_FILE).exists(),
        notes=tuple(notes),
    )


def _refuse(folder: Path, faults: list[str]) -> None:
    if not faults:
        return
    shown = "; ".join(faults[:FAULTS_SHOWN])
    rest = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
    raise DataError(f"{folder}: {len(faults)} fault(s) in the data set: {shown}{rest}")


def _is_file(path: Path) -> bool:
    # Path.is_file raises for a name that is too long
    return os.path.isfile(path)  # noqa: PTH113


def _read_grade_folders(folder: Path, notes: list[str], faults: list[str]) -> tuple[list[ScoredPatch], tuple[str, ...]]:
    """The images of one sub-folder per grade; what the person should know is appended to `notes` and `faults`."""
    if (folder / PHANTOM_FILE).exists():
        raise DataError(
            f"{folder}: an unfinished phantom", wanted=SCORES_FILE, next_step="run `inflamap phantom` there again"
        )
    # a name with a dot in front is some program's own
    try:
        names = sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be listed", seen=error.strerror, next_step="give this user access to it"
        ) from error
    patches = []

    def cannot_list(error: OSError) -> None:
        faults.append(f"{error.filename}: the folder cannot be listed: {error.strerror}; give this user access to it")

    for grade, name in enumerate(names):
        # forward slashes, so that a run trained on Windows is exported on Linux
        paths = [path.relative_to(folder).as_posix() for path in find_images(folder / name, on_error=cannot_list)]
        if not paths:
            notes.append(f"no images in {name}: a grade without patches")
        patches += [ScoredPatch(path, None, (grade,), ("",), path, None, None) for path in paths]
    if not patches and not faults:
        raise DataError(f"{folder}: no scored patches", wanted=f"{SCORES_FILE}, or one sub-folder of images per grade")
    return patches, tuple(names)


def _read_scores(folder: Path, faults: list[str]) -> tuple[list[ScoredPatch], tuple[str, ...]]:
    """Rows of `scores.csv`, gathered patch by patch; every fault is appended to `faults`."""
    rows_of: dict[tuple[str, tuple[int, int] | None], list[tuple[int, dict[str, str]]]] = defaultdict(list)
    scores: dict[int, int] = {}
    for number, row in _csv_rows(folder / SCORES_FILE, faults):
        try:
            scores[number] = _whole_number(row, "score")
            corner = (_position(row, "x"), _position(row, "y")) if row.get("x") or row.get("y") else None
            if row.get("um_per_px") and not 0 < _number(row["um_per_px"]) < math.inf:
                raise ValueError(f"um_per_px {row['um_per_px']!r}, wanted a positive number")
            if row.get("split") not in {None, "", "train", "val", "test"}:
                raise ValueError(f"split {row['split']!r}, wanted train, val or test")
        except ValueError as error:
            faults.append(f"row {number}: {error}")
            continue
        rows_of[row["path"], corner].append((number, row))
    highest = max(scores.values(), default=0)
    believable = Counter(scores.values())
    if highest > 4 and any(believable[grade] < BELIEVABLE_SCORES for grade in range(highest + 1)):
        faults.extend(
            f"row {number}: score {score}, wanted 0 to 4 (or {BELIEVABLE_SCORES} scores of every grade up to it)"
            for number, score in scores.items()
            if score > 4
        )
    patches = []
    for (path, corner), rows in rows_of.items():
        first_number, first = rows[0]
        if not _is_file(folder / path):
            faults.append(f"row {first_number}: no file {path}")
        # several rows without a name are several raters all the same
        raters = tuple(
            row.get("rater") or (f"rater {nth}" if len(rows) > 1 else "") for nth, (_number, row) in enumerate(rows, 1)
        )
        twice = [rater for rater, count in Counter(raters).items() if count > 1]
        if twice:
            faults.append(f"row {rows[-1][0]}: {path} scored twice by rater {twice[0]!r}, wanted one row a rater")
        for column in ("subject", "split", "um_per_px"):
            said = sorted({row.get(column) or "" for _number, row in rows})
            if len(said) > 1:
                faults.append(f"row {rows[-1][0]}: {path} has {column} {' and '.join(map(repr, said))}, wanted one")
        patches.append(
            ScoredPatch(
                path,
                corner,
                tuple(scores[number] for number, _row in rows),
                raters,
                first.get("subject") or path,
                first.get("split") or None,
                float(first["um_per_px"]) if first.get("um_per_px") else None,
            )
        )
    # a typing error may be a grade in the billions: no names are made for it
    return patches, () if faults else tuple(str(grade) for grade in range(highest + 1))


def _csv_rows(path: Path, faults: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with their line numbers, as a person's editor shows them."""
    try:
        # utf-8-sig: spreadsheets begin the file with a byte order mark
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"path", "score"} - set(reader.fieldnames or ())
            if missing:
                faults.append(f"{SCORES_FILE}: no column {', '.join(sorted(missing))}, seen {reader.fieldnames}")
                return
            empty = True
            for row in reader:
                empty = False
                if not row["path"] or row["score"] is None:
                    faults.append(f"row {reader.line_num}: path or score is empty")
                    continue
                yield reader.line_num, row
            if empty:
                faults.append(f"{SCORES_FILE}: no rows")
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        faults.append(f"{SCORES_FILE}: {error}")


def _whole_number(row: dict[str, str], column: str) -> int:
    """0 or more, and `3.0` for 3 as spreadsheets write it."""
    text = row.get(column) or ""
    value = _number(text)
    if not (value >= 0 and value.is_integer()):
        raise ValueError(f"{column} {text!r}, wanted a whole number from 0")
    return int(value)


def _position(row: dict[str, str], column: str) -> int:
    value = _whole_number(row, column)
    if value > LARGEST_POSITION:
        raise ValueError(f"{column} {row[column]!r}, wanted at most {LARGEST_POSITION}")
    return value


def _number(text: str) -> float:
    """NaN, which no comparison lets pass, for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
