"""Scored patches: what the experts saw and said, checked as a whole before any training."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.errors import DataError, InflamapError
from runtime.images import find_images
from runtime.images.patch import ASSUMED_UM_PER_PX, PatchPixels, read_patch
from trainer.scores import SCORES_FILE, ScoredPatch, is_file, read_scores

PHANTOM_FILE = "phantom.json"
# an error line stays readable; the count of the rest is told
FAULTS_SHOWN = 12
Progress = Callable[[str, int, int], None]


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
        patches, grades = read_scores(folder, faults)
    else:
        patches, grades = _read_grade_folders(folder, notes, faults)
    if not faults and len(grades) < 2:
        faults.append(f"only {len(grades)} grade(s), wanted at least 2")

    read: list[PatchPixels] = []
    for done, patch in enumerate(patches):
        if not is_file(folder / patch.path):
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
