"""The table of all images, for a spreadsheet and for a person."""

import csv
import io
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import arrive, result_of

from runtime.csv_text import as_cell
from runtime.file_state import FileState
from runtime.ledger import ImageRow, Ledger, State, open_ledger
from runtime.ledger.row import Outcome
from runtime.result_table import to_csv, to_lines

NOW = 1_700_000_000.0
COLUMNS = [
    "path",
    "status",
    "score",
    "grade",
    "grade_name",
    "area_none",
    "area_mild",
    "area_severe",
    "withheld_fraction",
    "reason",
    "um_per_px",
    "image_sha256",
    "model",
    "model_sha256",
    "engine",
    "precision",
    "synthetic",
    "attempts",
    "arrived",
    "finished",
    "read_ms",
    "infer_ms",
    "write_ms",
    "total_ms",
    "score_file",
    "overlay_file",
    "map_file",
]
KEPT_WITHOUT_RESULT = {"path", "status", "reason", "attempts", "arrived", "finished"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, create=True) as opened:
        yield opened


def take(ledger: Ledger, name: str = "a.bmp") -> ImageRow:
    arrive(ledger, Path(name), FileState(1, 1), NOW)
    row = ledger.take(NOW)
    assert row is not None
    return row


def row_of(name: str, state: State = State.FAILED, reason: str = "") -> ImageRow:
    return ImageRow(Path(name), state, reason, 1, False, FileState(1, 1), NOW, None, None, Outcome())


def parsed(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def test_table_has_every_column_of_a_result(ledger: Ledger) -> None:
    ledger.finished(take(ledger), result_of(Path("a.bmp")), NOW + 1.5)
    (line,) = parsed(to_csv(list(ledger.rows())))
    assert list(line) == COLUMNS
    assert datetime.fromisoformat(line.pop("arrived")).timestamp() == NOW
    assert datetime.fromisoformat(line.pop("finished")).timestamp() == NOW + 1.5
    assert line == {
        "path": "a.bmp",
        "status": "scored",
        "score": "2.25",
        "grade": "2",
        "grade_name": "severe",
        "area_none": "0.25",
        "area_mild": "0.5",
        "area_severe": "0.25",
        "withheld_fraction": "0.125",
        "reason": "",
        "um_per_px": "0.5",
        "image_sha256": "5" * 64,
        "model": "tiny",
        "model_sha256": "t" * 64,
        "engine": "onnxruntime-fp32",
        "precision": "fp32",
        "synthetic": "True",
        "attempts": "1",
        "read_ms": "1.0",
        "infer_ms": "2.0",
        "write_ms": "3.0",
        "total_ms": "6.0",
        "score_file": "a.bmp.score.json",
        "overlay_file": "a.bmp.overlay.jpg",
        "map_file": "a.bmp.map.ome.tif",
    }


def test_times_are_utc(ledger: Ledger) -> None:
    take(ledger)
    (line,) = parsed(to_csv(list(ledger.rows())))
    assert line["arrived"] == "2023-11-14T22:13:20.000+00:00"


def test_without_order_there_is_a_class_and_no_score(ledger: Ledger) -> None:
    areas = {"healthy": 0.2, "psoriatic": 0.564, "other": 0.236}
    ledger.finished(take(ledger), result_of(Path("a.bmp"), ordered=False, areas=areas), NOW)
    ledger.failed(take(ledger, "b.bmp"), "locked", NOW)
    rows = list(ledger.rows())
    assert rows[0].state is State.SCORED
    line, _ = parsed(to_csv(rows))
    assert (line["status"], line["score"], line["grade"], line["grade_name"]) == ("scored", "", "1", "psoriatic")
    assert line["area_psoriatic"] == "0.564"
    assert list(to_lines(rows)) == [
        "most area       state     image",
        "psoriatic 56 %  scored    a.bmp",
        "             -  failed    b.bmp  (locked)",
    ]


def test_score_of_zero_is_not_left_out(ledger: Ledger) -> None:
    ledger.finished(take(ledger), result_of(Path("a.bmp"), score=0.0), NOW)
    (line,) = parsed(to_csv(list(ledger.rows())))
    assert (line["score"], line["grade"]) == ("0.0", "0")


def test_withheld_image_has_its_reason_and_model_and_no_score(ledger: Ledger) -> None:
    ledger.finished(take(ledger), result_of(Path("a.bmp"), status="withheld"), NOW)
    (line,) = parsed(to_csv(list(ledger.rows())))
    assert (line["status"], line["reason"], line["model"]) == ("withheld", "too dark, too small", "tiny")
    assert [line[name] for name in ("score", "grade", "withheld_fraction", "map_file")] == [""] * 4
    assert line["overlay_file"] == "a.bmp.overlay.jpg"


@pytest.mark.parametrize("state", [State.WAITING, State.FAILED])
def test_image_that_waits_or_failed_has_nothing_of_an_earlier_content(ledger: Ledger, state: State) -> None:
    ledger.finished(take(ledger), result_of(Path("a.bmp")), NOW)
    row = take(ledger)
    if state is State.FAILED:
        ledger.failed(row, "truncated", NOW + 1)
    (row,) = ledger.rows()
    assert row.outcome.score == 2.25
    (line,) = parsed(to_csv([row]))
    assert line["status"] == state
    assert {name for name, value in line.items() if value} <= KEPT_WITHOUT_RESULT
    assert "2.25" not in next(to_lines([row]))


def test_empty_table_is_a_header() -> None:
    assert parsed(to_csv([])) == []
    assert to_csv([]).decode().startswith("path,status,score,grade,grade_name,withheld_fraction,")


def test_grades_of_several_models_each_have_a_column(ledger: Ledger) -> None:
    ledger.finished(take(ledger), result_of(areas={"none": 0.25, "mild": 0.5, "bad": 0.25}), NOW)
    ledger.finished(
        take(ledger, "b.bmp"), result_of(Path("b.bmp"), areas={"none": 0.5, "worse": 0.0, "worst": 0.5}), NOW
    )
    lines = parsed(to_csv(list(ledger.rows())))
    assert [(line["area_none"], line["area_mild"], line["area_worst"]) for line in lines] == [
        ("0.25", "0.5", ""),
        ("0.5", "", "0.5"),
    ]


# what a name, a message and a cell may hold; a slash parts folders, and NUL is in no name
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."}
)


@pytest.mark.skipif(sys.platform == "win32", reason="such names are none there")
@given(st.lists(st.tuples(NAME, NAME), max_size=4))
def test_any_name_and_reason_comes_back_from_the_table_or_is_no_formula(cells: list[tuple[str, str]]) -> None:
    lines = parsed(to_csv([row_of(name, reason=reason) for name, reason in cells]))
    assert [(line["path"], line["reason"]) for line in lines] == [tuple(map(as_cell, cell)) for cell in cells]


@pytest.mark.skipif(sys.platform == "win32", reason="names are UTF-16 there")
def test_name_that_is_no_utf8_is_escaped() -> None:
    row = row_of(os.fsdecode(b'a\xff, "b".bmp'))
    assert parsed(to_csv([row]))[0]["path"] == 'a\\udcff, "b".bmp'
    _header, line = to_lines([row])
    assert line.encode().endswith(b'a\\udcff, "b".bmp')


def test_lines_have_score_state_path_and_reason(ledger: Ledger) -> None:
    ledger.finished(take(ledger, "a.bmp"), result_of(Path("a.bmp")), NOW)
    ledger.finished(take(ledger, "b.bmp"), result_of(Path("b.bmp"), status="withheld"), NOW)
    ledger.failed(take(ledger, "c.bmp"), "locked", NOW)
    arrive(ledger, Path("d.bmp"), FileState(1, 1), NOW)
    assert list(to_lines(ledger.rows())) == [
        "score  state     image",
        " 2.25  scored    a.bmp",
        "    -  withheld  b.bmp  (too dark, too small)",
        "    -  failed    c.bmp  (locked)",
        "    -  waiting   d.bmp",
    ]


def test_name_with_control_characters_stays_one_line_without_them() -> None:
    _header, line = to_lines([row_of("a\n\x1b[2Jb.bmp", reason="two\nlines")])
    assert "\x1b" not in line
    assert "\n" not in line


@pytest.mark.parametrize("ordered", [True, False])
def test_grades_named_from_1_are_counted_by_name_where_they_have_an_order(ledger: Ledger, ordered: bool) -> None:
    areas = {"1": 0.1, "2": 0.1, "3": 0.1, "4": 0.1, "5": 0.6}
    ledger.finished(take(ledger), result_of(Path("a.bmp"), score=4.8, ordered=ordered, areas=areas), NOW)
    (line,) = parsed(to_csv(list(ledger.rows())))
    assert (line["score"], line["grade"], line["grade_name"]) == (("4.8", "5", "5") if ordered else ("", "4", "5"))
