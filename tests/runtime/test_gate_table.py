"""The gate's table: a line for patches, one for cells, and nothing that is not known shown as if it were."""

import pytest
from msgspec.structs import replace

from runtime.gate import GateFigures, Strangers, Verdict
from runtime.gate_table import HEADING, gate_table

FIGURES = GateFigures(
    cells=400,
    unchanged=0.9925,
    changed_margin=0.0471,
    shift=0.00312,
    kappa=0.9978,
    accuracy_loss=0.0025,
    withholding_changed=0.005,
)
STRANGERS = Strangers(50, 0)
FAILED = replace(FIGURES, unchanged=0.5)


def row(line: str) -> list[str]:
    return line.split()


def test_verdict_stands_in_one_line_for_patches_and_one_for_cells() -> None:
    cells = replace(FIGURES, cells=90_000, accuracy_loss=None, kappa=None)
    heading, patches, frames, *notes = gate_table({"model.int8.onnx": Verdict(FIGURES, cells, STRANGERS, 0.97)})
    assert row(heading) == " ".join(HEADING).split()
    assert row(patches) == [
        *("model.int8.onnx", "400", "patches", "0.9925", "0.047", "0.0031", "0.9978", "+0.25", "0.0050", "0/50", "97%"),
        "passed",
    ]
    # no accuracy, which has no raters on frames; a kappa that is undefined is a dash
    assert row(frames) == ["90000", "cells", "0.9925", "0.047", "0.0031", "-", "0.0050"]
    assert len(notes) == 3


def test_without_order_the_column_is_of_probabilities() -> None:
    figures = replace(FIGURES, shift=None, distance=0.0123)
    heading, patches, *notes = gate_table({"a": Verdict(figures, None, STRANGERS, None)})
    assert row(heading)[3] == "distance"
    assert row(patches)[5] == "0.0123"
    assert not any("shift" in line or "expected grade" in line for line in (heading, *notes))


def test_without_frames_there_is_no_line_of_them() -> None:
    assert len(gate_table({"a": Verdict(FIGURES, None, STRANGERS, None)})) == 1 + 1 + 3


def test_share_of_int8_is_a_dash_where_none_is_asked_for() -> None:
    assert row(gate_table({"a": Verdict(FIGURES, FIGURES, STRANGERS, None)})[1])[-2:] == ["-", "passed"]


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(FAILED, FIGURES, STRANGERS, None),
        Verdict(FIGURES, FAILED, STRANGERS, None),
        Verdict(FIGURES, None, STRANGERS, None),
        Verdict(FIGURES, FIGURES, Strangers(50, 1), None),
        Verdict(FIGURES, FIGURES, STRANGERS, 0.2),
    ],
    ids=["patches", "frames", "no frames", "strangers", "share"],
)
def test_miss_of_any_kind_is_said_in_the_first_line(verdict: Verdict) -> None:
    assert gate_table({"a": verdict})[1].endswith("  MISSED")


def test_gain_and_loss_of_accuracy_have_their_sign() -> None:
    gained = replace(FIGURES, accuracy_loss=-0.01)
    assert "-1.00" in row(gate_table({"a": Verdict(gained, None, STRANGERS, None)})[1])
    assert "+0.25" in row(gate_table({"a": Verdict(FIGURES, None, STRANGERS, None)})[1])


def test_columns_of_all_rows_end_at_the_same_place() -> None:
    long = replace(FIGURES, cells=1_234_567)
    verdicts = {
        "a": Verdict(FIGURES, long, STRANGERS, 1.0),
        "a-name-that-is-long": Verdict(long, FIGURES, STRANGERS, 0.5),
    }
    rows = gate_table(verdicts)[:-3]
    for column, word in (("unchanged", "0.9925"), ("shift", "0.0031"), ("kappa", "0.9978"), ("withheld", "0.0050")):
        end = rows[0].index(column) + len(column)
        assert all(line[:end].endswith(word) for line in rows[1:])
    assert not any(line != line.rstrip() for line in rows)


def test_no_verdicts_make_a_table_of_its_heading() -> None:
    assert row(gate_table({})[0]) == " ".join(HEADING).split()
