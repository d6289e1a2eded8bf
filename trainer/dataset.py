"""Scored patches: what the experts saw and said, checked as a whole before any training."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.errors import DataError, InflamapError
from runtime.images import find_images, looks_like_image, unlistable
from runtime.images.patch import ASSUMED_UM_PER_PX, PatchPixels, read_patch_source
from trainer.grade_scale import GradeScale, in_natural_order
from trainer.scores import SCORES_FILE, Listing, ScoredPatch, read_scores
from trainer.table import Fault, fault_lines

PHANTOM_FILE = "phantom.json"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ScoredPatches:
    """A whole data set in memory.

    Attributes:
        patches: what was said of each patch, N of them.
        pixels: uint8 [S, S] each, S the patch size or more, at the model's scale.
        sha256: of each patch's content, see `PatchPixels`.
        image_sha256: of all pixels of the image it stands in: the same for all patches of one frame.
        grades: names of the K grades, lowest first.
        synthetic: whether the phantom drew it.
        notes: what the person should know, one line each.
    """

    patches: tuple[ScoredPatch, ...]
    pixels: tuple[npt.NDArray[np.uint8], ...]
    sha256: tuple[str, ...]
    image_sha256: tuple[str, ...]
    grades: tuple[str, ...]
    synthetic: bool
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.patches)

    @property
    def ordered(self) -> bool:
        """Whether the grades are steps of one scale; False for classes without an order."""
        return all(patch.ordered for patch in self.patches)

    def distribution(self) -> npt.NDArray[np.float32]:
        """Share of the raters behind each grade, float32 [N, K]."""
        shares = np.zeros((len(self), len(self.grades)), np.float32)
        for row, patch in enumerate(self.patches):
            for score in patch.scores:
                shares[row, score] += 1 / len(patch.scores)
        return shares

    def consensus_grades(self) -> npt.NDArray[np.int64]:
        """Return each patch's grade by its raters, int64 [N], see `trainer.scores.consensus`."""
        return np.array([patch.grade for patch in self.patches], np.int64)

    def content_sha256(self) -> str:
        """One hash for pixels and scores together, in whatever order they were listed."""
        digest = hashlib.sha256()
        for line in sorted(f"{sha} {patch.scores}" for sha, patch in zip(self.sha256, self.patches, strict=True)):
            digest.update(line.encode())
        return digest.hexdigest()

    def of_part(self, parts: Sequence[str], part: str) -> "ScoredPatches":
        """The patches that stand in `part`; `parts` as `split_patches` gives them."""
        return self.select([row for row, name in enumerate(parts) if name == part])

    def select(self, rows: list[int]) -> "ScoredPatches":
        """The given rows only."""
        return replace(
            self,
            patches=tuple(self.patches[row] for row in rows),
            pixels=tuple(self.pixels[row] for row in rows),
            sha256=tuple(self.sha256[row] for row in rows),
            image_sha256=tuple(self.image_sha256[row] for row in rows),
        )


def read_scored_patches(
    folder: Path,
    *,
    patch_px: int,
    model_um_per_px: float,
    um_per_px: float | None = None,
    assumed_um_per_px: float = ASSUMED_UM_PER_PX,
    scale: GradeScale | None = None,
    ordered: bool = True,
    progress: Progress = lambda _label, _done, _total: None,
) -> ScoredPatches:
    """Read a data set: `scores.csv`, or one sub-folder per grade. Each image is read once for all its patches.

    Args:
        folder: DATA of the contract.
        patch_px: smallest side of a patch at the model's scale.
        model_um_per_px: scale to which the pixels are brought.
        um_per_px: sampling of files of which the data set says nothing, whatever the files say.
        assumed_um_per_px: sampling where neither data set, `um_per_px` nor file says it.
        scale: of the grades; whole scores from 0, or the sub-folders in their natural order, where None.
        ordered: whether the grades are steps of one scale. It decides how several raters' scores are combined.
        progress: told (label, done, total).

    Raises:
        DataError: `details` hold every fault found, in the table and in the images: row, value, and what was wanted.
            Faults of one cause are one line.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", next_step="check DATA")
    listing = read_scores(folder, scale) if (folder / SCORES_FILE).exists() else _list_grade_folders(folder, scale)
    faults = list(listing.faults)
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, patch in enumerate(listing.patches):
        rows_of[patch.path].append(row)
    read: dict[int, PatchPixels] = {}
    done = 0
    for path, rows in rows_of.items():
        told = listing.patches[rows[0]].um_per_px
        try:
            source = read_patch_source(
                folder / path,
                um_per_px=um_per_px if told is None else told,
                model_um_per_px=model_um_per_px,
                assumed_um_per_px=assumed_um_per_px,
            )
        except InflamapError as error:
            faults.append(Fault(listing.rows[rows[0]], str(error), _cause(error, folder / path)))
        else:
            for row in rows:
                try:
                    read[row] = source.patch(listing.patches[row].corner, patch_px)
                except DataError as error:
                    faults.append(Fault(listing.rows[row], str(error), _cause(error, folder / path)))
        done += len(rows)
        progress("reading patches", done, len(listing.patches))
    _refuse(folder, faults)

    found = [read[row] for row in range(len(listing.patches))]
    return ScoredPatches(
        tuple(
            replace(patch, um_per_px=here.um_per_px, ordered=ordered)
            for patch, here in zip(listing.patches, found, strict=True)
        ),
        tuple(here.pixels for here in found),
        tuple(here.sha256 for here in found),
        tuple(here.image_sha256 for here in found),
        listing.grades,
        synthetic=(folder / PHANTOM_FILE).exists(),
        notes=(
            *listing.notes,
            *_notes(listing.patches, found, assumed_um_per_px),
            *([] if ordered else _ties(listing.patches)),
        ),
    )


def _list_grade_folders(folder: Path, scale: GradeScale | None) -> Listing:
    """List the images of one sub-folder per grade."""
    if (folder / PHANTOM_FILE).exists():
        raise DataError(
            f"{folder}: an unfinished phantom", wanted=SCORES_FILE, next_step="run `inflamap phantom` there again"
        )
    try:
        children = {child.name: child for child in folder.iterdir()}
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be listed", seen=error.strerror, next_step="give this user access to it"
        ) from error
    # a name with a dot in front is some program's own
    found = in_natural_order([name for name, child in children.items() if child.is_dir() and not name.startswith(".")])
    faults: list[Fault] = []
    patches: list[ScoredPatch] = []
    names = tuple(found) if scale is None else scale.names
    for name in found:
        try:
            grade = names.index(name) if scale is None else scale.index(name)
        except ValueError as error:
            faults.append(Fault(0, f"sub-folder {name}, wanted {error}"))
            continue
        # forward slashes, so that a run trained on Windows is exported on Linux
        paths = [path.relative_to(folder).as_posix() for path in _images(children[name], faults)]
        patches += [ScoredPatch(path, None, (grade,), ("",), path, None, None) for path in paths]
    if not patches and not faults:
        raise DataError(f"{folder}: no scored patches", wanted=f"{SCORES_FILE}, or one sub-folder of images per grade")
    if len(names) < 2:
        faults.append(Fault(0, f"only 1 grade, wanted at least 2: a sub-folder for each, seen {names[0]}"))
    seen = {patch.grade for patch in patches}
    notes = [f"no images in {name}: a grade without patches" for grade, name in enumerate(names) if grade not in seen]
    beside = sum(map(looks_like_image, children.values()))
    if beside:
        notes.append(f"{beside} images in none of the grades' sub-folders are left out")
    return Listing(tuple(patches), (0,) * len(patches), names, tuple(notes), tuple(faults))


def _images(folder: Path, faults: list[Fault]) -> list[Path]:
    def cannot_list(error: OSError) -> None:
        faults.append(Fault(0, str(unlistable(error))))

    try:
        return list(find_images(folder, on_error=cannot_list))
    except InflamapError as error:
        faults.append(Fault(0, str(error)))
        return []


def _refuse(folder: Path, faults: list[Fault]) -> None:
    if faults:
        raise DataError(
            f"{folder}: {len(faults)} fault(s) in the data set",
            wanted="none",
            next_step="mend what the lines above name, then run it again",
            details=fault_lines(faults),
        )


def _cause(error: InflamapError, path: Path) -> str:
    """Return what an error has in common with those of other files: its words without path, sizes and places."""
    return re.sub(r"[\d.,]+", "", error.what.replace(str(path), ""))


def _notes(patches: Sequence[ScoredPatch], found: Sequence[PatchPixels], assumed_um_per_px: float) -> list[str]:
    notes = []
    images = {patch.path for patch in patches}
    colour = {patch.path for patch, here in zip(patches, found, strict=True) if here.colour}
    if colour:
        notes.append(f"{len(colour)} of {len(images)} images are in colour: their luminance is used")
    assumed = sum(here.assumed for here in found)
    if assumed:
        notes.append(
            f"{assumed} of {len(patches)} patches tell no µm/px: {assumed_um_per_px:g} assumed (give --um-per-px)"
        )
    return notes


def _ties(patches: Sequence[ScoredPatch]) -> list[str]:
    """Return a warning where raters name several classes equally often."""
    tied = [patch for patch in patches if not patch.has_majority]
    if not tied:
        return []
    return [
        f"{len(tied)} of {len(patches)} patches have no majority of their raters: of the classes named most often, the "
        f"one named first in {SCORES_FILE} counts (first: {tied[0].path})"
    ]
