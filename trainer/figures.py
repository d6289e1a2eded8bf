"""The contract's figures of agreement between a model and the raters, with bootstrap intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Grades = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.floating]

ECE_BINS = 10
RESAMPLINGS = 1000


@dataclass(frozen=True)
class Figure:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, object]:
        return {"value": round(self.value, 6), "ci95": [round(self.low, 6), round(self.high, 6)]}


def agreement(
    probabilities: Probabilities, truth: Grades, subjects: Sequence[str], *, seed: int = 0
) -> dict[str, Figure]:
    """`accuracy`, `mad`, `mad_normalised`, `qwk` and `ece`, intervals by resampling whole subjects.

    Patches of one subject resemble each other: resampling patches would make the intervals too narrow. Only where there
    is but one subject are its patches resampled, and the interval holds for that subject alone.

    Args:
        probabilities: float [N, K], the model's for each patch.
        truth: int64 [N], the raters' median, ties down.
        subjects: whose patch each is.
        seed: of the resampling.
    """
    unit_of = np.unique(np.asarray(subjects), return_inverse=True)[1]
    if not unit_of.any():
        unit_of = np.arange(len(truth))
    rows_of = np.split(np.argsort(unit_of, kind="stable"), np.cumsum(np.bincount(unit_of))[:-1])
    rng = np.random.default_rng(seed)
    draws = [
        np.concatenate([rows_of[index] for index in rng.integers(0, len(rows_of), len(rows_of))])
        for _ in range(RESAMPLINGS)
    ]
    figures: dict[str, Callable[[Probabilities, Grades], float]] = {
        "accuracy": accuracy,
        "mad": mean_absolute_deviation,
        "mad_normalised": lambda p, t: mean_absolute_deviation(p, t) / (p.shape[1] - 1),
        "qwk": quadratic_kappa,
        "ece": calibration_error,
    }
    found = {}
    for name, figure in figures.items():
        resampled = np.nanpercentile([figure(probabilities[rows], truth[rows]) for rows in draws], [2.5, 97.5])
        found[name] = Figure(figure(probabilities, truth), float(resampled[0]), float(resampled[1]))
    return found


def accuracy(probabilities: Probabilities, truth: Grades) -> float:
    """Share of patches whose most probable grade is the raters'."""
    return float(np.mean(probabilities.argmax(1) == truth))


def mean_absolute_deviation(probabilities: Probabilities, truth: Grades) -> float:
    """Mean distance, in grades, between the most probable grade and the raters'."""
    return float(np.mean(np.abs(probabilities.argmax(1) - truth)))


def quadratic_kappa(probabilities: Probabilities, truth: Grades) -> float:
    """Cohen's kappa with quadratic weights (Cohen 1968); 1 where both say one and the same grade throughout."""
    counts = confusion(probabilities, truth)
    grades = np.arange(len(counts))
    weights = (grades[:, None] - grades[None, :]) ** 2
    by_chance = np.outer(counts.sum(1), counts.sum(0)) / counts.sum()
    expected = float((weights * by_chance).sum())
    return 1.0 if expected == 0 else 1 - float((weights * counts).sum()) / expected


def calibration_error(probabilities: Probabilities, truth: Grades) -> float:
    """Expected calibration error of the most probable grade over ten bins of equal width."""
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == truth
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(truth))


def confusion(probabilities: Probabilities, truth: Grades) -> npt.NDArray[np.int64]:
    """Counts [K, K]: row the raters' grade, column the model's."""
    grades = probabilities.shape[1]
    pairs = truth * grades + probabilities.argmax(1)
    return np.bincount(pairs, minlength=grades * grades).reshape(grades, grades)
