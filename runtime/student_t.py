"""Two-sided 95 % quantiles of Student's t distribution."""

import math

# for 1 to 30 degrees of freedom
_TABLE = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


def student_t95(freedom: float) -> float:
    """Return the quantile for `freedom` degrees of freedom, 1 or more.

    Between whole numbers up to 30 the logarithm is interpolated in 1 / freedom, which is at most 3 % too large. Beyond
    the table the expansion of Abramowitz and Stegun (26.7.5) is right to three decimals.
    """
    if freedom >= len(_TABLE):
        normal = 1.959964
        first, second = normal**3 + normal, 5 * normal**5 + 16 * normal**3 + 3 * normal
        return normal + first / (4 * freedom) + second / (96 * freedom**2)
    below = math.floor(freedom)
    if below < 1:
        raise ValueError(f"{freedom} degrees of freedom, wanted 1 or more")
    # share of the way from `below` to the next whole number, in 1 / freedom
    share = (1 / below - 1 / freedom) * below * (below + 1)
    return math.exp((1 - share) * math.log(_TABLE[below - 1]) + share * math.log(_TABLE[below]))
