"""Patches that export may measure on: those a run was trained or chosen by, never the held-out ones."""

import csv
import json
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry
from runtime.errors import DataError, InflamapError
from runtime.images.patch import middle, read_patch

RUN_FILE, SPLIT_FILE = "run.json", "split.csv"
# what export reads of the two
KEYS = frozenset({"settings", "data", "versions", "temperature"})
COLUMNS = frozenset({"path", "x", "y", "um_per_px", "split", "sha256"})
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
        if not isinstance(document, dict):
            raise ValueError(f"{RUN_FILE} holds no JSON object")  # noqa: TRY004 - a damaged file
        if not document.get("finished"):
            raise InflamapError(f"{folder}: the run is not finished", next_step="run `inflamap train` again to go on")
        _require(RUN_FILE, KEYS - document.keys())
        # names that are no UTF-8 keep their bytes
        with (folder / SPLIT_FILE).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = tuple(csv.DictReader(file))
        # a row that was cut short holds None
        for row in rows:
            _require(SPLIT_FILE, {column for column in COLUMNS if row.get(column) is None})
    except (OSError, ValueError, csv.Error) as error:
        raise InflamapError(
            f"{folder}: no finished run",
            seen=error,
            wanted="a folder that `inflamap train` wrote",
            next_step="give such a folder, or train again",
        ) from error
    return Run(document, rows)


def _require(file: str, missing: Set[str]) -> None:
    if missing:
        raise ValueError(f"{file} lacks {', '.join(sorted(missing))}")


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
    if not rows:
        raise DataError(
            f"{SPLIT_FILE} of the run: no patches to measure on",
            seen=f"{len(run.rows)} rows, none in val",
            wanted="the file that `inflamap train` wrote",
            next_step="train again",
        )
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
