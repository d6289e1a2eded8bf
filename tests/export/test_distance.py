"""Distances between answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.distance import Distance

GRADES, PROBABILITY = Distance.between(ordered=True), Distance.between(ordered=False)


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 20)), draw(st.integers(2, 6))
    first, second = (rng.dirichlet(np.full(shape[1], 0.4), shape[0]).astype(np.float32) for _ in range(2))
    return first, second


@given(answers(), st.randoms(use_true_random=False))
def test_without_order_the_numbers_of_the_classes_do_not_matter(pair: tuple[np.ndarray, np.ndarray], order) -> None:
    first, second = pair
    classes = list(range(first.shape[1]))
    order.shuffle(classes)
    found = PROBABILITY.of(first, second)
    np.testing.assert_allclose(PROBABILITY.of(first[:, classes], second[:, classes]), found, atol=1e-6)
    assert ((found >= 0) & (found <= 1 + 1e-6)).all()
    np.testing.assert_array_equal(PROBABILITY.of(first, first), 0)


@given(answers())
def test_with_order_it_is_the_shift_of_the_expected_grade(pair: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = pair
    grades = np.arange(first.shape[1])
    np.testing.assert_allclose(GRADES.of(first, second), np.abs(second @ grades - first @ grades), atol=1e-5)


def test_certain_answers_of_other_classes_are_all_apart_without_order() -> None:
    first, near, far = (np.eye(5, dtype=np.float32)[[grade]] for grade in (0, 1, 4))
    assert PROBABILITY.of(first, near) == PROBABILITY.of(first, far) == pytest.approx(1)
    assert (GRADES.of(first, near), GRADES.of(first, far)) == (pytest.approx(1), pytest.approx(4))
    assert (GRADES.unit, PROBABILITY.unit) == ("grades", "probability")
