"""The contract's figures, against values worked out by hand and against scikit-learn."""

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
    AgreementFigures,
    GradeAgreement,
    agreement,
    confusion,
    least_kappa_error,
    pair_terms,
    recall,
    reliability,
)
from trainer.intervals import Figure, Jackknife, share_scale


def sure(grades: Sequence[int], count: int = 5, confidence: float = 0.9) -> npt.NDArray[np.float64]:
    """Probabilities with the given grades the most probable."""
    others = (1 - confidence) / (count - 1)
    return np.where(np.arange(count) == np.asarray(grades)[:, None], confidence, others)


def figures(
    probabilities: npt.NDArray[np.float64], raters: Sequence[int], subjects: Sequence[str] | None = None
) -> dict[str, Figure]:
    """Return the defined figures of patches that are each a subject unless `subjects` says otherwise."""
    each = [str(number) for number in range(len(raters))]
    found = agreement(probabilities, np.array(raters), Jackknife.of(subjects or each))
    return {name: figure for name, figure in found.items() if figure is not None}


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


def test_kappa_is_undefined_where_both_use_one_grade_and_zero_where_one_side_does():
    assert "qwk" not in figures(sure([3, 3]), [3, 3])
    assert agreement(sure([3, 3]), np.array([3, 3]), Jackknife.of("ab"))["qwk"] is None
    assert value("qwk", sure([3, 3, 3, 3]), [0, 1, 2, 3]) == 0
    assert value("qwk", sure([0, 4]), [4, 0]) == -1


def test_two_graders_who_say_but_one_thing_have_no_kappa():
    same = GradeAgreement.of(pair_terms(np.array([3, 3]), np.array([3, 3])).sum(0))
    assert (same.accuracy, same.mad) == (1, 0)
    assert math.isnan(same.qwk)
    assert math.isnan(GradeAgreement.of(np.zeros(7)).accuracy)


def test_the_confusion_matrix_has_the_raters_in_its_rows():
    assert confusion(sure([1, 1, 2], 3), np.array([0, 0, 2])).tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_recall_is_of_every_grade_that_has_patches():
    raters, subjects = np.array([0, 0, 0, 2, 2]), ["a", "a", "b", "b", "c"]
    last, none, first = recall(sure([0, 1, 0, 2, 2], 3), raters, Jackknife.of(subjects))[::-1]
    assert none is None
    assert first is not None
    assert last is not None
    assert first.value == pytest.approx(2 / 3)
    assert (last.value, last.high) == (1, 1)
    # two patches of two subjects say next to nothing
    assert last.low < 0.1


def test_recall_without_a_miss_is_no_certainty():
    truth = np.repeat([0, 1], [67, 60])
    probabilities = sure(np.where(np.arange(127) % 13 == 70, 1 - truth, truth).tolist(), 2)
    for subjects, low in (([f"s{number % 8}" for number in range(127)], 0.9), (["one"] * 127, 0.95)):
        found = recall(probabilities, truth, Jackknife.of(subjects))[0]
        assert found is not None
        assert (found.value, found.high) == (1, 1)
        assert low - 0.1 < found.low < low


def test_recall_of_a_grade_that_one_subject_alone_has_is_known_of_no_other():
    raters = np.array([0, 0, 0, 1, 1, 1])
    found = recall(sure([0, 1, 0, 1, 1, 1], 2), raters, Jackknife.of(["a", "b", "c", "d", "d", "d"]))[1]
    assert found == Figure(1, 0, 1)


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


def test_the_calibration_error_lies_in_its_interval_where_resampling_only_adds_to_it():
    # few patches, calibrated: every resampling is worse calibrated than the data, and the data than the population
    rng = np.random.default_rng(4)
    lowest = []
    for _ in range(40):
        probabilities = rng.dirichlet(np.ones(5) * 0.4, 60)
        truth = (probabilities.cumsum(1) < rng.random((60, 1))).sum(1).clip(max=4)
        found = figures(probabilities, truth, [f"s{number % 6}" for number in range(60)])["ece"]
        assert found.low <= found.value <= found.high
        lowest.append(found.low)
    # the population's error is 0
    assert np.mean(np.array(lowest) == 0) > 0.85


@given(seed=st.integers(0, 10_000), patches=st.integers(1, 60), subjects=st.integers(1, 8), right=st.floats(0, 1))
@settings(max_examples=150)
def test_every_interval_holds_its_value_and_stays_on_the_scale(seed, patches, subjects, right):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, patches)
    said = np.where(rng.random(patches) < right, truth, rng.integers(0, 5, patches))
    probabilities = sure(said.tolist(), confidence=0.3 + 0.69 * rng.random())
    whose = [f"s{number}" for number in rng.integers(0, subjects, patches)]
    jackknife = Jackknife.of(whose)
    found = agreement(probabilities, truth, jackknife)
    ranges = {"accuracy": (0, 1), "mad": (0, 4), "mad_normalised": (0, 1), "qwk": (-1, 1), "ece": (0, 1)}
    for name, (lowest, highest) in ranges.items():
        figure = found[name]
        if figure is not None:
            assert lowest <= figure.low <= figure.value <= figure.high <= highest
            assert figure.low < figure.high
    for figure in recall(probabilities, truth, jackknife):
        if figure is not None:
            assert 0 <= figure.low <= figure.value <= figure.high <= 1
            assert figure.low < figure.high


def test_intervals_are_by_subject_for_patches_of_one_resemble_each_other():
    subjects = [f"s{number // 40}" for number in range(400)]
    grades = [1 if number // 40 < 5 else 0 for number in range(400)]
    by_subject = figures(sure(grades), [0] * 400, subjects)["accuracy"]
    by_patch = figures(sure(grades), [0] * 400)["accuracy"]
    assert by_subject.value == by_patch.value == 0.5
    assert by_subject.high - by_subject.low > 0.5
    assert 0.08 < by_patch.high - by_patch.low < 0.12


@pytest.mark.parametrize(
    ("model", "raters"),
    [([0, 0, 1, 2, 4], [0, 1, 1, 4, 4]), ([0, 0, 0, 1], [0, 0, 0, 0])],
    ids=["farther than a grade", "nearer than a grade"],
)
def test_the_least_error_of_a_kappa_is_that_of_the_accuracy_by_the_distance_expected_by_chance(
    model: list[int], raters: list[int]
):
    found = GradeAgreement.of(pair_terms(np.array(model), np.array(raters)).sum(0)[None])
    expected = np.mean([(first - second) ** 2 for first in model for second in raters])
    assert found.by_chance[0] == pytest.approx(expected)
    assert least_kappa_error(found, 0.1) == pytest.approx(0.1 / expected)


def test_graders_of_one_grade_have_no_least_error_of_a_kappa():
    same = GradeAgreement.of(pair_terms(np.array([3, 3]), np.array([3, 3])).sum(0)[None])
    assert least_kappa_error(same, 0.1) == 0.0


def test_graders_of_no_patch_have_no_figures():
    found = GradeAgreement.of(np.zeros((3, 7)))
    assert AgreementFigures.of(found, np.zeros(2), 5) == AgreementFigures(None, None, None)


def test_no_error_among_equal_subjects_gives_each_figure_its_least_interval():
    # six subjects of ten patches, each with one grade too high: nothing but the least errors says anything
    truth = np.tile([0, 1, 2, 3, 3, 2, 1, 0, 1, 2], 6)
    said = truth.copy()
    said[::10] += 1
    found = figures(sure(said.tolist()), truth.tolist(), [f"s{number // 10}" for number in range(60)])
    least = math.sqrt(0.1 * 0.9 / 60) / 2
    logit = 2.5706 * least / 0.09
    assert found["accuracy"].low == pytest.approx(1 / (1 + math.exp(logit - math.log(9))), rel=1e-3)
    assert found["mad"].high == pytest.approx(0.1 * math.exp(2.5706 * least / 0.1), rel=1e-3)
    # the boast is the same everywhere: 0.9 sure, 0.9 right
    assert found["ece"].high == pytest.approx(2.5706 * least, rel=1e-2)
    by_chance = np.mean((said[:, None] - truth[None]) ** 2)
    kappa = 1 - 0.1 / by_chance
    half = 2.7764 * least / by_chance / (1 - kappa**2)
    assert found["qwk"].low == pytest.approx(math.tanh(math.atanh(kappa) - half), rel=1e-3)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (GradeAgreement.of(np.ones(7)), "mad"),
        (AgreementFigures(None, None, None), "qwk"),
        (reliability(sure([0]), np.array([0]))[0], "patches"),
        (Figure(0.5, 0.4, 0.6), "value"),
        (Jackknife.of(["a", "b"]), "units"),
        (share_scale(), "low"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_was_found_cannot_be_changed(found: object, name: str):
    with pytest.raises(AttributeError):
        setattr(found, name, 0)


def test_a_perfect_grader_is_not_perfect_for_certain():
    truth = np.arange(60) % 5
    found = figures(sure(truth), truth, [f"s{number % 6}" for number in range(60)])
    assert (found["accuracy"].value, found["mad"].value, found["qwk"].value) == (1, 0, 1)
    assert 0.7 < found["accuracy"].low < 0.95
    assert found["mad"].high == pytest.approx(1 - found["accuracy"].low)
    assert 0.8 < found["qwk"].low < 1


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
