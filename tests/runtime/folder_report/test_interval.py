"""The interval covers the mean it is of, and knows its limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.folder_report.interval import mean_interval

clusters = st.lists(st.tuples(st.floats(0, 4), st.integers(1, 50)), min_size=3, max_size=60)


@given(clusters)
def test_mean_lies_in_its_interval_which_stays_on_the_scale(found: list[tuple[float, int]]) -> None:
    counts = np.array([count for _, count in found])
    sums = np.array([mean for mean, _ in found]) * counts
    interval = mean_interval(sums, counts, 0.0, 4.0)
    later = mean_interval(sums + counts, counts, 1.0, 5.0)
    assert interval is not None
    low, high = interval
    # where the scale begins does not matter
    assert later == pytest.approx((low + 1, high + 1))
    assert 0 <= low <= sums.sum() / counts.sum() + 1e-9
    assert sums.sum() / counts.sum() - 1e-9 <= high <= 4


@given(clusters, st.randoms())
def test_order_is_no_matter(found: list[tuple[float, int]], shuffled: "object") -> None:
    again = list(found)
    shuffled.shuffle(again)  # type: ignore[attr-defined]
    one, other = (
        mean_interval(
            np.array([mean * count for mean, count in each]), np.array([count for _, count in each]), 0.0, 4.0
        )
        for each in (found, again)
    )
    assert one == pytest.approx(other)


@pytest.mark.parametrize("units", [0, 1, 2])
def test_fewer_than_three_units_have_none(units: int) -> None:
    assert mean_interval(np.ones(units), np.ones(units, np.int64), 0.0, 4.0) is None


@pytest.mark.parametrize(("patients", "sites"), [(5, 8), (12, 4), (40, 3)])
def test_it_covers_the_true_mean_about_as_often_as_it_says(patients: int, sites: int) -> None:
    rng = np.random.default_rng(patients)
    covered = 0
    for _ in range(1000):
        counts = rng.integers(sites - 2, sites + 3, patients)
        levels = 2 + rng.normal(0, 0.4, patients)
        sums = np.array([rng.normal(level, 0.3, count).sum() for level, count in zip(levels, counts, strict=True)])
        low, high = mean_interval(sums, counts, 0.0, 4.0) or (9.0, 9.0)
        covered += low <= 2 <= high
    # a bootstrap over images would come to a half here
    assert 0.92 <= covered / 1000 <= 0.98


@pytest.mark.parametrize(("units", "quantile"), [(31, 2.0423), (32, 2.0395), (41, 2.0211), (61, 2.0003), (121, 1.9799)])
def test_many_units_have_students_quantile_too(units: int, quantile: float) -> None:
    scores = np.random.default_rng(units).uniform(1, 3, units)
    low, high = mean_interval(scores, np.ones(units, np.int64), 0.0, 4.0) or (0.0, 0.0)
    assert (high - low) / 2 * np.sqrt(units) / scores.std(ddof=1) == pytest.approx(quantile, abs=0.0005)


def test_one_image_each_is_students_interval() -> None:
    scores = np.array([1.0, 2.0, 2.5, 3.0, 1.5])
    low, high = mean_interval(scores, np.ones(5, np.int64), 0.0, 4.0) or (0.0, 0.0)
    half = 2.776 * scores.std(ddof=1) / np.sqrt(5)
    assert (low, high) == (pytest.approx(2 - half), pytest.approx(2 + half))
    many = np.tile(scores, 20)
    low, high = mean_interval(many, np.ones(100, np.int64), 0.0, 4.0) or (0.0, 0.0)
    assert high - low == pytest.approx(2 * 1.984 * many.std(ddof=1) / 10, rel=1e-3)
