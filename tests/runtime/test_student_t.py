"""The quantiles agree with scipy's and fall with the degrees of freedom."""

import numpy as np
import pytest
from scipy import stats

from runtime.student_t import student_t95


@pytest.mark.parametrize("freedom", [1, 2, 5, 29, 30, 31, 80, 4000])
def test_whole_degrees_of_freedom_are_right_to_three_decimals(freedom: int) -> None:
    assert student_t95(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=6e-4)


def test_between_them_it_is_never_too_small_and_at_most_three_percent_too_large() -> None:
    for freedom in np.linspace(1, 40, 400):
        assert 0.999 < student_t95(freedom) / stats.t.ppf(0.975, freedom) < 1.03


def test_less_than_one_degree_of_freedom_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.9 degrees of freedom, wanted 1 or more"):
        student_t95(0.9)
