"""The experts: three raters who see the severity with a bias and an error of their own and round it to a grade.

Offsets of about 0.08 around each grade and raters' errors of 0.42-0.46 grades let the best possible reader agree with
the three raters' median in 91 % of the patches. That leaves room above the 87 % of the published study, and errors
enough that no network can look perfect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.figures import GradeAgreement, pair_terms

GRADES = 5

_OFFSET_SCALE = 0.06
"""Of a Laplace distribution: experts pick patches that show a grade well, yet a few lie half-way to the next."""
_OFFSET_MAX = 0.5


@dataclass(frozen=True)
class Rater:
    """One expert: sees severity + `bias` + normal error of standard deviation `error`, all in grades."""

    name: str
    bias: float
    error: float


RATERS = (Rater("r1", -0.08, 0.42), Rater("r2", 0.0, 0.44), Rater("r3", 0.08, 0.46))


def draw_severity(rng: np.random.Generator) -> float:
    """Severity of one patch: a grade 0..4, all as likely, plus an offset that reaches half-way to the next."""
    grade = int(rng.integers(GRADES))
    offset = rng.laplace(0.0, _OFFSET_SCALE)
    while abs(offset) > _OFFSET_MAX:
        offset = rng.laplace(0.0, _OFFSET_SCALE)
    # Reflected rather than clipped, or a tenth of all patches would be exactly 0 or 4.
    return float(4.0 - abs(4.0 - abs(grade + offset)))


def draw_scores(severity: float, rng: np.random.Generator) -> tuple[int, ...]:
    """One integer score 0..4 from each of `RATERS`."""
    seen = (severity + rater.bias + rater.error * rng.standard_normal() for rater in RATERS)
    return tuple(int(np.clip(math.floor(s + 0.5), 0, GRADES - 1)) for s in seen)


def grade_distribution(severity: npt.ArrayLike, *, ordered: bool = True) -> npt.NDArray[np.float64]:
    """Return P(raters' grade = g | severity), float64 [..., 5], exact.

    Args:
        severity: float [...].
        ordered: whether the raters' grade is their median, which is never tied, or their majority: where all three
            differ, the grade of the first.
    """
    bounds = np.arange(GRADES - 1) + 0.5
    seen = np.asarray(severity, np.float64)[..., None]
    at_most = [_normal_cdf((bounds - seen - rater.bias) / rater.error) for rater in RATERS]
    if ordered:
        # The median is at most g when at least two of the three scores are.
        return _by_grade(_two_of_three(*at_most))
    a, b, c = map(_by_grade, at_most)
    both = b * c
    agree: npt.NDArray[np.float64] = both.sum(axis=-1, keepdims=True)
    # The two others differ from the first and from each other.
    all_differ = (1.0 - b) * (1.0 - c) - (agree - both)
    return np.maximum(_two_of_three(a, b, c) + a * all_differ, 0.0)


def _two_of_three(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], c: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the probability that at least two of three independent events happen."""
    return a * b + a * c + b * c - 2.0 * a * b * c


def _by_grade(at_most: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return P(grade = g), float64 [..., 5], of P(grade <= g), float64 [..., 4]."""
    ends = np.zeros((*at_most.shape[:-1], 1))
    # Rounding may leave a grade that never comes up a hair below nothing.
    return np.maximum(np.diff(np.concatenate([ends, at_most, ends + 1.0], axis=-1), axis=-1), 0.0)


def oracle_accuracy(severity: npt.ArrayLike) -> float:
    """How often a reader who knows every patch's severity exactly would agree with the raters' median."""
    return float(grade_distribution(severity).max(axis=-1).mean())


def oracle_agreement(severity: npt.ArrayLike, *, ordered: bool = True) -> dict[str, float]:
    """What to expect of a reader who knows every patch's severity exactly and says its most probable grade.

    Args:
        severity: float [N], N at least 1.
        ordered: see `grade_distribution`.

    Returns:
        `accuracy`, `mad`, `mad_normalised` and `qwk` against the raters' grade; the kappa is that of the expected
        counts.
    """
    expected = grade_distribution(severity, ordered=ordered)
    terms = pair_terms(expected.argmax(axis=-1)[:, None], np.arange(GRADES))
    found = GradeAgreement.of((terms * expected[..., None]).sum(axis=(0, 1)))
    return {
        "accuracy": float(found.accuracy),
        "mad": float(found.mad),
        "mad_normalised": float(found.mad) / (GRADES - 1),
        "qwk": float(found.qwk),
    }


def _normal_cdf(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # numpy has no erf, and scipy is not needed for anything else here.
    return np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in z.ravel()]).reshape(z.shape)
