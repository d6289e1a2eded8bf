"""Random choice of the units of a data set that are held out or validate."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from trainer.dataset import ScoredPatches

# epoch, temperature and limits are chosen by the validation part: one subject's skin would decide for all
VALIDATION_SUBJECTS, VALIDATION_SUBJECT_SHARE = 3, 0.25
# training keeps so many, where validation would take all but one
TRAINING_SUBJECTS = 2


def validation_subjects(remaining: int) -> int:
    """Return how many of the subjects that are not held out the validation part wants."""
    return max(VALIDATION_SUBJECTS, math.ceil(VALIDATION_SUBJECT_SHARE * remaining))


class PartDrawing:
    """Units that are moved from training to other parts, in a random order.

    Attributes:
        parts: of each patch of the data set; `train` for those that were not moved.
    """

    def __init__(self, data: ScoredPatches, units: Sequence[str], rows: Iterable[int], seed: int) -> None:
        self.parts = ["train"] * len(data)
        self._grades = [patch.grade for patch in data.patches]
        self._rows_of: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            self._rows_of[units[row]].append(row)
        self._names = sorted(self._rows_of)
        np.random.default_rng(seed).shuffle(self._names)

    def validation_units(self) -> int:
        """Return how many of the remaining units, which are subjects, validation takes."""
        remaining = len(self._names)
        return max(1, min(validation_subjects(remaining), remaining - TRAINING_SUBJECTS))

    def take(self, part: str, patches: int, least: int = 1) -> None:
        """Move `least` units to `part`, and more while that brings it nearer to its number of patches.

        A unit with the last training patches of a grade stays, unless nothing else can be moved.
        """
        left = Counter(self._grades[row] for name in self._names for row in self._rows_of[name])
        taken = units = 0
        for name in list(reversed(self._names)):
            rows = self._rows_of[name]
            if units >= least and taken + len(rows) / 2 > patches:
                break
            brings = Counter(self._grades[row] for row in rows)
            if any(left[grade] == count for grade, count in brings.items()):
                continue
            left -= brings
            taken, units = taken + len(rows), units + 1
            self._move(name, part)
        if not units and self._names:
            self._move(self._names[-1], part)

    def _move(self, name: str, part: str) -> None:
        self._names.remove(name)
        for row in self._rows_of[name]:
            self.parts[row] = part
