"""Scales of grades: ranges, names in their order, and names whose order nobody knows."""

import pytest

from trainer.grade_scale import GradeScale, in_natural_order, order_warning


@pytest.mark.parametrize(
    ("text", "names", "shown"),
    [
        ("1-5", ("1", "2", "3", "4", "5"), "1-5"),
        (" 0-1 ", ("0", "1"), "0-1"),
        ("none, mild,severe", ("none", "mild", "severe"), "none,mild,severe"),
        ("0,2,4", ("0", "2", "4"), "0,2,4"),
        ("3-3", None, None),
        ("5-1", None, None),
        ("0-100000000", None, None),
        ("mild", None, None),
        ("mild,,severe", None, None),
        ("mild,mild", None, None),
    ],
)
def test_a_scale_is_a_range_or_names(text, names, shown):
    if names is None:
        with pytest.raises(ValueError, match="a range as 1-5, or 2 to 100 different names"):
            GradeScale.parse(text)
        return
    scale = GradeScale.parse(text)
    assert scale.names == names
    assert str(scale) == shown
    assert GradeScale.parse(str(scale)) == scale


def test_a_score_is_found_as_it_is_written():
    scale = GradeScale.parse("1-5")
    assert [scale.index(text) for text in ("1", "5", "3.0")] == [0, 4, 2]
    for text in ("0", "6", "2.5", "", "nan", "mild"):
        with pytest.raises(ValueError, match="a grade of 1-5"):
            scale.index(text)
    assert GradeScale.parse("none,mild").index("mild") == 1


def test_numbers_in_names_are_ordered_by_value():
    assert in_natural_order(["10", "2", "grade 10", "grade 9", "1", "Bark", "woven"]) == [
        "1",
        "2",
        "10",
        "Bark",
        "grade 9",
        "grade 10",
        "woven",
    ]


@pytest.mark.parametrize(
    "names", [["0", "1", "2"], ["0 none", "1 mild", "2 severe"], ["grade 9", "grade 10"], ["1", "5"]]
)
def test_numbered_grades_have_an_order(names):
    assert order_warning(names) is None


@pytest.mark.parametrize("names", [["mild", "none", "severe"], ["1 mild", "severe"], ["1 mild", "1 severe"]])
def test_the_alphabets_order_is_warned_of_with_every_way_out(names):
    warning = order_warning(names)
    assert warning is not None
    assert warning.startswith(f"the grades {', '.join(names)} are taken in the order of the alphabet, lowest first")
    for way_out in (f"--grades {','.join(names)}", "--loss cross-entropy"):
        assert way_out in warning
