"""Confidence intervals of figures over patches that come in subjects.

Patches of one subject resemble each other, so subjects are what was sampled. Each figure is computed again without each
subject in turn; the spread of these values is its standard error (the delete-one-group jackknife). The interval is
Student's t on a scale on which the figure is nearly normal. `benchmarks/interval_coverage.py` measures how often these
intervals hold the population's figure; docs/intervals.md has the result.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.student_t import student_t95

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# of the errors of one subject's patches, assumed where no patch is graded wrong and none can be estimated
ASSUMED_CORRELATION = 0.1


@dataclass(frozen=True)
class Figure:
    """A figure and its 95 % interval, which holds the value."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Figure":
        """Return the figure in other units; `factor` is positive."""
        return Figure(self.value * factor, self.low * factor, self.high * factor)

    def to_json(self) -> dict[str, object]:
        return {"value": round(self.value, 6), "ci95": [round(self.low, 6), round(self.high, 6)]}


def figure_document(figure: Figure | None) -> dict[str, object]:
    """Return the JSON object of a figure; both keys hold null where it is undefined."""
    return {"value": None, "ci95": None} if figure is None else figure.to_json()


@dataclass(frozen=True, eq=False)
class Jackknife:
    """The units that are left out in turn.

    Units are subjects. Where all patches are of one subject, each patch is a unit, and intervals hold for that subject
    alone.

    Attributes:
        unit_of: int64 [N], the unit of each patch, 0 to U - 1.
        units: U.
    """

    unit_of: Rows
    units: int

    @staticmethod
    def of(subjects: Sequence[str]) -> "Jackknife":
        """Return the units of N patches from the subject of each."""
        unit_of = np.unique(np.asarray(subjects), return_inverse=True)[1]
        if not unit_of.any():
            unit_of = np.arange(len(subjects))
        return Jackknife(unit_of, int(unit_of.max()) + 1)

    def totals(self, values: Floats, rows: Rows | None = None) -> Floats:
        """Sum over patches: over all of them, then over all but each unit's.

        Args:
            values: float64 [n, m], the contribution of each patch to m sums.
            rows: int64 [n], the patches that contribute; all N where None.

        Returns:
            float64 [1 + U, m].
        """
        sums = np.zeros((self.units, values.shape[1]))
        np.add.at(sums, self.unit_of if rows is None else self.unit_of[rows], values)
        total = sums.sum(0)
        return np.concatenate([total[None], total - sums])

    def sizes(self, rows: Rows | None = None) -> Floats:
        """Return the number of patches of each unit among `rows`, float64 [U]."""
        units = self.unit_of if rows is None else self.unit_of[rows]
        return np.bincount(units, minlength=self.units).astype(np.float64)


@dataclass(frozen=True)
class Scale:
    """A scale for the interval of one kind of figure.

    Attributes:
        low, high: the range of the figure; (low, high) is the interval where the data say nothing of its error.
        forward, back: to the scale on which the figure is nearly normal, and from it.
        slope: of `forward`.
        of_spreads: whether the figure compares variances, as kappa does. With few subjects such a figure is biased, the
            larger subjects weigh more, and one more degree of freedom is lost.
        of_distances: whether the figure sums absolute values, whose noise only ever adds to it.
    """

    low: float
    high: float
    forward: Callable[[float], float]
    back: Callable[[float], float]
    slope: Callable[[float], float]
    of_spreads: bool = False
    of_distances: bool = False

    def holds(self, value: float) -> bool:
        """Return whether `forward` is finite at the value."""
        try:
            return math.isfinite(self.forward(value)) and math.isfinite(self.slope(value))
        except (ValueError, ZeroDivisionError):
            return False


def share_scale() -> Scale:
    """Return the logit scale of a share of patches."""
    return Scale(
        0.0,
        1.0,
        lambda share: math.log(share / (1 - share)),
        lambda logit: (1 + math.tanh(logit / 2)) / 2,
        lambda share: 1 / (share * (1 - share)),
    )


def positive_scale(highest: float) -> Scale:
    """Return the log scale of a mean distance, or of a ratio, of at most `highest`."""
    return Scale(0.0, highest, math.log, lambda log: math.exp(min(log, 700.0)), lambda value: 1 / value)


def correlation_scale() -> Scale:
    """Return Fisher's z scale of a kappa or an intraclass correlation."""
    return Scale(-1.0, 1.0, math.atanh, math.tanh, lambda value: 1 / (1 - value * value), of_spreads=True)


def difference_scale() -> Scale:
    """Return the plain scale of a difference of two kappas."""
    return Scale(-2.0, 2.0, float, float, lambda _value: 1.0)


def calibration_scale() -> Scale:
    """Return the plain scale of a calibration error."""
    return Scale(0.0, 1.0, float, float, lambda _value: 1.0, of_distances=True)


def least_error(wrong: float, sizes: Floats) -> float:
    """Return the least standard error of a share of patches.

    Subjects may happen to agree more closely than their patches allow, and then their spread is no measure of the
    error. The least is half the standard error of independent patches. Where no patch is wrong, or each is, it is such
    that the interval reaches as far as Wilson's, at a design effect from `ASSUMED_CORRELATION`.

    Args:
        wrong: the share of patches graded wrong.
        sizes: float64 [U], patches of each unit.
    """
    patches = float(sizes.sum())
    if 0 < wrong < 1:
        return math.sqrt(wrong * (1 - wrong) / patches) / 2
    design_effect = 1 + ASSUMED_CORRELATION * (patches / _effective(sizes) - 1)
    t = student_t95(_freedom(sizes, of_spreads=False))
    return t / (patches / design_effect + t * t)


def jackknife_figure(values: Floats, sizes: Floats, scale: Scale, *, least: float = 0.0) -> Figure | None:
    """Return a figure with its 95 % interval.

    Args:
        values: float64 [1 + U], the figure over all patches, then without each unit. NaN where undefined.
        sizes: float64 [U], the patches of each unit that the figure is of. Units without any do not count.
        scale: of the figure.
        least: the least standard error.

    Returns:
        None where the data leave the figure undefined. The interval is the whole scale where one unit alone defines it.
    """
    value = float(values[0])
    if not math.isfinite(value):
        return None
    used = sizes > 0
    count, without = int(used.sum()), values[1:][used]
    if count < 2 or not np.isfinite(without).all():
        return Figure(value, min(value, scale.low), max(value, scale.high))
    error = max(least, math.sqrt((count - 1) / count * float(np.square(without - without.mean()).sum())))
    half = student_t95(_freedom(sizes[used], of_spreads=scale.of_spreads)) * error
    low, high = _ends(value, half, (count - 1) * float(without.mean() - value), scale)
    return Figure(value, min(value, max(low, scale.low)), max(value, min(high, scale.high)))


def _ends(value: float, half: float, bias: float, scale: Scale) -> tuple[float, float]:
    """Return the ends of the interval, given half its width and the bias of the figure in its own units."""
    if not scale.holds(value):
        return value - half, value + half
    middle, half = scale.forward(value), half * scale.slope(value)
    bias_low = bias_high = 0.0
    if scale.of_spreads:
        bias_low = bias_high = bias * scale.slope(value)
    elif scale.of_distances:
        # noise adds to absolute values in proportion to one over the root of the sample, of which the jackknife, made
        # for one over the sample, finds half; where there is no noise to speak of the upper end needs no correction
        bias_low = 2 * max(0.0, bias)
    return scale.back(middle - bias_low - half), scale.back(middle - bias_high + half)


def _freedom(sizes: Floats, *, of_spreads: bool) -> float:
    """Return the degrees of freedom of a standard error from units of these sizes, 1 at least.

    Units of unequal size are worth fewer. For means the weights between their number and their effective number are
    those by which the intervals cover best (docs/intervals.md).
    """
    effective = _effective(sizes)
    return max(1.0, effective - 2 if of_spreads else (int(np.count_nonzero(sizes)) + 2 * effective) / 3 - 1)


def _effective(sizes: Floats) -> float:
    """Return the number of units of equal size that would weigh as much (Kish 1965)."""
    return float(sizes.sum()) ** 2 / float(np.square(sizes).sum())
