"""Tables of scores: what they may look like, and what is wrong with them, told row by row."""

from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.grade_scale import GradeScale
from trainer.scores import Listing, ScoredPatch, consensus, majority, median, read_scores


@pytest.fixture
def listed(tmp_path: Path, write_csv) -> Callable[..., Listing]:
    """Writes scores.csv beside files a.png, b.png and c/d.png, and reads it; no image is looked at."""

    def write(header: str, *rows: Sequence[object]) -> Listing:
        write_csv(tmp_path / "scores.csv", header, rows)
        (tmp_path / "c").mkdir()
        for name in ("a.png", "b.png", "c/d.png"):
            (tmp_path / name).write_bytes(b"")
        return read_scores(tmp_path)

    return write


@pytest.mark.parametrize(("scores", "wanted"), [([3], 3), ([0, 4], 0), ([2, 0, 1], 1), ([1, 4, 3, 2], 2)])
def test_the_median_is_the_middle_score_and_the_lower_of_two(scores, wanted):
    assert median(scores) == wanted


def test_a_patch_has_the_median_grade_of_its_raters():
    patch = ScoredPatch("a.png", None, (4, 1, 1), ("anna", "bela", "cleo"), "s1", None, 0.5)
    assert patch.grade == 1


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [([3], 3), ([0, 4, 4], 4), ([0, 0, 4], 0), ([0, 2, 4], 0), ([4, 2, 0], 4), ([4, 0], 4), ([1, 4, 0, 0, 4], 4)],
)
def test_the_majority_is_the_class_named_most_often_and_of_several_the_first_named(scores, wanted):
    assert majority(scores) == wanted
    patch = ScoredPatch("a.png", None, tuple(scores), ("",) * len(scores), "s1", None, 0.5, ordered=False)
    assert patch.grade == wanted


CLASSES = st.lists(st.integers(0, 5), min_size=1, max_size=9)


@given(CLASSES)
def test_no_class_is_named_more_often_than_the_majority(scores):
    found = majority(scores)
    assert all(scores.count(found) >= scores.count(other) for other in scores)
    earlier = scores[: scores.index(found)]
    assert all(scores.count(found) > scores.count(other) for other in earlier)


@given(CLASSES, st.permutations(range(6)))
def test_the_numbers_of_classes_have_no_influence_on_the_majority(scores, renumbered):
    assert majority([renumbered[score] for score in scores]) == renumbered[majority(scores)]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_the_order_of_the_raters_decides_only_where_there_is_no_majority(scores):
    patch = ScoredPatch("a.png", None, tuple(scores), ("",) * len(scores), "s1", None, 0.5, ordered=False)
    assert patch.has_majority == (len({majority(order) for order in permutations(scores)}) == 1)


@given(CLASSES)
def test_grades_with_an_order_keep_the_median(scores):
    assert consensus(scores, ordered=True) == median(scores)
    assert ScoredPatch("a.png", None, tuple(scores), ("",) * len(scores), "s1", None, 0.5).grade == median(scores)


def test_blanks_around_names_do_not_make_others_of_them(listed):
    found = listed(
        "path,score ,rater, subject,split",
        ("a.png", 0, " anna", "s1 ", "test "),
        ("a.png", " 1", "bela ", "s1", " test"),
        ("b.png", "1 ", "anna", " s1", "train"),
    )
    assert found.faults == ()
    assert [(patch.raters, patch.subject, patch.split) for patch in found.patches] == [
        (("anna", "bela"), "s1", "test"),
        (("anna",), "s1", "train"),
    ]


def test_one_image_is_one_however_its_path_is_written(listed):
    found = listed("path,score", ("c/d.png", 0), ("./c//d.png", 1), ("a.png", 1))
    assert [(patch.path, patch.scores) for patch in found.patches] == [("c/d.png", (0, 1)), ("a.png", (1,))]
    assert found.rows == (2, 4)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([("a.png", 0, 3, ""), ("a.png", 1, "", "")], "row 2: y '', wanted a whole number from 0"),
        ([("a.png", 0, "", 4), ("a.png", 1, "", "")], "row 2: x '', wanted a whole number from 0"),
        ([("a.png", 0, -3, 4), ("a.png", 1, -3, 4)], "row 2: x '-3', wanted a whole number from 0"),
        ([("a.png", 0, "", ""), ("b.png", 5, "", "")], "row 3: score 5, wanted 0 to 4 (or 5 scores of every grade"),
        ([("a.png", 0, "1e308", 4), ("b.png", 1, "", "")], "row 2: x '1e308', wanted at most 2147483647"),
        ([("a.png", 0, 4, 2**31), ("b.png", 1, "", "")], "row 2: y '2147483648', wanted at most 2147483647"),
        ([("a.png", "nan", "", ""), ("b.png", 1, "", "")], "row 2: score 'nan', wanted a whole number from 0"),
        ([("a.png", "inf", "", ""), ("b.png", 1, "", "")], "row 2: score 'inf', wanted a whole number from 0"),
        ([("a.png", 2.5, "", ""), ("b.png", 1, "", "")], "row 2: score '2.5', wanted a whole number from 0"),
        ([("a.png", "1e15", "", ""), ("b.png", 1, "", "")], "row 2: score 1000000000000000, wanted 0 to 4"),
        ([("a.png", "", "", ""), ("b.png", 1, "", "")], "row 2: score '', wanted a whole number"),
        ([("a.png", 0, "", "")], "only 1 grade, wanted at least 2"),
        ([("x" * 300, 0, "", ""), ("b.png", 1, "", "")], "row 2: no file xxx"),
        ([("/a.png", 0, "", ""), ("b.png", 1, "", "")], "row 2: path '/a.png', wanted a path below the data folder"),
        ([("c/../a.png", 0, "", ""), ("b.png", 1, "", "")], "row 2: path 'c/../a.png', wanted a path below"),
    ],
)
def test_rows_that_cannot_be_meant_are_faults(listed, rows, fault):
    said = [str(found) for found in listed("path,score,x,y", *rows).faults]
    assert said[0].startswith(fault)
    # and nothing is concluded from them that is not so
    assert all("scored twice" not in more and "only 1 grade" not in more for more in said[1:])


def test_patches_whose_place_is_at_fault_are_not_taken_for_one(listed):
    found = listed("path,score,rater,x,y", ("a.png", 0, "anna", 1, ""), ("a.png", 1, "anna", "", 2))
    assert list(map(str, found.faults)) == [
        "row 2: y '', wanted a whole number from 0",
        "row 3: x '', wanted a whole number from 0",
    ]


@pytest.mark.parametrize("um_per_px", ["nan", "inf", "0", "-0.5", "half"])
def test_a_scale_is_a_positive_number(listed, um_per_px):
    found = listed("path,score,um_per_px", ("a.png", 0, um_per_px), ("b.png", 1, ""))
    assert list(map(str, found.faults)) == [f"row 2: um_per_px '{um_per_px}', wanted a positive number"]


@pytest.mark.parametrize("column", ["subject", "split", "um_per_px"])
def test_raters_who_contradict_each_other_on_more_than_the_score(listed, column):
    one, other = {"subject": ("s1", "s2"), "split": ("test", "train"), "um_per_px": ("0.5", "0.7")}[column]
    found = listed(
        f"path,score,rater,{column}", ("a.png", 0, "anna", one), ("a.png", 1, "bela", other), ("b.png", 1, "anna", one)
    )
    assert list(map(str, found.faults)) == [f"row 3: a.png has {column} '{one}' and '{other}', wanted one"]


def test_a_frame_is_of_one_subject_and_one_scale_and_its_patches_may_stand_in_several_parts(listed):
    header = "path,score,x,y,subject,um_per_px,split"
    found = listed(header, ("a.png", 0, 0, 0, "s1", 0.5, "train"), ("a.png", 1, 9, 0, "s2", 0.7, "test"))
    assert list(map(str, found.faults)) == [
        "row 3: a.png has subject 's1' and 's2', wanted one",
        "row 3: a.png has um_per_px '0.5' and '0.7', wanted one",
    ]


def test_a_table_from_europe_has_semicolons_and_decimal_commas(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    table = "path;score;um_per_px;x;y;subject\na.png;0;0,25;17,0;4;Müller, A.\na.png;1;0,25;3;4;Müller, A.\n"
    (tmp_path / "scores.csv").write_text(table, encoding="utf-8-sig")
    found = read_scores(tmp_path)
    assert found.faults == ()
    assert [(patch.corner, patch.um_per_px, patch.subject) for patch in found.patches] == [
        ((17, 4), 0.25, "Müller, A."),
        ((3, 4), 0.25, "Müller, A."),
    ]


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (b"", ["scores.csv: no column path, score, seen "]),
        (b"path,score\n", ["scores.csv: no rows"]),
        (b"path\tscore\na.png\t1\n", ["scores.csv: no column path, score, seen 'path\\tscore'"]),
        (b"path,rater\na.png,anna\n", ["scores.csv: no column score, seen 'path', 'rater'"]),
        (
            b"path,score,rater\nM\xfcller.png,0,anna\na.png,1,L\xe9a\n",
            [
                "row 2: path 'M\\udcfcller.png', wanted UTF-8 (in a spreadsheet: save as CSV UTF-8)",
                "row 3: rater 'L\\udce9a', wanted UTF-8 (in a spreadsheet: save as CSV UTF-8)",
            ],
        ),
        (b"path,score\na.png\nb.png,1\n", ["row 2: score '', wanted a whole number from 0"]),
        (
            b"path,score,score\na.png,0,x\nb.png,1,1\n",
            ["scores.csv: 2 columns are named 'score', wanted one", "row 2: score 'x', wanted a whole number from 0"],
        ),
    ],
)
def test_a_file_that_is_no_table_of_scores(tmp_path, content, faults):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "scores.csv").write_bytes(content)
    assert list(map(str, read_scores(tmp_path).faults)) == faults


def test_scores_that_cannot_be_opened_are_a_fault(tmp_path):
    (tmp_path / "scores.csv").mkdir()
    [fault] = read_scores(tmp_path).faults
    assert str(fault).startswith("scores.csv: cannot be read: ")


def notes_of(found: Listing) -> tuple[str, ...]:
    assert found.faults == ()
    return found.notes


@pytest.mark.parametrize(("name", "meant"), [("Rater", "rater"), ("sub ject", "subject"), ("Score", "score")])
def test_a_misspelled_column_is_a_fault_with_the_name_that_is_meant(listed, name, meant):
    if meant == "score":
        found = listed(f"path,{name}", ("a.png", 0), ("b.png", 1))
    else:
        found = listed(f"path,score,{name}", ("a.png", 0, "x"), ("b.png", 1, "y"))
    assert str(found.faults[0]) == f"scores.csv: column {name!r}, wanted {meant!r}"
    assert "no column score" not in " ".join(map(str, found.faults))


def test_columns_with_other_names_are_fine_and_those_like_known_ones_pointed_out(listed):
    found = listed("path,score,site,date,score2", ("a.png", 0, "arm", "may", 3), ("b.png", 1, "arm", "may", 3))
    assert notes_of(found) == ("scores.csv: column 'score2' is not read (is it 'score'?)",)


def test_a_patch_twice_without_a_raters_name_is_warned_of_where_others_stand_once(listed):
    found = listed("path,score", ("a.png", 0), ("b.png", 1), ("a.png", 2), ("c/d.png", 1))
    assert notes_of(found) == (
        "1 of 3 patches stand in several rows without a rater's name, 1 of them with different scores: taken for "
        "several raters (first: a.png, rows 2 and 4)",
    )


def test_as_many_rows_for_each_patch_are_as_many_raters(listed):
    assert notes_of(listed("path,score", *((path, score) for path in ("a.png", "b.png") for score in (0, 1, 2)))) == ()


def test_names_that_differ_in_case_alone_are_pointed_out(listed):
    header = "path,score,rater,subject"
    found = listed(header, ("a.png", 0, "Anna", "s 1"), ("b.png", 1, "anna", "S1"), ("c/d.png", 1, "bela", "s2"))
    assert notes_of(found) == (
        "1 rater(s) are spelled in several ways, and taken for different ones: 'Anna' and 'anna'",
        "1 subject(s) are spelled in several ways, and taken for different ones: 'S1' and 's 1'",
    )


def test_a_scale_that_begins_at_one_gets_the_hint(listed):
    found = listed("path,score,x,y", *(("a.png", score, score, at) for score in (1, 2, 3, 4, 5) for at in range(9)))
    [first, *_others] = map(str, found.faults)
    assert first == (
        "row 38: score 5, wanted 0 to 4 (or 5 scores of every grade up to it; for a scale that begins at 1: "
        "--grades 1-5)"
    )


def test_a_scale_from_one_to_four_is_taken_with_the_hint(listed):
    found = listed("path,score,x,y", *(("a.png", score, score, 0) for score in (1, 2, 3, 4)))
    assert notes_of(found) == ("no score is 0: a grade without patches (for a scale that begins at 1: --grades 1-4)",)


def test_half_grades_get_the_hint(listed):
    [fault] = map(str, listed("path,score", ("a.png", 2.5), ("b.png", 1)).faults)
    assert fault == (
        "row 2: score '2.5', wanted a whole number from 0 (half grades: double every score, and give --grades 0-8)"
    )


def test_a_given_scale_names_the_grades(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "scores.csv").write_text("path,score\na.png,1\nb.png,5.0\nc.png,3\n")
    found = read_scores(tmp_path, GradeScale.parse("1-5"))
    assert found.faults == ()
    assert found.grades == ("1", "2", "3", "4", "5")
    assert [patch.grade for patch in found.patches] == [0, 4, 2]
    assert found.notes == ("no score is 2: a grade without patches", "no score is 4: a grade without patches")
    [fault] = read_scores(tmp_path, GradeScale.parse("1-4")).faults
    assert str(fault) == "row 3: score '5.0', wanted a grade of 1-4"
