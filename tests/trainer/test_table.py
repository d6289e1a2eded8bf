"""Tables as spreadsheets leave them behind."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.table import Table, read_table


def read(path: Path, content: bytes, *wanted: str) -> Table:
    path.write_bytes(content)
    return read_table(path, wanted)


# blanks at the ends do not count, and bytes that are no UTF-8 come back as surrogates
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9).map(str.strip)


@given(rows=st.lists(st.tuples(words, words, words).filter(any), max_size=5), delimiter=st.sampled_from(",;"))
def test_what_a_spreadsheet_writes_is_read_to_the_letter(tmp_path_factory, rows, delimiter):
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter)
    writer.writerows([("path", "subject", "rater"), *rows])
    path = tmp_path_factory.getbasetemp() / "table.csv"
    found = read(path, written.getvalue().encode("utf-8-sig"), "path")
    assert found.faults == ()
    assert [tuple(cells.values()) for _line, cells in found.rows] == rows


def test_rows_are_numbered_as_an_editor_shows_them_and_blank_ones_do_not_count(tmp_path):
    found = read(tmp_path / "a.csv", b'path,note\r\n\r\na,"two\r\nlines"\r\n , \r\nb,\r\n,,,\r\n')
    assert [(line, cells["path"]) for line, cells in found.rows] == [(4, "a"), (6, "b")]


def test_a_short_row_has_empty_values_and_a_long_one_is_a_fault(tmp_path):
    found = read(tmp_path / "a.csv", b"path,split,x\na\nmy,own.png,test,3\nb,test,3,\n")
    assert [cells for _line, cells in found.rows] == [
        {"path": "a", "split": "", "x": ""},
        {"path": "b", "split": "test", "x": "3"},
    ]
    assert list(map(str, found.faults)) == ["row 3: 4 values, wanted 3, one a column"]


def test_only_numbers_have_decimal_commas_and_only_between_semicolons(tmp_path):
    cells = {"path": "a,b.png", "score": "1.0", "subject": "x,y"}
    assert read(tmp_path / "a.csv", b"path;score;subject\na,b.png;1,0;x,y\n").rows == ((2, cells),)
    [(_line, with_commas)] = read(tmp_path / "a.csv", b'path,score\na.png,"1,0"\n').rows
    assert with_commas["score"] == "1,0"


@pytest.mark.parametrize("rest", [b'"b,1\nc,1\n', b'"b"x,1\n', b'"' + b"x" * 140_000])
def test_a_table_that_is_broken_off_keeps_the_rows_before(tmp_path, rest):
    found = read(tmp_path / "a.csv", b"path,score\na,1\n" + rest, "path")
    assert [cells["path"] for _line, cells in found.rows] == ["a"]
    [fault] = found.faults
    assert "a.csv cannot be read from here on: " in str(fault)


def test_columns_are_told_that_are_missing_or_twice_there(tmp_path):
    found = read(tmp_path / "a.csv", b"path,x,x,,\na,1,2,,\n", "path", "split", "subject")
    assert list(map(str, found.faults)) == [
        "a.csv: no column split, subject, seen 'path', 'x', 'x', '', ''",
        "a.csv: 2 columns are named 'x', wanted one",
    ]


def test_blanks_do_not_count_but_in_a_files_name(tmp_path):
    found = read(tmp_path / "a.csv", b" path , subject\n a.png , s1 \n")
    assert found.rows == ((2, {"path": " a.png ", "subject": "s1"}),)
