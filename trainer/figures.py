"""The contract's figures of agreement between a model and the raters, with bootstrap intervals.

Every figure is made of sums over patches. A resampling of whole subjects weighs each subject's sums by how often it was
drawn, so that a thousand resamplings are one product of matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Grades = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]

ECE_BINS = 10
RESAMPLINGS = 1000
# bounds what a product holds at once to some tens of megabytes
DRAWS_AT_ONCE = 100


@dataclass(frozen=True)
class Figure:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    @staticmethod
    def of(values: Floats) -> "Figure":
        """From float64 [1 + R]: the value on the data itself, then on each resampling; those undefined are left out."""
        low, high = np.percentile(values[1:][np.isfinite(values[1:])], [2.5, 97.5])
        return Figure(float(values[0]), float(low), float(high))

    @staticmethod
    def where_defined(values: Floats) -> "Figure | None":
        """As `of`; None where the data itself leaves the figure undefined (NaN)."""
        return Figure.of(values) if np.isfinite(values[0]) else None

    def to_json(self) -> dict[str, object]:
        return {"value": round(self.value, 6), "ci95": [round(self.low, 6), round(self.high, 6)]}


@dataclass(frozen=True, eq=False)
class Resampling:
    """The data itself and `RESAMPLINGS` draws of its subjects, the same for every figure: differences are paired.

    Patches of one subject resemble each other: resampling patches would make the intervals too narrow. Only where there
    is but one subject are its patches resampled, and the interval holds for that subject alone.

    Attributes:
        unit_of: int64 [N], the subject (or patch) that each patch is drawn with.
        weights: uint16 [1 + R, U], how often each of them counts; the first row is the data itself.
    """

    unit_of: Grades
    weights: npt.NDArray[np.uint16]

    @staticmethod
    def of(subjects: Sequence[str], *, seed: int = 0) -> "Resampling":
        """Draw for N patches, given whose each is; the seed alone decides."""
        unit_of = np.unique(np.asarray(subjects), return_inverse=True)[1]
        if not unit_of.any():
            unit_of = np.arange(len(subjects))
        units = int(unit_of.max()) + 1
        rng = np.random.default_rng(seed)
        weights = np.ones((1 + RESAMPLINGS, units), np.uint16)
        for row in weights[1:]:
            row[:] = np.bincount(rng.integers(0, units, units), minlength=units)
        return Resampling(unit_of, weights)

    def totals(self, values: Floats, rows: Grades | None = None) -> Floats:
        """Sums over patches, of the data itself and of each draw.

        Args:
            values: float64 [n, m], what each patch adds to m sums.
            rows: int64 [n], which patches those are; all N where None.

        Returns:
            float64 [1 + R, m].
        """
        units, place = np.unique(self.unit_of if rows is None else self.unit_of[rows], return_inverse=True)
        sums = np.zeros((len(units), values.shape[1]))
        np.add.at(sums, place, values)
        weights = self.weights if len(units) == self.weights.shape[1] else self.weights[:, units]
        return np.concatenate(
            [weights[start : start + DRAWS_AT_ONCE] @ sums for start in range(0, len(weights), DRAWS_AT_ONCE)]
        )


@dataclass(frozen=True)
class GradeAgreement:
    """How far two graders agree, float64 [...] each; NaN where the patches leave a figure undefined.

    Attributes:
        accuracy: share of patches on which they say the same.
        mad: mean distance in grades.
        qwk: Cohen's kappa with quadratic weights (Cohen 1968); undefined where both say one and the same throughout.
    """

    accuracy: Floats
    mad: Floats
    qwk: Floats

    @staticmethod
    def of(sums: Floats) -> "GradeAgreement":
        """From float64 [..., 7], sums over patches of `pair_terms`."""
        patches, same, distance, square, first, second, squares = np.moveaxis(sums, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            by_chance = patches * squares - 2 * first * second
            return GradeAgreement(same / patches, distance / patches, 1 - patches * square / by_chance)


def agreement(probabilities: Probabilities, truth: Grades, draws: Resampling) -> dict[str, Figure]:
    """`accuracy`, `mad`, `mad_normalised`, `qwk` and `ece` of the most probable grade.

    Args:
        probabilities: float [N, K], the model's for each patch.
        truth: int64 [N], the raters' median, ties down.
        draws: of the N patches.
    """
    found = GradeAgreement.of(draws.totals(pair_terms(probabilities.argmax(1), truth)))
    # draws x bins
    patches, confidence, right = np.split(draws.totals(_bin_terms(probabilities, truth)), 3, axis=1)
    values = {
        "accuracy": found.accuracy,
        "mad": found.mad,
        "mad_normalised": found.mad / (probabilities.shape[1] - 1),
        # where all say one and the same grade nothing is left to disagree on
        "qwk": np.nan_to_num(found.qwk, nan=1.0),
        "ece": np.abs(confidence - right).sum(1) / patches.sum(1),
    }
    return {name: Figure.of(value) for name, value in values.items()}


def recall(probabilities: Probabilities, truth: Grades, draws: Resampling) -> list[Figure | None]:
    """Of each of the K grades the share of its patches that the model gave it; None for a grade without patches."""
    of_grade = truth[:, None] == np.arange(probabilities.shape[1])
    found = of_grade & (probabilities.argmax(1) == truth)[:, None]
    patches, right = np.split(draws.totals(np.concatenate([of_grade, found], 1).astype(float)), 2, axis=1)
    with np.errstate(invalid="ignore"):
        shares = right / patches
    return [Figure.where_defined(share) for share in shares.T]


def confusion(probabilities: Probabilities, truth: Grades) -> npt.NDArray[np.int64]:
    """Counts [K, K]: row the raters' grade, column the model's."""
    grades = probabilities.shape[1]
    pairs = truth * grades + probabilities.argmax(1)
    return np.bincount(pairs, minlength=grades * grades).reshape(grades, grades)


@dataclass(frozen=True)
class ReliabilityBin:
    """Patches of like confidence, the probability of the most probable grade.

    Attributes:
        low, high: confidences the bin holds, the lower bound included; the last bin holds 1 too.
        patches: how many.
        confidence: their mean confidence; None without patches.
        accuracy: share of them whose most probable grade is the raters'; None without patches.
    """

    low: float
    high: float
    patches: int
    confidence: float | None
    accuracy: float | None


def reliability(probabilities: Probabilities, truth: Grades) -> tuple[ReliabilityBin, ...]:
    """The ten bins of `ece`: the mean of |confidence - accuracy| over them, weighted by patches, is that figure."""
    patches, confidence, right = _bin_terms(probabilities, truth).sum(0).reshape(3, ECE_BINS)
    return tuple(
        ReliabilityBin(
            number / ECE_BINS,
            (number + 1) / ECE_BINS,
            int(patches[number]),
            float(confidence[number] / patches[number]) if patches[number] else None,
            float(right[number] / patches[number]) if patches[number] else None,
        )
        for number in range(ECE_BINS)
    )


def pair_terms(first: npt.NDArray[np.integer], second: npt.NDArray[np.integer]) -> Floats:
    """What a patch adds to the sums of `GradeAgreement.of`, float64 [..., 7], given two graders' grades of it.

    Chance agreement needs no table of counts: the mean squared distance of independent draws from two graders' grades a
    and b is E[a²] + E[b²] - 2 E[a] E[b].
    """
    first, second = np.broadcast_arrays(first, second)
    apart = first - second
    ones = np.ones_like(apart)
    return np.stack(
        [ones, apart == 0, np.abs(apart), apart**2, first, second, first**2 + second**2], axis=-1, dtype=np.float64
    )


def _bin_terms(probabilities: Probabilities, truth: Grades) -> Floats:
    """What each patch adds to its bin, float64 [N, 3 * ECE_BINS]: patches, their confidence, those right."""
    confidence = probabilities.max(1)
    number = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    in_bin = (number[:, None] == np.arange(ECE_BINS)).astype(float)
    right = probabilities.argmax(1) == truth
    return np.concatenate([in_bin, in_bin * confidence[:, None], in_bin * right[:, None]], axis=1)
