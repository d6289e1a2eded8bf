"""The jackknife's intervals: what they hold, and what they do with little data."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.student_t import student_t95
from trainer.intervals import (
    Figure,
    Jackknife,
    calibration_scale,
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


SCALES = {
    "share": share_scale(),
    "positive": positive_scale(4),
    "correlation": correlation_scale(),
    "difference": difference_scale(),
    "calibration": calibration_scale(),
}


@pytest.mark.parametrize("name", SCALES)
@given(place=st.floats(0.001, 0.999))
def test_a_scale_leads_back_and_knows_its_slope(name: str, place: float) -> None:
    scale = SCALES[name]
    value, step = scale.low + place * (scale.high - scale.low), 1e-6
    assert scale.holds(value)
    assert scale.back(scale.forward(value)) == pytest.approx(value, abs=1e-9)
    slope = (scale.forward(value + step) - scale.forward(value - step)) / (2 * step)
    assert scale.slope(value) == pytest.approx(slope, rel=1e-3)


def test_scales_hold_the_range_of_their_figure():
    ranges = {name: (scale.low, scale.high) for name, scale in SCALES.items()}
    zero_to_one = (0.0, 1.0)
    assert ranges["share"] == ranges["calibration"] == zero_to_one
    assert (ranges["positive"], ranges["correlation"], ranges["difference"]) == ((0.0, 4), (-1.0, 1.0), (-2.0, 2.0))
    assert [name for name, scale in SCALES.items() if scale.of_spreads] == ["correlation"]
    assert [name for name, scale in SCALES.items() if scale.of_distances] == ["calibration"]


@pytest.mark.parametrize(("name", "ends"), [("share", (0, 1)), ("positive", (0,)), ("correlation", (-1, 1))])
def test_a_scale_that_is_infinite_at_an_end_does_not_hold_it(name: str, ends: tuple[float, ...]) -> None:
    assert not any(SCALES[name].holds(end) for end in ends)
    # the interval is then plain, and stays on the scale
    (value, *_others) = ends
    found = jackknife_figure(np.full(6, float(value)), np.full(5, 9.0), SCALES[name], least=0.01)
    assert found is not None
    half = 0.01 * {"correlation": 3.182}.get(name, 2.776)
    assert max(found.high - value, value - found.low) == pytest.approx(half, rel=1e-3)


def test_a_positive_figure_of_no_measure_has_a_finite_interval():
    found = jackknife_figure(np.array([1e-300, 1e-300, 1e-300]), np.full(2, 9.0), positive_scale(4), least=1.0)
    assert found is not None
    assert (found.low, found.high) == (0.0, 4.0)


def test_the_least_error_of_some_wrong_patches_is_half_that_of_independent_ones():
    assert least_error(0.2, np.array([30.0, 10.0])) == pytest.approx(math.sqrt(0.2 * 0.8 / 40) / 2)


@pytest.mark.parametrize("wrong", [0.0, 1.0])
def test_the_least_error_without_an_error_is_wilsons_at_the_assumed_design_effect(wrong: float) -> None:
    # six subjects of ten patches: a design effect of 1 + 0.1 * 9, and five degrees of freedom
    t = 2.5706
    assert least_error(wrong, np.full(6, 10.0)) == pytest.approx(t / (60 / 1.9 + t * t), rel=1e-3)
    # worth (40 + 10 + 10)^2 / (1600 + 100 + 100) = 2 subjects: (3 + 4) / 3 - 1 = 4/3 degrees of freedom
    t = student_t95(4 / 3)
    assert least_error(wrong, np.array([40.0, 10, 10])) == pytest.approx(t / (60 / (1 + 0.1 * 29) + t * t))


def test_the_interval_of_a_share_is_students_on_the_logit():
    values = np.array([0.8, 0.78, 0.81, 0.83, 0.79, 0.8])
    found = jackknife_figure(values, np.full(5, 20.0), share_scale())
    without = values[1:]
    error = math.sqrt(4 / 5 * ((without - without.mean()) ** 2).sum())
    half, middle = 2.7764 * error / (0.8 * 0.2), math.log(4)
    assert found is not None
    assert (found.low, found.high) == (
        pytest.approx(1 / (1 + math.exp(half - middle)), rel=1e-3),
        pytest.approx(1 / (1 + math.exp(-half - middle)), rel=1e-3),
    )


def test_the_interval_of_a_kappa_loses_a_degree_of_freedom_and_its_bias():
    values = np.array([0.6, 0.5, 0.62, 0.58, 0.66, 0.6])
    found = jackknife_figure(values, np.full(5, 20.0), correlation_scale())
    without = values[1:]
    error = math.sqrt(4 / 5 * ((without - without.mean()) ** 2).sum())
    slope = 1 / (1 - 0.36)
    middle, half = math.atanh(0.6) - 4 * (without.mean() - 0.6) * slope, 3.1824 * error * slope
    assert found is not None
    assert (found.low, found.high) == (
        pytest.approx(math.tanh(middle - half), rel=1e-3),
        pytest.approx(math.tanh(middle + half), rel=1e-3),
    )


@pytest.mark.parametrize(("shift", "corrected"), [(0.01, 0.04), (-0.01, 0.0)])
def test_the_lower_end_of_a_calibration_error_gives_twice_the_bias_that_noise_adds(
    shift: float, corrected: float
) -> None:
    values = np.array([0.3, *(0.3 + shift + np.array([-0.01, 0.0, 0.0, 0.0, 0.01]))])
    found = jackknife_figure(values, np.full(5, 20.0), calibration_scale())
    half = 2.7764 * math.sqrt(4 / 5 * 0.0002)
    assert found is not None
    assert found.high == pytest.approx(0.3 + half, rel=1e-3)
    assert found.low == pytest.approx(max(0.0, 0.3 - half - 2 * corrected), rel=1e-3)


def test_units_without_patches_of_the_figure_do_not_count():
    sizes = np.array([20.0, 20, 0, 20])
    values = np.array([0.8, 0.78, 0.81, np.nan, 0.83])
    found, alone = (
        jackknife_figure(values, sizes, share_scale()),
        jackknife_figure(values[[0, 1, 2, 4]], sizes[[0, 1, 3]], share_scale()),
    )
    assert found == alone


def test_two_units_are_enough_for_an_interval_and_one_is_not():
    two = jackknife_figure(np.array([0.5, 0.45, 0.55]), np.full(2, 200.0), share_scale())
    assert two is not None
    assert 0.0 < two.low < 0.5 < two.high < 1.0
    # one degree of freedom at least: t is 12.71
    error = math.sqrt(1 / 2 * 0.005)
    assert two.high == pytest.approx(1 / (1 + math.exp(-12.706 * error / 0.25)), rel=1e-3)


def test_a_figure_in_other_units_is_scaled_whole():
    assert Figure(0.5, 0.25, 1.0).scaled(4) == Figure(2.0, 1.0, 4.0)


def test_a_figure_is_written_as_the_contract_has_it():
    document = Figure(0.8714285714, 0.8412345678, 0.9123456789).to_json()
    assert json.dumps(document) == '{"value": 0.871429, "ci95": [0.841235, 0.912346]}'
    assert json.dumps(figure_document(None)) == '{"value": null, "ci95": null}'
