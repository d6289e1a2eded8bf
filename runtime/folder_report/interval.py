"""A confidence interval of a mean over images that come in clusters."""

import math

import numpy as np
import numpy.typing as npt

# two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
# of two, one more would change everything
LEAST_UNITS = 3


def mean_interval(
    sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], highest: float
) -> tuple[float, float] | None:
    """95 % interval of the mean over all images, with the clusters as what was sampled.

    The ratio estimator's linearised variance (Cochran, Sampling Techniques, 3rd ed., 1977, section 6.3) with Student's
    t at one degree of freedom fewer than there are clusters: images of one site are alike, so that their number alone
    says little of how well the mean is known.

    Args:
        sums: [units] of the scores of each cluster's images.
        counts: [units], number of images in each, at least 1.
        highest: the highest grade; the interval stays between 0 and that.

    Returns:
        (low, high), None for fewer than three clusters.
    """
    units, images = len(sums), int(counts.sum())
    if units < LEAST_UNITS:
        return None
    mean = float(sums.sum()) / images
    deviations = sums - mean * counts
    error = math.sqrt(float(deviations @ deviations) * units / (units - 1)) / images
    half = _t95(units - 1) * error
    return max(0.0, mean - half), min(highest, mean + half)


def _t95(freedom: int) -> float:
    """The quantile; beyond the table by Abramowitz and Stegun's expansion (26.7.5), right to three decimals there."""
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    normal = 1.959964
    first, second = normal**3 + normal, 5 * normal**5 + 16 * normal**3 + 3 * normal
    return normal + first / (4 * freedom) + second / (96 * freedom**2)
