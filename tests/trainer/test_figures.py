"""The contract's figures, against values worked out by hand and against scikit-learn."""

import json
import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, mean_absolute_error

from trainer.figures import (
    Figure,
    GradeAgreement,
    Resampling,
    agreement,
    confusion,
    pair_terms,
    recall,
    reliability,
)


def sure(grades: Sequence[int], count: int = 5, confidence: float = 0.9) -> npt.NDArray[np.float64]:
    """Probabilities with the given grades the most probable."""
    others = (1 - confidence) / (count - 1)
    return np.where(np.arange(count) == np.asarray(grades)[:, None], confidence, others)


def figures(
    probabilities: npt.NDArray[np.float64], raters: Sequence[int], subjects: Sequence[str] | None = None
) -> dict[str, Figure]:
    """The figures of patches that are each a subject unless told otherwise."""
    each = [str(number) for number in range(len(raters))]
    return agreement(probabilities, np.array(raters), Resampling.of(subjects or each))


def value(name: str, probabilities: npt.NDArray[np.float64], raters: Sequence[int]) -> float:
    return figures(probabilities, raters)[name].value


pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40)


@given(pairs=pairs)
@settings(max_examples=50)
def test_they_agree_with_scikit_learn(pairs):
    model, raters = (np.array(side) for side in zip(*pairs, strict=True))
    found = figures(sure(model), raters)
    assert found["accuracy"].value == pytest.approx(accuracy_score(raters, model))
    assert found["mad"].value == pytest.approx(mean_absolute_error(raters, model))
    np.testing.assert_array_equal(confusion(sure(model), raters), confusion_matrix(raters, model, labels=range(5)))
    if len({*model, *raters}) > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn divides by zero where one side is constant
            wanted = cohen_kappa_score(raters, model, weights="quadratic", labels=range(5))
        assert found["qwk"].value == pytest.approx(0.0 if math.isnan(wanted) else wanted)


def test_they_are_what_one_works_out_by_hand():
    raters = [0, 0, 1, 2, 4]
    found = figures(sure([0, 1, 1, 4, 4]), raters)
    assert found["accuracy"].value == pytest.approx(3 / 5)
    assert found["mad"].value == pytest.approx(3 / 5)
    assert found["mad_normalised"].value == pytest.approx(3 / 5 / 4)
    # weighted disagreement: 5 seen against 39.6 by chance
    chance = sum((m - r) ** 2 for m in (0, 1, 1, 4, 4) for r in raters) / 5
    assert found["qwk"].value == pytest.approx(1 - 5 / chance)
    assert found["ece"].value == pytest.approx(0.9 - 3 / 5)


def test_the_grade_is_the_most_probable_and_not_the_mean():
    probabilities = np.array([[0.4, 0.0, 0.0, 0.3, 0.3]])
    assert value("accuracy", probabilities, [0]) == 1
    assert value("mad", probabilities, [2]) == 2


def test_kappa_is_one_where_all_say_the_same_and_none_where_one_side_says_but_one_thing():
    assert value("qwk", sure([3, 3]), [3, 3]) == 1
    assert value("qwk", sure([3, 3, 3, 3]), [0, 1, 2, 3]) == 0
    assert value("qwk", sure([0, 4]), [4, 0]) == -1


def test_two_graders_who_say_but_one_thing_have_no_kappa():
    same = GradeAgreement.of(pair_terms(np.array([3, 3]), np.array([3, 3])).sum(0))
    assert (same.accuracy, same.mad) == (1, 0)
    assert math.isnan(same.qwk)
    assert math.isnan(GradeAgreement.of(np.zeros(7)).accuracy)


def test_the_confusion_matrix_has_the_raters_in_its_rows():
    assert confusion(sure([1, 1, 2], 3), np.array([0, 0, 2])).tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_recall_is_told_of_every_grade_that_has_patches():
    raters, subjects = np.array([0, 0, 0, 2, 2]), ["a", "a", "b", "b", "c"]
    none, first, second = recall(sure([0, 1, 0, 2, 2], 3), raters, Resampling.of(subjects))[::-1]
    assert none == Figure(1.0, 1.0, 1.0)  # grade 2; no draw without it counts as a miss
    assert first is None
    assert second is not None
    assert (second.value, second.low, second.high) == (pytest.approx(2 / 3), 0.5, 1.0)


def test_a_calibrated_grader_has_no_calibration_error_and_an_over_confident_one_all_of_it():
    rng = np.random.default_rng(1)
    honest = rng.dirichlet(np.ones(5) * 0.4, 20_000)
    truth = (honest.cumsum(1) < rng.random((20_000, 1))).sum(1).clip(max=4)
    assert value("ece", honest, truth) < 0.012
    boast = sure(honest.argmax(1), confidence=0.99)
    found = figures(boast, truth)
    assert found["ece"].value == pytest.approx(0.99 - found["accuracy"].value, abs=1e-6)


def test_the_calibration_error_weighs_ten_bins_by_their_patches():
    probabilities = np.concatenate([sure([0] * 4, 2, 0.75), sure([0] * 2, 2, 0.95), sure([0], 2, 1.0)])
    truth = [0, 0, 0, 0, 0, 0, 1]
    # 0.7 to 0.8: 4 of 4 right at 0.75; 0.9 to 1, with 1 itself: 2 of 3 right at a mean of 2.9 / 3
    assert value("ece", probabilities, truth) == pytest.approx((4 - 3 + 2.9 - 2) / 7)
    bins = reliability(probabilities, np.array(truth))
    assert [(found.low, found.high) for found in bins] == [(n / 10, (n + 1) / 10) for n in range(10)]
    assert [found.patches for found in bins] == [0, 0, 0, 0, 0, 0, 0, 4, 0, 3]
    assert (bins[7].confidence, bins[7].accuracy) == (pytest.approx(0.75), 1.0)
    assert (bins[9].confidence, bins[9].accuracy) == (pytest.approx(2.9 / 3), pytest.approx(2 / 3))
    assert bins[0].confidence is bins[0].accuracy is None


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_the_calibration_error_can_be_read_off_the_reliability_bins(seed):
    rng = np.random.default_rng(seed)
    probabilities, truth = rng.dirichlet(np.ones(4), 50), rng.integers(0, 4, 50)
    gaps = sum(
        found.patches * abs(found.confidence - found.accuracy)
        for found in reliability(probabilities, truth)
        if found.confidence is not None and found.accuracy is not None
    )
    assert value("ece", probabilities, truth) == pytest.approx(gaps / 50)


def test_intervals_come_from_resampling_subjects_for_their_patches_resemble_each_other():
    subjects = [f"s{number // 40}" for number in range(400)]
    grades = [1 if number // 40 < 5 else 0 for number in range(400)]
    by_subject = figures(sure(grades), [0] * 400, subjects)["accuracy"]
    by_patch = figures(sure(grades), [0] * 400)["accuracy"]
    assert by_subject.value == by_patch.value == 0.5
    assert by_subject.high - by_subject.low > 0.5
    assert 0.08 < by_patch.high - by_patch.low < 0.12


def test_a_draw_is_worth_the_patches_of_the_subjects_drawn():
    rng = np.random.default_rng(5)
    probabilities, truth = rng.dirichlet(np.ones(5), 30), rng.integers(0, 5, 30)
    subjects = np.array([f"s{number % 7}" for number in range(30)])
    draws = Resampling.of(list(subjects))
    assert draws.weights.shape == (1 + 1000, 7)
    assert (draws.weights.sum(1) == 7).all()
    said = probabilities.argmax(1)
    found = GradeAgreement.of(draws.totals(pair_terms(said, truth)))
    for draw in (0, 1, 500, 1000):
        drawn = np.concatenate([np.flatnonzero(subjects == f"s{s}").repeat(draws.weights[draw, s]) for s in range(7)])
        wanted = figures(probabilities[drawn], truth[drawn])
        assert found.accuracy[draw] == pytest.approx(wanted["accuracy"].value)
        assert found.mad[draw] == pytest.approx(wanted["mad"].value)
        assert found.qwk[draw] == pytest.approx(wanted["qwk"].value)


def test_sums_over_some_patches_count_their_subjects_alone():
    draws = Resampling.of(["a", "b", "c", "b"])
    found = draws.totals(np.array([[1.0], [10.0]]), np.array([3, 2]))
    np.testing.assert_array_equal(found[:, 0], 1.0 * draws.weights[:, 1] + 10.0 * draws.weights[:, 2])


def test_the_seed_alone_decides_the_intervals():
    rng = np.random.default_rng(2)
    probabilities, truth = rng.dirichlet(np.ones(5), 60), rng.integers(0, 5, 60)
    subjects = [f"s{number % 9}" for number in range(60)]
    first = agreement(probabilities, truth, Resampling.of(subjects))
    assert agreement(probabilities, truth, Resampling.of(subjects)) == first
    assert agreement(probabilities, truth, Resampling.of(subjects, seed=1)) != first


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
    for figure in figures(sure(model), raters, list(subjects)).values():
        assert all(math.isfinite(number) for number in (figure.value, figure.low, figure.high))


def test_one_subject_alone_does_not_look_like_certainty():
    figure = figures(sure([0, 1, 0, 1, 0, 1]), [0] * 6, ["a"] * 6)["accuracy"]
    assert figure.high - figure.low > 0.3


def test_draws_that_leave_a_figure_undefined_do_not_count():
    draws = np.array([0.5, np.nan, 0.4, 0.6, np.nan])
    assert Figure.where_defined(draws) == Figure(0.5, pytest.approx(0.405), pytest.approx(0.595))
    assert Figure.where_defined(np.array([np.nan, 0.4, 0.6])) is None


def test_a_figure_is_written_as_the_contract_has_it():
    assert json.dumps(Figure(0.8714285714, 0.84, 0.9).to_json()) == '{"value": 0.871429, "ci95": [0.84, 0.9]}'
