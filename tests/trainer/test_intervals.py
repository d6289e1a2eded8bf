"""The jackknife's intervals: what they hold, and what they do with little data."""

import json
import math

import numpy as np
import pytest

from trainer.intervals import (
    Figure,
    Jackknife,
    correlation_scale,
    difference_scale,
    figure_document,
    jackknife_figure,
    least_error,
    positive_scale,
    share_scale,
)


def test_totals_leave_out_each_subject_in_turn():
    jackknife = Jackknife.of(["a", "b", "c", "b"])
    values = np.array([[1.0, 1.0], [10.0, 1.0], [100.0, 1.0], [1000.0, 1.0]])
    assert jackknife.totals(values).tolist() == [[1111, 4], [1110, 3], [101, 2], [1011, 3]]
    assert jackknife.sizes().tolist() == [1, 2, 1]


def test_totals_over_some_patches_count_those_alone():
    jackknife, rows = Jackknife.of(["a", "b", "c", "b"]), np.array([3, 2])
    assert jackknife.totals(np.array([[1.0], [10.0]]), rows)[:, 0].tolist() == [11, 11, 10, 1]
    assert jackknife.sizes(rows).tolist() == [0, 1, 1]


def test_a_single_subjects_patches_are_the_units():
    assert Jackknife.of(["a"] * 5).units == 5
    assert Jackknife.of(["a"] * 4 + ["b"]).units == 2


def test_the_interval_of_a_mean_of_equal_subjects_is_students():
    # of five subjects of 10 patches each; on the plain scale the jackknife is the t interval of the subjects' means
    means = np.array([0.1, 0.2, 0.15, 0.3, 0.25])
    values = np.concatenate([[means.mean()], (means.sum() - means) / 4])
    found = jackknife_figure(values, np.full(5, 10.0), difference_scale())
    assert found is not None
    half = 2.776 * means.std(ddof=1) / math.sqrt(5)
    assert (found.low, found.high) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))


@pytest.mark.parametrize("scale", [share_scale(), positive_scale(4), correlation_scale()])
def test_the_scale_keeps_wide_intervals_within_the_range(scale):
    found = jackknife_figure(np.array([0.5, 0.1, 0.9]), np.array([5.0, 5.0]), scale)
    assert found is not None
    assert scale.low <= found.low < 0.01 or scale.low == -1
    assert 0.99 < found.high <= scale.high


def test_one_unit_alone_leaves_the_whole_range():
    assert jackknife_figure(np.array([0.7, np.nan]), np.array([9.0]), share_scale()) == Figure(0.7, 0, 1)
    # kappa that hangs on one of three subjects
    values = np.array([0.7, 0.6, np.nan, 0.6])
    assert jackknife_figure(values, np.full(3, 9.0), correlation_scale()) == Figure(0.7, -1, 1)


def test_what_is_undefined_has_no_figure():
    assert jackknife_figure(np.array([np.nan, 0.4, 0.6]), np.full(2, 9.0), share_scale()) is None


def test_subjects_that_agree_by_chance_are_no_certainty():
    same = np.full(9, 0.9)
    sizes = np.full(8, 10.0)
    found = jackknife_figure(same, sizes, share_scale(), least=least_error(0.1, sizes))
    assert found is not None
    assert found.low < 0.87
    assert found.high > 0.92


def test_unequal_subjects_are_worth_fewer():
    values = np.array([0.8, 0.78, 0.81, 0.83, 0.79, 0.8])
    equal = jackknife_figure(values, np.full(5, 20.0), share_scale())
    unequal = jackknife_figure(values, np.array([80.0, 5, 5, 5, 5]), share_scale())
    assert equal is not None
    assert unequal is not None
    assert unequal.high - unequal.low > 1.3 * (equal.high - equal.low)


def test_patches_of_one_subject_without_an_error_say_less_than_as_many_of_many():
    one_in_all = np.ones(60)
    of_six = np.full(6, 10.0)
    assert least_error(0, of_six) > 1.5 * least_error(0, one_in_all)
    # 3 / n, as the rule of three has it, and a little more
    assert 3 / 60 < 2 * least_error(0, one_in_all) < 4.5 / 60


def test_a_figure_is_written_as_the_contract_has_it():
    assert json.dumps(Figure(0.8714285714, 0.84, 0.9).to_json()) == '{"value": 0.871429, "ci95": [0.84, 0.9]}'
    assert json.dumps(figure_document(None)) == '{"value": null, "ci95": null}'
