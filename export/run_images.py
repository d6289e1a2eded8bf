"""A run's images, part by part: to calibrate on, to choose by, and, held out, to judge on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.run_files import SPLIT_FILE, Run
from runtime.dense_map import Geometry
from runtime.errors import DataError, InflamapError
from runtime.evenly import evenly
from runtime.gate_set import FRAME_PATCHES, MOST_FRAMES
from runtime.images.patch import PatchPixels, PatchSource, middle, read_patch_source

# quarter turns of a patch and of its mirror image
ORIENTATIONS = 8


@dataclass(frozen=True)
class PartImages:
    """Images of one part of a run's data, at the model's scale.

    Attributes:
        part: `train`, `val` or `test`.
        patches: uint8 [N, P, P]; of a larger image its middle.
        medians: int64 [N], the raters' grades: their median, or without an order their majority.
        frames: uint8 [H, W] each, at most `MOST_FRAMES` whole images of at least `FRAME_PATCHES` patches a side, of
            which no patch is in another part; none where the data set holds patches alone.
    """

    part: str
    patches: npt.NDArray[np.uint8]
    medians: npt.NDArray[np.int64]
    frames: tuple[npt.NDArray[np.uint8], ...] = ()


def read_part(run: Run, data: Path | None, geometry: Geometry, part: str, most: int) -> PartImages:
    """Images of a part, evenly over it, each the very one that the run knew.

    Args:
        run: the run.
        data: the data set's folder now; where it was at training when None.
        geometry: of the network.
        part: `train`, `val` or `test`.
        most: how many patches will do.

    Raises:
        DataError: the part is empty, the data set is not there any more, or files of it are not, or not the same.
    """
    folder, rows = data_folder(run, data), rows_of(run, part)
    if not rows:
        raise DataError(
            f"{SPLIT_FILE} of the run: no patches to measure on",
            seen=f"{len(run.rows)} rows, none in {part}",
            wanted="the file that `inflamap train` wrote",
            next_step="train again",
        )
    # evenly over the list, which may be sorted by subject or grade
    chosen = [rows[place] for place in evenly(len(rows), most)]
    try:
        medians = np.array([int(row["grade"]) for row in chosen])
    except ValueError as error:
        raise DataError(f"{SPLIT_FILE} of the run: no grade", seen=error, next_step="train again") from error
    patches = [middle(_read(folder, row, geometry)[1].pixels, geometry.patch_px) for row in chosen]
    return PartImages(part, np.stack(patches), medians, _read_frames(run, folder, geometry, part))


def in_orientations(patches: npt.NDArray[np.uint8], wanted: int) -> npt.NDArray[np.uint8]:
    """Few patches as more: turned and mirrored, of which skin knows no right one.

    Args:
        patches: uint8 [N, P, P].
        wanted: how many will do.

    Returns:
        uint8 [M, P, P], the patches themselves first; M is `wanted` where N is less, or 8 N where that is less still.
    """
    turned = [
        np.rot90(mirrored, quarters, (1, 2)) for mirrored in (patches, patches[:, :, ::-1]) for quarters in range(4)
    ]
    needed = min(ORIENTATIONS, -(-wanted // len(patches)))
    return np.ascontiguousarray(np.concatenate(turned[:needed])[: max(wanted, len(patches))])


def data_folder(run: Run, data: Path | None) -> Path:
    """Where the run's data set is.

    Raises:
        DataError: it is not there.
    """
    folder = data or Path(run.document["data"]["folder"])
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder", wanted="the data set of the run", next_step="give --calibration DATA"
        )
    return folder


def rows_of(run: Run, part: str) -> Sequence[dict[str, str]]:
    """The run's rows of one part."""
    return [row for row in run.rows if row["split"] == part]


def _read_frames(run: Run, folder: Path, geometry: Geometry, part: str) -> tuple[npt.NDArray[np.uint8], ...]:
    elsewhere = {row["path"] for row in run.rows if row["split"] != part}
    first = {row["path"]: row for row in reversed(rows_of(run, part)) if row["path"] not in elsewhere}
    if not first:
        return ()
    # a data set holds frames or patches, sorted by subject or grade: some from all over tell which
    paths = sorted(first)
    chosen = [paths[place] for place in evenly(len(paths), MOST_FRAMES)]
    images = [_read(folder, first[path], geometry)[0].pixels for path in chosen]
    return tuple(pixels for pixels in images if min(pixels.shape) >= FRAME_PATCHES * geometry.patch_px)


def _read(folder: Path, row: dict[str, str], geometry: Geometry) -> tuple[PatchSource, PatchPixels]:
    """A row's file and its patch. The hash that is compared is made of all pixels of the file, and the place in it."""
    try:
        source = read_patch_source(
            folder / row["path"], um_per_px=float(row["um_per_px"]), model_um_per_px=geometry.um_per_px
        )
        patch = source.patch((int(row["x"]), int(row["y"])) if row["x"] else None, geometry.patch_px)
    except (InflamapError, ValueError) as error:
        raise DataError(f"calibration: {error}", next_step="give --calibration DATA") from error
    if patch.sha256 != row["sha256"]:
        raise DataError(
            f"calibration: {folder / row['path']}: not the patch that the run was trained with",
            seen=f"content {patch.sha256[:16]}",
            wanted=row["sha256"][:16],
            next_step="give the run's own data set as --calibration DATA",
        )
    return source, patch
