"""Tables as spreadsheets open them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.csv_text import as_cell, csv_of

FORMULAS = "=+-@＝＋－＠﹢﹣\u2212\t\r\n"
LEADS = ["", " ", "  ", '"', "'", "\u00a0", "\u200b", "\ufeff", "\u3000", "“", " '\" "]


def cells_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))


def test_any_value_comes_back() -> None:
    line = {"a": 'quote " and, comma\nand a line', "b": None, "c": 0.5}
    data = csv_of(["a", "b", "c"], [line, {"a": "\udcff", "b": True, "c": 0}])
    assert data.startswith(b"a,b,c\r\n")
    one, other = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    assert one == {"a": line["a"], "b": "", "c": "0.5"}
    assert other == {"a": "\\udcff", "b": "True", "c": "0"}


def test_no_lines_are_a_header() -> None:
    assert csv_of(["a", "b"], []) == b"a,b\r\n"


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize("first", FORMULAS)
def test_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe(lead: str, first: str) -> None:
    text = f"{lead}{first}cmd|' /C calc'!A0"
    header, cells = cells_of(csv_of(["name", text], [{"name": text, text: -1.5}]))
    assert header == ["name", f"'{text}"]
    assert cells == [f"'{text}", "-1.5"]


@pytest.mark.parametrize("text", ["", "v.bmp", "a=b", "a/=b.bmp", "1-2", "'quoted'", "  spaces", "é-1"])
def test_text_that_is_no_formula_stays(text: str) -> None:
    assert as_cell(text) == text


@pytest.mark.parametrize("number", [-1, -0.5, 1e-9, float("-inf"), True, None])
def test_numbers_stay_numbers(number: object) -> None:
    assert as_cell(number) is number


@given(st.text(st.sampled_from([*FORMULAS, *"ab1 '\"\u200b\u3000;,"]) | st.characters(), max_size=12))
def test_a_cell_never_begins_as_a_formula_and_can_be_read_back(text: str) -> None:
    cell = as_cell(text)
    assert isinstance(cell, str)
    assert cell in (text, f"'{text}")
    begins = cell.lstrip(" ")[:1]
    assert not begins or begins not in FORMULAS
    # what is documented as the way back
    assert text == (cell[1:] if cell.startswith("'") and as_cell(cell[1:]) != cell[1:] else cell)
