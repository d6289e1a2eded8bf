"""A confidence interval of a mean over images that come in clusters."""

import math

import numpy as np
import numpy.typing as npt

from runtime.student_t import student_t95

# of two, one more would change everything
LEAST_UNITS = 3


def mean_interval(
    sums: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], low: float, high: float
) -> tuple[float, float] | None:
    """95 % interval of the mean over all images, with the clusters as what was sampled.

    The ratio estimator's linearised variance (Cochran, Sampling Techniques, 3rd ed., 1977, section 6.3) with Student's
    t at one degree of freedom fewer than there are clusters: images of one site are alike, so that their number alone
    says little of how well the mean is known.

    Args:
        sums: [units] of the scores of each cluster's images.
        counts: [units], number of images in each, at least 1.
        low, high: the lowest and the highest possible score; the interval stays between them.

    Returns:
        (low, high), None for fewer than three clusters.
    """
    units, images = len(sums), int(counts.sum())
    if units < LEAST_UNITS:
        return None
    mean = float(sums.sum()) / images
    deviations = sums - mean * counts
    error = math.sqrt(float(deviations @ deviations) * units / (units - 1)) / images
    half = student_t95(units - 1) * error
    return max(low, mean - half), min(high, mean + half)
