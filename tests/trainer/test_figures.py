"""The contract's figures, against values worked out by hand and against scikit-learn."""

import json
import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, mean_absolute_error

from trainer.figures import (
    Figure,
    accuracy,
    agreement,
    calibration_error,
    confusion,
    mean_absolute_deviation,
    quadratic_kappa,
)


def sure(grades: Sequence[int], count: int = 5, confidence: float = 0.9) -> npt.NDArray[np.float64]:
    """Probabilities with the given grades the most probable."""
    others = (1 - confidence) / (count - 1)
    return np.where(np.arange(count) == np.asarray(grades)[:, None], confidence, others)


pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40)


@given(pairs=pairs)
def test_they_agree_with_scikit_learn(pairs):
    model, raters = (np.array(side) for side in zip(*pairs, strict=True))
    probabilities = sure(model)
    assert accuracy(probabilities, raters) == pytest.approx(accuracy_score(raters, model))
    assert mean_absolute_deviation(probabilities, raters) == pytest.approx(mean_absolute_error(raters, model))
    np.testing.assert_array_equal(confusion(probabilities, raters), confusion_matrix(raters, model, labels=range(5)))
    if len({*model, *raters}) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn divides by zero where one side is constant
            wanted = cohen_kappa_score(raters, model, weights="quadratic", labels=range(5))
        assert quadratic_kappa(probabilities, raters) == pytest.approx(0.0 if math.isnan(wanted) else wanted)


def test_they_are_what_one_works_out_by_hand():
    raters = np.array([0, 0, 1, 2, 4])
    found = agreement(sure([0, 1, 1, 4, 4]), raters, ["a", "b", "c", "d", "e"])
    assert found["accuracy"].value == pytest.approx(3 / 5)
    assert found["mad"].value == pytest.approx(3 / 5)
    assert found["mad_normalised"].value == pytest.approx(3 / 5 / 4)
    # weighted disagreement: 5 seen against 39.6 by chance
    chance = sum((m - r) ** 2 for m in (0, 1, 1, 4, 4) for r in raters) / 5
    assert found["qwk"].value == pytest.approx(1 - 5 / chance)
    assert found["ece"].value == pytest.approx(0.9 - 3 / 5)


def test_the_grade_is_the_most_probable_and_not_the_mean():
    probabilities = np.array([[0.4, 0.0, 0.0, 0.3, 0.3]])
    assert accuracy(probabilities, np.array([0])) == 1
    assert mean_absolute_deviation(probabilities, np.array([2])) == 2


def test_kappa_is_one_where_all_say_the_same_and_none_where_one_side_says_but_one_thing():
    assert quadratic_kappa(sure([3, 3]), np.array([3, 3])) == 1
    assert quadratic_kappa(sure([3, 3, 3, 3]), np.array([0, 1, 2, 3])) == 0
    assert quadratic_kappa(sure([0, 4]), np.array([4, 0])) == -1


def test_the_confusion_matrix_has_the_raters_in_its_rows():
    assert confusion(sure([1, 1, 2], 3), np.array([0, 0, 2])).tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_a_calibrated_grader_has_no_calibration_error_and_an_over_confident_one_all_of_it():
    rng = np.random.default_rng(1)
    honest = rng.dirichlet(np.ones(5) * 0.4, 20_000)
    truth = (honest.cumsum(1) < rng.random((20_000, 1))).sum(1).clip(max=4)
    assert calibration_error(honest, truth) < 0.012
    boast = sure(honest.argmax(1), confidence=0.99)
    assert calibration_error(boast, truth) == pytest.approx(0.99 - accuracy(honest, truth), abs=1e-6)


def test_the_calibration_error_weighs_ten_bins_by_their_patches():
    probabilities = np.concatenate([sure([0] * 4, 2, 0.75), sure([0] * 2, 2, 0.95), sure([0], 2, 1.0)])
    truth = np.array([0, 0, 0, 0, 0, 0, 1])
    # 0.7 to 0.8: 4 of 4 right at 0.75; 0.9 to 1, with 1 itself: 2 of 3 right at a mean of 2.9 / 3
    assert calibration_error(probabilities, truth) == pytest.approx((4 - 3 + 2.9 - 2) / 7)


def test_intervals_come_from_resampling_subjects_for_their_patches_resemble_each_other():
    subjects = [f"s{number // 40}" for number in range(400)]
    truth = np.zeros(400, np.int64)
    grades = np.array([1 if number // 40 < 5 else 0 for number in range(400)])
    by_subject = agreement(sure(grades), truth, subjects)["accuracy"]
    by_patch = agreement(sure(grades), truth, [str(number) for number in range(400)])["accuracy"]
    assert by_subject.value == by_patch.value == 0.5
    assert by_subject.high - by_subject.low > 0.5
    assert 0.08 < by_patch.high - by_patch.low < 0.12


def test_the_seed_alone_decides_the_intervals():
    rng = np.random.default_rng(2)
    probabilities, truth = rng.dirichlet(np.ones(5), 60), rng.integers(0, 5, 60)
    subjects = [f"s{number % 9}" for number in range(60)]
    first = agreement(probabilities, truth, subjects)
    assert agreement(probabilities, truth, subjects) == first
    assert agreement(probabilities, truth, subjects, seed=1) != first


@pytest.mark.parametrize(
    ("model", "raters", "subjects"),
    [
        ([0, 1, 2, 2], [0, 1, 1, 2], "aaaa"),
        ([3, 3, 3], [3, 3, 3], "abc"),
        ([1, 2, 3], [0, 0, 0], "abc"),
        ([2], [1], "a"),
    ],
    ids=["one subject", "one grade", "one grade of the raters", "one patch"],
)
def test_poor_data_gives_finite_figures_and_no_warnings(model, raters, subjects):
    found = agreement(sure(model), np.array(raters), list(subjects))
    for figure in found.values():
        assert all(math.isfinite(value) for value in (figure.value, figure.low, figure.high))


def test_one_subject_alone_does_not_look_like_certainty():
    figure = agreement(sure([0, 1, 0, 1, 0, 1]), np.zeros(6, np.int64), ["a"] * 6)["accuracy"]
    assert figure.high - figure.low > 0.3


def test_a_figure_is_written_as_the_contract_has_it():
    assert json.dumps(Figure(0.8714285714, 0.84, 0.9).to_json()) == '{"value": 0.871429, "ci95": [0.84, 0.9]}'
