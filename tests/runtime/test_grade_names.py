"""Grades named by whole numbers give the scale; other names do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.grade_names import lowest_grade, whole_numbers


@given(st.integers(0, 9999), st.integers(1, 100))
def test_consecutive_whole_numbers_are_the_scale(lowest: int, grades: int) -> None:
    names = [str(grade) for grade in range(lowest, lowest + grades)]
    assert whole_numbers(names) == range(lowest, lowest + grades)
    assert lowest_grade(names) == lowest
    # keys of a record
    assert lowest_grade(dict.fromkeys(names, 0.5)) == lowest


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("none", "mild"),
        ("1 none", "2 mild"),
        ("1", "3", "5"),
        ("2", "1"),
        ("1", "1"),
        ("1", "2", "many"),
        ("01", "02"),
        ("+1", "+2"),
        ("1.0", "2.0"),
        ("-1", "0"),
        ("", "1"),
        ("²", "³"),
        ("١", "٢"),
        # a float32 holds these no more to a hundredth
        ("16777216", "16777217"),
        ("1" * 5000, "1" * 4999 + "2"),
    ],
)
def test_other_names_are_counted_from_0(names: tuple[str, ...]) -> None:
    assert whole_numbers(names) is None
    assert lowest_grade(names) == 0
