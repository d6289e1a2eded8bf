"""What export reads of a finished run: its documents."""

import csv
import json
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import InflamapError

RUN_FILE, SPLIT_FILE = "run.json", "split.csv"
# what export reads of the two
KEYS = frozenset({"settings", "data", "versions", "temperature"})
COLUMNS = frozenset({"path", "x", "y", "um_per_px", "grade", "split", "sha256"})


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


def refused_by(run: Run) -> Path | None:
    """Return the folder of images that the run was asked to refuse (`train --refuse`); None where there is none."""
    folder = run.document.get("refuse")
    return Path(folder) if isinstance(folder, str) else None


def _require(file: str, missing: Set[str]) -> None:
    if missing:
        raise ValueError(f"{file} lacks {', '.join(sorted(missing))}")
