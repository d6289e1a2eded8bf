"""The contract's figures of agreement between a model and the raters, with intervals by subject.

Every figure is made of sums over patches, so that leaving out a subject is a subtraction.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.intervals import (
    Figure,
    Jackknife,
    calibration_scale,
    correlation_scale,
    jackknife_figure,
    least_error,
    positive_scale,
    share_scale,
)

Grades = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]

ECE_BINS = 10


@dataclass(frozen=True)
class GradeAgreement:
    """How far two graders agree, float64 [...] each; NaN where the patches leave a figure undefined.

    Attributes:
        accuracy: share of patches to which both give the same grade.
        mad: mean distance in grades.
        qwk: Cohen's kappa with quadratic weights (Cohen 1968); undefined where both use one grade throughout.
        by_chance: mean squared distance in grades of independent draws from the two graders' grades.
    """

    accuracy: Floats
    mad: Floats
    qwk: Floats
    by_chance: Floats

    @staticmethod
    def of(sums: Floats) -> "GradeAgreement":
        """Return the figures of float64 [..., 7], sums over patches of `pair_terms`."""
        patches, same, distance, square, first, second, squares = np.moveaxis(sums, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            by_chance = patches * squares - 2 * first * second
            return GradeAgreement(
                same / patches, distance / patches, 1 - patches * square / by_chance, by_chance / patches**2
            )


@dataclass(frozen=True)
class AgreementFigures:
    """The figures of `GradeAgreement` with intervals; None where undefined."""

    accuracy: Figure | None
    mad: Figure | None
    qwk: Figure | None

    @staticmethod
    def of(found: GradeAgreement, sizes: Floats, grades: int) -> "AgreementFigures":
        """Return the figures of two graders.

        Args:
            found: float64 [1 + U] each, over all patches and without each unit.
            sizes: float64 [U], patches of each unit.
            grades: K, the number of grades.
        """
        if not sizes.any():
            return AgreementFigures(None, None, None)
        least = least_error(1 - float(found.accuracy[0]), sizes)
        return AgreementFigures(
            jackknife_figure(found.accuracy, sizes, share_scale(), least=least),
            jackknife_figure(found.mad, sizes, positive_scale(grades - 1), least=least),
            jackknife_figure(found.qwk, sizes, correlation_scale(), least=least_kappa_error(found, least)),
        )


def least_kappa_error(found: GradeAgreement, least: float) -> float:
    """Return the least standard error of `found.qwk`, given that of the accuracy: errors are of one grade or more."""
    by_chance = float(found.by_chance[0])
    return least / by_chance if by_chance > 0 else 0.0


def agreement(probabilities: Probabilities, truth: Grades, jackknife: Jackknife) -> dict[str, Figure | None]:
    """Return `accuracy`, `mad`, `mad_normalised`, `qwk` and `ece` of the most probable grade.

    Args:
        probabilities: float [N, K], the model's for each patch.
        truth: int64 [N], the raters' consensus.
        jackknife: of the N patches.

    Returns:
        None for a figure that the patches leave undefined: `qwk` where model and raters use one grade throughout.
    """
    grades, sizes = probabilities.shape[1], jackknife.sizes()
    found = GradeAgreement.of(jackknife.totals(pair_terms(probabilities.argmax(1), truth)))
    figures = AgreementFigures.of(found, sizes, grades)
    # (1 + U) x bins
    patches, confidence, right = np.split(jackknife.totals(_bin_terms(probabilities, truth)), 3, axis=1)
    with np.errstate(invalid="ignore"):
        calibration = np.abs(confidence - right).sum(1) / patches.sum(1)
    least = least_error(1 - float(found.accuracy[0]), sizes)
    return {
        "accuracy": figures.accuracy,
        "mad": figures.mad,
        "mad_normalised": None if figures.mad is None else figures.mad.scaled(1 / (grades - 1)),
        "qwk": figures.qwk,
        "ece": jackknife_figure(calibration, sizes, calibration_scale(), least=least),
    }


def recall(probabilities: Probabilities, truth: Grades, jackknife: Jackknife) -> list[Figure | None]:
    """Return for each of the K grades the share of its patches that the model gave it; None without patches."""
    figures: list[Figure | None] = []
    for grade in range(probabilities.shape[1]):
        rows = np.flatnonzero(truth == grade)
        if not len(rows):
            figures.append(None)
            continue
        found = probabilities[rows].argmax(1) == grade
        patches, right = jackknife.totals(np.column_stack([np.ones(len(rows)), found]), rows).T
        sizes = jackknife.sizes(rows)
        with np.errstate(invalid="ignore"):
            shares = right / patches
        figures.append(jackknife_figure(shares, sizes, share_scale(), least=least_error(1 - float(shares[0]), sizes)))
    return figures


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
    """Return what a patch adds to the sums of `GradeAgreement.of`, float64 [..., 7], given two graders' grades of it.

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
