"""The confusion matrix: counts and shares in their places, readable on every colour and with any number of grades."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.report.confusion import _cell, confusion_table


def luminance(colour: str) -> float:
    """Relative luminance of a CSS colour (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_letters_stand_out_from_every_colour(patches, share):
    cell = _cell("1", patches, share, agreed=False)
    light, dark = (1.0, luminance(cell.colour)) if cell.dark else (luminance(cell.colour), 0.0)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_rows_are_the_raters_and_shares_are_of_their_row(make_patches, evaluated):
    table = confusion_table(evaluated(make_patches([(0,), (0,), (0,), (0,), (2,)], grades=3), [0, 0, 0, 1, 0]))
    assert [grade for grade, _cells in table.rows] == ["0", "1", "2"]
    first, second, third = (cells for _grade, cells in table.rows)
    assert [(cell.grade, cell.patches, cell.share) for cell in first] == [("0", 3, 0.75), ("1", 1, 0.25), ("2", 0, 0)]
    assert [cell.patches for cell in second] == [0, 0, 0]
    assert [cell.share for cell in third] == [1, 0, 0]
    assert [cell.agreed for cell in second] == [False, True, False]
    assert {cell.colour for cell in second} == {"#ffffff"}
    assert luminance(first[0].colour) < luminance(first[1].colour) < 1


def test_one_patch_of_thousands_is_still_seen():
    assert _cell("1", 1, 1e-5, agreed=False).colour != "#ffffff"


@pytest.mark.parametrize(("grades", "many", "upright"), [(5, False, False), (15, False, False), (16, True, True)])
def test_numbers_give_way_to_many_grades(make_patches, evaluated, grades, many, upright):
    table = confusion_table(evaluated(make_patches([(0,), (1,)], grades=grades), [0, 1]))
    assert (table.many, table.upright) == (many, upright)


def test_long_names_of_grades_are_turned(make_patches, evaluated):
    found = evaluated(make_patches([(0,), (1,)], grades=2), [0, 1])
    assert confusion_table(dataclasses.replace(found, grades=("grass", "interlaced"))).upright
