"""Patches that export may measure on: those a run was trained or chosen by, never the held-out ones."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry
from runtime.errors import DataError, InflamapError
from runtime.images.patch import middle, read_patch

RUN_FILE, SPLIT_FILE = "run.json", "split.csv"
MOST_PATCHES = 300


@dataclass(frozen=True)
class Run:
    """What export needs to know of a training run.

    Attributes:
        document: `run.json`.
        rows: of `split.csv`: path, x, y, um_per_px, grade, split, sha256.
    """

    document: dict[str, Any]
    rows: tuple[dict[str, str], ...]

    def trained_on(self) -> tuple[str, ...]:
        """Content hashes of the patches that were trained or chosen by."""
        return tuple(sorted(row["sha256"] for row in self.rows if row["split"] != "test"))


def read_run(folder: Path) -> Run:
    """Read a finished run's documents.

    Raises:
        InflamapError: the folder holds no finished run.
    """
    try:
        document = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        with (folder / SPLIT_FILE).open(newline="", encoding="utf-8") as file:
            rows = tuple(csv.DictReader(file))
    except (OSError, ValueError) as error:
        raise InflamapError(
            f"{folder}: no finished run", seen=error, wanted="a folder that `inflamap train` wrote"
        ) from error
    if not document.get("finished"):
        raise InflamapError(f"{folder}: the run is not finished", next_step="run `inflamap train` again to go on")
    return Run(document, rows)


def read_calibration_patches(run: Run, data: Path | None, geometry: Geometry) -> npt.NDArray[np.uint8]:
    """The patches the run chose by (its validation part), at the model's scale, 300 at most.

    Args:
        run: the run.
        data: the data set's folder now; where it was at training when None.
        geometry: of the network.

    Returns:
        uint8 [N, 1, patch_px, patch_px].

    Raises:
        DataError: the data set is not there any more, or files of it are not, or not the same.
    """
    folder = data or Path(run.document["data"]["folder"])
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder", wanted="the data set of the run", next_step="give --calibration DATA"
        )
    rows = [row for row in run.rows if row["split"] == "val"]
    # evenly over the list, which may be sorted by subject or grade
    chosen = [rows[index] for index in np.unique(np.linspace(0, len(rows) - 1, MOST_PATCHES).astype(int))]
    return np.stack([_read(folder, row, geometry) for row in chosen])[:, None]


def _read(folder: Path, row: dict[str, str], geometry: Geometry) -> npt.NDArray[np.uint8]:
    try:
        patch = read_patch(
            folder / row["path"],
            corner=(int(row["x"]), int(row["y"])) if row["x"] else None,
            um_per_px=float(row["um_per_px"]),
            patch_px=geometry.patch_px,
            model_um_per_px=geometry.um_per_px,
        )
    except InflamapError as error:
        raise DataError(f"calibration: {error}", next_step="give --calibration DATA") from error
    if patch.sha256 != row["sha256"]:
        raise DataError(
            f"calibration: {folder / row['path']}: not the patch that the run was trained with",
            seen=f"content {patch.sha256[:16]}",
            wanted=row["sha256"][:16],
            next_step="give the run's own data set as --calibration DATA",
        )
    return middle(patch.pixels, geometry.patch_px)
