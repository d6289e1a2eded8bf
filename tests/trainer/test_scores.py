"""Scores of one patch; how whole tables are read and refused is tested with the data set, in test_dataset.py."""

import pytest

from trainer.scores import ScoredPatch, median


@pytest.mark.parametrize(("scores", "wanted"), [([3], 3), ([0, 4], 0), ([2, 0, 1], 1), ([1, 4, 3, 2], 2)])
def test_the_median_is_the_middle_score_and_the_lower_of_two(scores, wanted):
    assert median(scores) == wanted


def test_a_patch_has_the_median_grade_of_its_raters():
    patch = ScoredPatch("a.png", None, (4, 1, 1), ("anna", "bela", "cleo"), "s1", None, 0.5)
    assert patch.grade == 1
