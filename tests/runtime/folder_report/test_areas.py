"""Folders of grades without an order: shares of the area, and nothing that takes classes for numbers."""

import csv
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import finish, result_of, take
from rich.cells import cell_len

from runtime.file_state import FileState
from runtime.folder_report import fold, has_classes, to_csv, to_lines, to_svg
from runtime.folder_report.folders import FolderFigures, Worst
from runtime.ledger import ImageRow, State, open_ledger
from runtime.ledger.row import Outcome

NAMES = ("healthy", "eczematous", "psoriatic")
Classes = Callable[[Sequence[tuple[str, tuple[float, ...]]]], list[ImageRow]]
IMAGES = [
    ("P0/a.bmp", (0.6, 0.4, 0.0)),
    ("P0/b.bmp", (0.8, 0.2, 0.0)),
    ("P1/a.bmp", (0.1, 0.0, 0.9)),
    ("P2/a.bmp", (0.1, 0.2, 0.7)),
    ("P2/b.bmp", (0.1, 0.4, 0.5)),
]


@pytest.fixture
def classes(tmp_path: Path) -> Classes:
    """Rows of a ledger of images with these areas."""

    def fill(images: Sequence[tuple[str, tuple[float, ...]]]) -> list[ImageRow]:
        with open_ledger(tmp_path, create=True) as ledger:
            for name, areas in images:
                result = result_of(Path(name), ordered=False, areas=dict(zip(NAMES, areas, strict=True)))
                ledger.finished(take(ledger, name), result, time.time())
            finish(ledger, "P2/dark.bmp", status="withheld")
            return list(ledger.rows())

    return fill


def test_each_folder_has_the_mean_area_of_each_class(classes: Classes, tmp_path: Path) -> None:
    everything, first, _, third = fold(classes(IMAGES), tmp_path, range(3), by_area=True)
    assert (everything.scored, everything.withheld, everything.mean, everything.ci95) == (5, 1, None, None)
    assert everything.areas == pytest.approx({"healthy": 0.34, "eczematous": 0.24, "psoriatic": 0.42})
    assert everything.leading == "psoriatic"
    assert everything.worst is None
    assert everything.area_ci95 is not None
    low, high = everything.area_ci95
    assert 0 <= low < 0.42 < high <= 1
    assert first.areas == pytest.approx({"healthy": 0.7, "eczematous": 0.3, "psoriatic": 0.0})
    assert first.leading == "healthy"
    assert third.areas is not None
    assert third.areas["psoriatic"] == pytest.approx(0.6)


def row(path: str, areas: dict[str, float]) -> ImageRow:
    outcome = Outcome.of(Path(path), result_of(Path(path), ordered=False, areas=areas))
    return ImageRow(Path(path), State.SCORED, "", 1, False, FileState(1, 1), 0.0, None, 1.0, outcome)


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any), min_size=1, max_size=9))
def test_areas_sum_to_all_and_the_leading_class_has_the_most(found: list[list[int]]) -> None:
    rows = [
        row(f"P{number % 3}/{number}.bmp", {name: n / sum(counts) for name, n in zip(NAMES, counts, strict=True)})
        for number, counts in enumerate(found)
    ]
    for folder in fold(rows, Path("out"), range(3), by_area=True):
        assert folder.areas is not None
        assert sum(folder.areas.values()) == pytest.approx(1)
        assert folder.leading is not None
        assert folder.areas[folder.leading] == max(folder.areas.values()) > 0


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_table_names_the_class_and_its_share(classes: Classes, tmp_path: Path, width: int) -> None:
    lines = list(to_lines(fold(classes(IMAGES), tmp_path, range(3), by_area=True), range(3), width))
    assert lines[0].split() == ["folder", "scored", "not", "most", "area", "share", "95", "%"]
    assert lines[1].split()[:6] == ["all", "5", "1", "psoriatic", "42", "%"]
    assert lines[2].split()[-4:] == ["healthy", "70", "%", "–"]
    assert max(map(cell_len, lines[:5])) <= max(width, 62)
    text = " ".join(lines)
    assert "all: psoriatic 42 %, healthy 34 %, eczematous 24 %" in text
    for word in ("mean grade", "worst", "expected"):
        assert word not in text


def test_csv_has_a_column_a_class_and_no_mean(classes: Classes, tmp_path: Path) -> None:
    text = to_csv(fold(classes(IMAGES), tmp_path, range(3), by_area=True)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == [
        *("folder", "level", "scored", "withheld", "failed", "waiting", "grade_name"),
        *("area_healthy", "area_eczematous", "area_psoriatic", "ci95_low", "ci95_high", "sampled", "units"),
        *("models", "synthetic"),
    ]
    assert (rows[1]["folder"], rows[1]["grade_name"], rows[1]["ci95_low"]) == ("P0", "healthy", "")
    assert float(rows[1]["area_eczematous"]) == pytest.approx(0.3)


def test_picture_divides_each_bar_among_the_classes(classes: Classes, tmp_path: Path) -> None:
    picture = ElementTree.fromstring(
        to_svg(fold(classes(IMAGES), tmp_path, range(3), by_area=True), range(3), [], "Inflammation")
    )
    said = " ".join("".join(each.itertext()) for each in picture.iter("{http://www.w3.org/2000/svg}text"))
    assert "psoriatic 42 %" in said
    for word in ("Inflammation", "grade", "worst region", "mean ("):
        assert word not in said
    bars = [each for each in picture.iter("{http://www.w3.org/2000/svg}rect") if each.get("height") == "16"]
    # of three classes in all, two in P0 and P1, three in P2
    assert len(bars) == 3 + 2 + 2 + 3
    assert {bar.get("fill") for bar in bars} == {"#e69f00", "#56b4e9", "#009e73"}
    assert sum(float(bar.get("width", "nan")) for bar in bars[:3]) == pytest.approx(460, abs=0.1)


def test_results_of_an_ordered_model_beside_them_count_by_their_areas(classes: Classes, tmp_path: Path) -> None:
    rows = classes(IMAGES)
    with open_ledger(tmp_path, create=True) as ledger:
        finish(ledger, "P3/a.bmp", model="other", areas={"healthy": 1.0, "3": 0.0})
        rows = list(ledger.rows())
    everything, *_, last = fold(rows, tmp_path, range(3), by_area=True)
    assert everything.models == 2
    assert everything.areas is not None
    assert list(everything.areas) == [*NAMES, "3"]
    assert last.areas is not None
    assert last.areas["healthy"] == 1.0


def test_areas_are_needed_where_an_image_has_no_mean(classes: Classes) -> None:
    rows = classes(IMAGES)
    assert has_classes(rows)
    assert not has_classes([row for row in rows if row.state is State.WITHHELD])


def test_by_mean_grades_images_without_one_count_as_scored_alone(classes: Classes, tmp_path: Path) -> None:
    classes(IMAGES)
    with open_ledger(tmp_path, create=True) as ledger:
        finish(ledger, "P3/a.bmp", score=1.5)
        everything, *_ = fold(list(ledger.rows()), tmp_path, range(3))
    assert (everything.scored, everything.mean, everything.areas) == (6, 1.5, None)


def test_worst_slice_is_counted_from_one() -> None:
    worst = Worst(3.0, Path("P/s.tif"), 100.0, 200.0, 96.0, 0)
    root = FolderFigures(
        *(Path(), 0, False, 1, 0, 0, 0, 2.0, None, None, None, "images", 1, worst, 1, False),  # type: ignore[arg-type]
    )
    assert "in P/s.tif, slice 1, 96 µm" in list(to_lines([root], range(5), 100))[-1]
    (row,) = csv.DictReader(io.StringIO(to_csv([root]).decode(), newline=""))
    assert row["worst_slice"] == "1"
