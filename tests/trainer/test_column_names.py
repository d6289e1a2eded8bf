"""Slips in the names of columns are found, and words of their own left alone."""

import pytest

from trainer.column_names import misspelled, unread

KNOWN = ("path", "score", "subject", "rater", "split", "um_per_px", "x", "y")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Rater", "rater"),
        ("sub ject", "subject"),
        ("SUBJECT", "subject"),
        ("subjects", "subject"),
        ("sbject", "subject"),
        ("spilt", "split"),
        ("raters", "rater"),
        ("scroe", "score"),
        ("Score", "score"),
        ("Um Per Px", "um_per_px"),
        ("um/px", "um_per_px"),
        ("µm/px", "um_per_px"),
        ("um_per_pixel", "um_per_px"),
        ("X", "x"),
    ],
)
def test_a_slip_is_taken_for_what_it_is_meant_for(name, meant):
    assert misspelled([name, "note"], KNOWN) == {name: meant}


@pytest.mark.parametrize(
    "name", ["", "note", "site", "date", "patient", "grade", "rate", "z", "project", "patch", "id"]
)
def test_other_columns_are_fine(name):
    assert misspelled([*KNOWN, name], KNOWN) == {}
    assert misspelled([name], KNOWN) == {}


def test_a_column_like_one_that_is_there_is_another_but_for_case():
    assert misspelled(["rater", "raters"], KNOWN) == {}
    assert misspelled(["rater", "Rater"], KNOWN) == {"Rater": "rater"}


def test_columns_that_begin_with_a_known_name_are_pointed_out():
    assert unread(["score", "score 2", "subject_id", "x2", "path_old", "site"], KNOWN) == {
        "score 2": "score",
        "subject_id": "subject",
    }
