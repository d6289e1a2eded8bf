"""A run's images, part by part: to calibrate on, to choose by, and, held out, to judge on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.run_files import SPLIT_FILE, Run
from runtime.dense_map import Geometry
from runtime.errors import DataError, InflamapError
from runtime.images.patch import middle, read_patch, read_patch_source

# an image of so many patches a side is taken for a frame: it holds cells that no patch of its own stands for
FRAME_PATCHES = 2
# a frame of the microscope's size holds thousands of cells
MOST_FRAMES = 4
# of a mosaic that stands for a frame: the microscope's frames have 1000 px
MOSAIC_PX = 1000


@dataclass(frozen=True)
class PartImages:
    """Images of one part of a run's data, at the model's scale.

    Attributes:
        part: `train`, `val` or `test`.
        patches: uint8 [N, P, P]; of a larger image its middle.
        medians: int64 [N], the raters' median grades.
    """

    part: str
    patches: npt.NDArray[np.uint8]
    medians: npt.NDArray[np.int64]


def read_part(run: Run, data: Path | None, geometry: Geometry, part: str, most: int) -> PartImages:
    """Patches of a part, evenly over it, each the very one that the run knew.

    Args:
        run: the run.
        data: the data set's folder now; where it was at training when None.
        geometry: of the network.
        part: `train`, `val` or `test`.
        most: how many will do.

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
    chosen = [rows[index] for index in np.unique(np.linspace(0, len(rows) - 1, most).astype(int))]
    try:
        medians = np.array([int(row["grade"]) for row in chosen])
    except ValueError as error:
        raise DataError(f"{SPLIT_FILE} of the run: no grade", seen=error, next_step="train again") from error
    return PartImages(part, np.stack([_read(folder, row, geometry) for row in chosen]), medians)


def read_frames(run: Run, data: Path | None, geometry: Geometry, part: str) -> tuple[npt.NDArray[np.uint8], ...]:
    """Whole images of a part that are larger than `FRAME_PATCHES` patches a side, and of which no patch is elsewhere.

    Args:
        run: the run.
        data: the data set's folder now; where it was at training when None.
        geometry: of the network.
        part: `train`, `val` or `test`.

    Returns:
        `MOST_FRAMES` at most, uint8 [H, W] each, at the model's scale; none where the data set holds patches alone.

    Raises:
        DataError: a file is not there any more.
    """
    folder = data_folder(run, data)
    elsewhere = {row["path"] for row in run.rows if row["split"] != part}
    first = {row["path"]: row for row in reversed(rows_of(run, part)) if row["path"] not in elsewhere}
    found = []
    # a data set holds frames or patches; where some images do not do, it holds patches
    for path, row in sorted(first.items())[: 2 * MOST_FRAMES]:
        try:
            source = read_patch_source(
                folder / path, um_per_px=float(row["um_per_px"]), model_um_per_px=geometry.um_per_px
            )
        except (InflamapError, ValueError) as error:
            raise DataError(f"calibration: {error}", next_step="give --calibration DATA") from error
        if min(source.pixels.shape) >= FRAME_PATCHES * geometry.patch_px:
            found.append(source.pixels)
    return tuple(found[:MOST_FRAMES])


def mosaics(patches: npt.NDArray[np.uint8], most: int = MOST_FRAMES) -> tuple[npt.NDArray[np.uint8], ...]:
    """Frames of the microscope's size laid of patches side by side, for data that holds no frames.

    Args:
        patches: uint8 [N, P, P]; taken in turn, and again from the first where they are too few for one frame.
        most: number of frames at most.

    Returns:
        uint8 [n P, n P] each, with n P as near to `MOSAIC_PX` as whole patches allow, and n at least 2.
    """
    side = max(FRAME_PATCHES, MOSAIC_PX // patches.shape[1])
    count = min(most, max(1, len(patches) // side**2))
    return tuple(
        _laid(patches, np.arange(frame * side**2, (frame + 1) * side**2) % len(patches), side) for frame in range(count)
    )


def _laid(patches: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.uint8]:
    pixels = patches.shape[1]
    grid = patches[rows].reshape(side, side, pixels, pixels)
    laid: npt.NDArray[np.uint8] = grid.transpose(0, 2, 1, 3).reshape(side * pixels, side * pixels)
    return laid


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


def _read(folder: Path, row: dict[str, str], geometry: Geometry) -> npt.NDArray[np.uint8]:
    try:
        patch = read_patch(
            folder / row["path"],
            corner=(int(row["x"]), int(row["y"])) if row["x"] else None,
            um_per_px=float(row["um_per_px"]),
            patch_px=geometry.patch_px,
            model_um_per_px=geometry.um_per_px,
        )
    except (InflamapError, ValueError) as error:
        raise DataError(f"calibration: {error}", next_step="give --calibration DATA") from error
    if patch.sha256 != row["sha256"]:
        raise DataError(
            f"calibration: {folder / row['path']}: not the patch that the run was trained with",
            seen=f"content {patch.sha256[:16]}",
            wanted=row["sha256"][:16],
            next_step="give the run's own data set as --calibration DATA",
        )
    return middle(patch.pixels, geometry.patch_px)
