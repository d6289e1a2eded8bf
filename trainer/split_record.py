"""`split.csv` of a run: the use of each patch, by path and by content."""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from runtime.bundle import abbreviate
from runtime.errors import DataError
from runtime.outputs import write_atomically
from trainer.dataset import ScoredPatches
from trainer.split import person

SPLIT_FILE = "split.csv"


def write_split(folder: Path, data: ScoredPatches, parts: Sequence[str]) -> None:
    """Write `split.csv`.

    File names that are no UTF-8 keep their bytes.
    """
    content = io.StringIO(newline="")
    writer = csv.writer(content)
    writer.writerow(["path", "x", "y", "um_per_px", "grade", "split", "sha256", "subject"])
    for patch, sha256, part in zip(data.patches, data.sha256, parts, strict=True):
        x, y = patch.corner or ("", "")
        subject = patch.subject if patch.has_subject else ""
        writer.writerow([patch.path, x, y, patch.um_per_px, patch.grade, part, sha256, subject])
    write_atomically(folder / SPLIT_FILE, content.getvalue().encode("utf-8", "surrogateescape"))


def split_sha256(data: ScoredPatches, parts: Sequence[str]) -> str:
    """Return one hash for what was used for what, by content: an edited split file makes another run."""
    lines = sorted(f"{sha256} {part}" for sha256, part in zip(data.sha256, parts, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class TrainedOn:
    """The patches that a model was trained or chosen by.

    Attributes:
        sha256: content hashes of the patches, abbreviated.
        subjects: the subjects, as `person` spells them, as far as they are known.
        um_per_px: the scale of each patch of the run, held-out ones too, by abbreviated content hash.
        option_um_per_px: the `--um-per-px` of the training; None where there was none.
        folder: where the data set was; None where that is unknown.
    """

    sha256: frozenset[str]
    subjects: frozenset[str] = frozenset()
    um_per_px: Mapping[str, float] = field(default_factory=dict)
    option_um_per_px: float | None = None
    folder: Path | None = None

    def scale_of(self, data: Path) -> float | None:
        """Return the `--um-per-px` of the training where `data` is what was trained on, else None.

        Files of another data set may well say another scale.
        """
        return self.option_um_per_px if self.folder is not None and data.resolve() == self.folder else None


def seen_in_training(run: Path) -> TrainedOn:
    """Read what the run trained or chose by.

    Raises:
        DataError: the run's `split.csv` is missing or damaged: without it no figure would be honest.
    """
    try:
        with (run / SPLIT_FILE).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(_rows(file, {"sha256", "split"}))
        seen = [row for row in rows if row["split"] != "test"]
        return TrainedOn(
            frozenset(abbreviate(row["sha256"]) for row in seen),
            frozenset(person(row["subject"]) for row in seen if row.get("subject")),
            {abbreviate(row["sha256"]): float(row["um_per_px"]) for row in rows if row.get("um_per_px")},
        )
    # a row that was cut short holds None
    except (OSError, csv.Error, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{run / SPLIT_FILE}: cannot be read",
            seen=error,
            wanted="the file that `inflamap train` wrote",
            next_step="train again",
        ) from error


def _rows(file: TextIO, columns: Set[str]) -> "csv.DictReader[str]":
    """Return a reader; also of a file without rows the columns are wanted."""
    reader = csv.DictReader(file)
    missing = columns - set(reader.fieldnames or ())
    if missing:
        raise ValueError(f"no column {', '.join(sorted(missing))}")
    return reader
