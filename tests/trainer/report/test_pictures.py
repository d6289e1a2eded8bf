"""The worst patches: which, in what order, with the pixels as they were scored."""

import base64
import dataclasses

import cv2
import numpy as np
import pytest

from trainer.report.pictures import MOST_PICTURE_PX, worst_patches


def decoded(source):
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"), validate=True)
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)


def test_the_furthest_from_the_raters_comes_first(make_patches, evaluated):
    data = make_patches([(0, 0), (2, 3), (4, 4), (1, 1)], subjects=["a", "b", "b", "c"])
    probabilities = np.zeros((4, 5), np.float32)
    probabilities[[0, 1, 2, 3], [0, 3, 0, 3]] = 1
    worst = worst_patches(evaluated(data, [], probabilities=probabilities))
    assert [patch.path for patch in worst] == ["p0002.png", "p0003.png", "p0001.png"]
    last = worst[-1]
    assert last.scores == (("r0", "2"), ("r1", "3"))
    assert (last.raters_grade, last.said[0], last.expected, last.raters_share) == ("2", ("3", 1.0), 3.0, 0.0)
    assert last.subject == "b"


def test_the_expected_grade_decides_between_equal_mistakes(make_patches, evaluated):
    probabilities = np.array([[0.4, 0.6, 0, 0, 0], [0, 0.5, 0, 0, 0.5]], np.float32)
    worst = worst_patches(evaluated(make_patches([(0,), (0,)]), [], probabilities=probabilities))
    assert [patch.path for patch in worst] == ["p0001.png", "p0000.png"]
    assert [patch.expected for patch in worst] == pytest.approx([2.5, 0.6])


def test_without_an_order_of_grades_the_surest_mistake_comes_first(make_patches, evaluated):
    probabilities = np.array([[0.1, 0.2, 0.7], [0.05, 0.9, 0.05]], np.float32)
    worst = worst_patches(
        evaluated(make_patches([(0,), (0,)], grades=3), [], probabilities=probabilities, ordered=False)
    )
    assert [patch.path for patch in worst] == ["p0001.png", "p0000.png"]
    assert worst[0].expected is None
    assert worst[1].said == (("2", pytest.approx(0.7)), ("1", pytest.approx(0.2)))
    assert worst[1].raters_share == pytest.approx(0.1)


def test_no_more_than_a_dozen_and_none_that_was_right(make_patches, evaluated):
    data = make_patches([(0,)] * 20)
    assert len(worst_patches(evaluated(data, [1] * 20))) == 12
    assert worst_patches(evaluated(data, [0] * 20)) == ()


def test_a_patch_is_shown_pixel_for_pixel(make_patches, evaluated):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 100), np.uint8)
    worst = worst_with(evaluated(make_patches([(0,)]), [1]), pixels)
    np.testing.assert_array_equal(decoded(worst.source), pixels)
    assert (worst.width_px, worst.height_px) == (100, 64)
    assert not worst.pixelated


def test_a_tiny_patch_is_not_smoothed(make_patches, evaluated):
    assert worst_with(evaluated(make_patches([(0,)]), [1]), np.zeros((40, 40), np.uint8)).pixelated


def test_a_photograph_is_reduced(make_patches, evaluated):
    worst = worst_with(evaluated(make_patches([(0,)]), [1]), np.full((2000, 3000), 90, np.uint8))
    picture = decoded(worst.source)
    assert picture.shape == (round(MOST_PICTURE_PX * 2 / 3), MOST_PICTURE_PX)
    assert (picture == 90).all()
    assert (worst.width_px, worst.height_px) == (3000, 2000)


def worst_with(evaluation, pixels):
    """The only mistake, with other pixels."""
    (worst,) = worst_patches(
        dataclasses.replace(evaluation, data=dataclasses.replace(evaluation.data, pixels=(pixels,)))
    )
    return worst


def test_a_crowd_of_raters_is_counted(make_patches, evaluated):
    (worst,) = worst_patches(evaluated(make_patches([(1,) * 9]), [0]))
    assert len(worst.scores) == 6
    assert worst.more_scores == 3


def test_a_patch_that_names_no_subject_has_none(make_patches, evaluated):
    (worst,) = worst_patches(evaluated(make_patches([(0,)]), [1]))
    assert worst.subject is None
