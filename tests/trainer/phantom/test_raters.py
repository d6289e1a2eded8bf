"""The ceiling that three raters' median sets is known exactly."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from trainer.phantom import grade_distribution, oracle_accuracy, oracle_agreement
from trainer.phantom.raters import Rater, draw_scores, draw_severity
from trainer.scores import majority


def severities(n: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    return np.array([draw_severity(rng) for _ in range(n)])


def test_severities_fill_the_scale_and_crowd_around_the_grades():
    drawn = severities(4000)
    assert drawn.min() >= 0.0
    assert drawn.max() <= 4.0
    assert np.ptp(np.bincount(np.rint(drawn).astype(int), minlength=5)) < 200
    assert 0.35 < np.abs(drawn - np.rint(drawn)).max() <= 0.5


def test_the_oracle_leaves_room_above_the_published_accuracy():
    assert 0.90 <= oracle_accuracy(severities(3797)) <= 0.95


def test_probabilities_sum_to_one_in_every_shape():
    severity = np.linspace(0.0, 4.0, 12).reshape(3, 4)
    probabilities = grade_distribution(severity)
    assert probabilities.shape == (3, 4, 5)
    assert probabilities.min() >= 0.0
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, atol=1e-12)


@pytest.mark.parametrize("severity", [0.0, 1.45, 2.5, 3.9])
def test_the_distribution_is_the_one_the_raters_draw_from(severity):
    rng = np.random.default_rng(9)
    medians = [sorted(draw_scores(severity, rng))[1] for _ in range(8000)]
    drawn = np.bincount(medians, minlength=5) / len(medians)
    np.testing.assert_allclose(drawn, grade_distribution(severity), atol=0.02)


@pytest.mark.parametrize("severity", [0.0, 1.45, 2.5, 3.9])
def test_without_an_order_the_distribution_is_that_of_the_raters_majority(severity):
    rng = np.random.default_rng(9)
    grades = [majority(draw_scores(severity, rng)) for _ in range(8000)]
    drawn = np.bincount(grades, minlength=5) / len(grades)
    found = grade_distribution(severity, ordered=False)
    np.testing.assert_allclose(drawn, found, atol=0.02)
    assert found.sum() == pytest.approx(1)


def test_without_an_order_raters_who_all_differ_give_the_grade_of_the_first(monkeypatch):
    raters = tuple(Rater(name, bias, 1e-3) for name, bias in (("a", 0.0), ("b", 1.0), ("c", 2.0)))
    monkeypatch.setattr("trainer.phantom.raters.RATERS", raters)
    np.testing.assert_allclose(grade_distribution(1.0, ordered=False), [0, 1, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(grade_distribution(1.0), [0, 0, 1, 0, 0], atol=1e-9)


def test_what_to_expect_of_the_oracle_is_what_it_comes_to():
    rng = np.random.default_rng(2)
    drawn = severities(12_000)
    raters = np.array([sorted(draw_scores(severity, rng))[1] for severity in drawn])
    said = grade_distribution(drawn).argmax(axis=-1)
    found = oracle_agreement(drawn)
    assert found["accuracy"] == pytest.approx(oracle_accuracy(drawn))
    assert found["accuracy"] == pytest.approx((said == raters).mean(), abs=0.01)
    assert found["mad"] == pytest.approx(np.abs(said - raters).mean(), abs=0.01)
    assert found["mad_normalised"] == pytest.approx(found["mad"] / 4)
    assert found["qwk"] == pytest.approx(cohen_kappa_score(raters, said, weights="quadratic"), abs=0.005)


def test_an_oracle_between_two_grades_is_right_half_the_time():
    found = oracle_agreement(np.array([1.5, 1.5]))
    assert found["accuracy"] == pytest.approx(0.5, abs=0.05)
    assert found["mad"] == pytest.approx(1 - found["accuracy"], abs=0.01)
    assert found["qwk"] == pytest.approx(0.0, abs=1e-12)
