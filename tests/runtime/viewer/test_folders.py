"""The table of folders averages only what is on one scale."""

from pathlib import Path
from typing import Any

import pytest

from runtime.file_state import FileState
from runtime.ledger import ImageRow, State
from runtime.ledger.row import Outcome
from runtime.viewer.folders import folder_table
from runtime.viewer.setup import Scale

SCALE = Scale(("calm", "mild", "severe"), True, "Inflammation", ("m",))
CLASSES = Scale(("calm", "mild", "severe"), False, "Inflammation", ("m",))
OWN = '{"calm": 0.5, "mild": 0.5, "severe": 0}'
SEVERE = '{"calm": 0, "mild": 0, "severe": 1}'
OTHER = '{"0": 0, "1": 0, "2": 0, "3": 0, "4": 1}'


def row(name: str, score: float | None, areas: str | None) -> ImageRow:
    outcome = Outcome(score=score, grade=1, area_fraction=areas, model_sha256="m")
    return ImageRow(Path(name), State.SCORED, "", 1, False, FileState(1, 1), 1.0, None, 1.0, outcome)


def table(scale: Scale, *rows: ImageRow) -> dict[str, dict[str, Any]]:
    found = folder_table(
        rows, Path(), scale, name=lambda path: path.as_posix(), id_of=str, worst_of=lambda _row, _out: None
    )
    return {each["name"]: each for each in found}


def test_results_on_another_scale_are_counted_and_not_averaged() -> None:
    found = table(SCALE, row("a/1", 1.0, OWN), row("a/2", 2.0, SEVERE), row("a/3", 4.0, OTHER), row("b/4", 4.0, OTHER))
    assert (found["a"]["scored"], found["a"]["mean"], found["a"]["others"]) == (3, 1.5, 1)
    assert (found["b"]["scored"], found["b"]["mean"], found["b"]["others"]) == (1, None, 1)
    assert (found["all"]["mean"], found["all"]["others"]) == (1.5, 2)
    assert found["a"]["areas"] is None


def test_results_without_grades_are_not_averaged() -> None:
    found = table(SCALE, row("a/1", 1.0, OWN), row("a/2", 3.0, None))
    assert (found["a"]["mean"], found["a"]["others"]) == (1.0, 1)


@pytest.mark.parametrize("mean", [None, 2.0])
def test_classes_without_order_have_areas_and_no_mean(mean: float | None) -> None:
    found = table(CLASSES, row("a/1", mean, OWN), row("a/2", mean, SEVERE), row("b/3", mean, SEVERE))
    assert found["a"]["areas"] == [0.25, 0.25, 0.5]
    assert found["all"]["areas"] == pytest.approx([1 / 6, 1 / 6, 2 / 3])
    assert (found["a"]["mean"], found["a"]["ci95"], found["a"]["worst"]) == (None, None, None)


def test_an_interval_stays_on_a_scale_from_1() -> None:
    scale = Scale(("1", "2", "3", "4", "5"), True, "Inflammation", ("m",))
    areas = '{"1": 0.2, "2": 0.2, "3": 0.2, "4": 0.2, "5": 0.2}'
    found = table(
        scale,
        *(
            row(f"{folder}/{number}", score, areas)
            for folder, scores in {"low": (1.0, 1.0, 1.9), "high": (5.0, 5.0, 4.1)}.items()
            for number, score in enumerate(scores)
        ),
    )
    assert found["low"]["ci95"][0] == 1.0
    assert found["high"]["ci95"][1] == 5.0
