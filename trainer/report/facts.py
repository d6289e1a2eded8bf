"""What a finished run's folder tells of how the model came about."""

import csv
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.errors import InflamapError
from runtime.images import file_sha256
from trainer.network import WEIGHTS_FILE
from trainer.optimise import kept_epoch
from trainer.run import RUN_FILE, load_run
from trainer.split_record import SPLIT_FILE

KEYS = frozenset({"settings", "options", "network", "data", "versions", "devices", "history", "temperature"})


@dataclass(frozen=True)
class SplitRow:
    """What the run used one patch for.

    Attributes:
        grade: index of the raters' grade.
        part: `train`, `val` or `test`.
        um_per_px: sampling of the patch's file.
        sha256: of the patch's content.
    """

    grade: int
    part: str
    um_per_px: float
    sha256: str


@dataclass(frozen=True)
class RunFacts:
    """A finished run, but for its weights.

    Attributes:
        folder: the run's, absolute.
        document: `run.json`, as `fit` wrote it.
        split: every patch of the run's data.
        weights_sha256: of the file of weights.
    """

    folder: Path
    document: dict[str, Any]
    split: tuple[SplitRow, ...]
    weights_sha256: str

    @property
    def kept_epoch(self) -> int:
        """The epoch, from 1, whose weights the run kept."""
        return kept_epoch(self.document["history"])

    def patches_by_grade(self) -> Counter[tuple[int, str]]:
        """Number of patches of each (grade, part)."""
        return Counter((row.grade, row.part) for row in self.split)

    def content_of(self, part: str) -> frozenset[str]:
        """The content hashes of a part's patches."""
        return frozenset(row.sha256 for row in self.split if row.part == part)

    def commands(self, data: Path, evaluated_with: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the commands that repeat the run and its evaluation.

        Args:
            data: the data set evaluated on.
            evaluated_with: options of the evaluation, by flag.
        """
        train = [self.document["data"]["folder"], "--out", str(self.folder), *_words(self.document["options"])]
        evaluate = [str(self.folder), str(data), *_words(evaluated_with)]
        return shlex.join(["inflamap", "train", *train]), shlex.join(["inflamap", "evaluate", *evaluate])


def _words(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield recorded options as they are typed, see `given_options`."""
    for flag, value in options.items():
        if value is True:
            yield flag
        else:
            for each in value if isinstance(value, list) else [value]:
                yield from (flag, str(each))


def read_facts(run: Path) -> RunFacts:
    """Read a finished run's folder.

    Raises:
        InflamapError: it holds no finished run, one of an earlier version, or its `split.csv` is missing or damaged.
    """
    _network, document = load_run(run)
    missing = KEYS - document.keys()
    if missing:
        raise InflamapError(
            f"{run / RUN_FILE}: tells too little for a report",
            seen=f"no {', '.join(sorted(missing))}",
            wanted="the file that this version's `inflamap train` writes",
            next_step="train again",
        )
    try:
        with (run / SPLIT_FILE).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            split = tuple(
                SplitRow(int(row["grade"]), row["split"], float(row["um_per_px"]), row["sha256"])
                for row in csv.DictReader(file)
            )
    # a row that was cut short holds None
    except (OSError, csv.Error, ValueError, KeyError, TypeError) as error:
        raise InflamapError(
            f"{run / SPLIT_FILE}: cannot be read",
            seen=repr(error),
            wanted="the file that `inflamap train` wrote",
            next_step="train again",
        ) from error
    return RunFacts(run.resolve(), document, split, file_sha256(run / WEIGHTS_FILE) or "unreadable")
