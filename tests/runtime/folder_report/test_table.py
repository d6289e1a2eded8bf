"""The table fits where it is shown, and holds what it should."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from runtime.folder_report import fold, to_csv, to_lines, to_svg
from runtime.ledger import ImageRow

Study = Callable[..., list[ImageRow]]


@pytest.fixture
def images() -> list[tuple[str, float | None]]:
    return [(f"P{p}/8 h/Confocal Images/v{k}.bmp", float(p)) for p in range(4) for k in range(3)] + [("x/y.bmp", None)]


def test_a_line_a_folder_with_those_on_the_way_in_one(
    study: Study, images: list[tuple[str, float | None]], tmp_path: Path
) -> None:
    lines = list(to_lines(fold(study(images), tmp_path, range(5)), range(5), 120))
    assert lines[0].split() == ["folder", "scored", "not", "mean", "95", "%", "worst", "0", "1", "2", "3", "4"]
    assert lines[1].split()[:5] == ["all", "12", "1", "1.50", "0.00–3.55"]
    assert lines[2].startswith("  P0 / 8 h / Confocal Images")
    assert "3.00–3.00" in lines[5]
    assert lines[6].split()[:4] == ["x", "0", "1", "–"]
    assert lines[-1].startswith(
        "worst region of all: 3.50 in P3/8 h/Confocal Images/v0.bmp, 96 µm wide around x 100 µm"
    )
    # a mean stands below its grade
    assert lines[4].index("●") == lines[0].rindex("2")


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 100, 200])
@pytest.mark.parametrize("grades", [range(5), range(10), range(1, 6)])
def test_rows_keep_to_the_width(
    study: Study, images: list[tuple[str, float | None]], tmp_path: Path, width: int, grades: range
) -> None:
    images += [(f"{name * 30}/v.bmp", 1.0) for name in ("long ", "患者")]
    lines = list(to_lines(fold(study(images), tmp_path, grades), grades, width))
    rows, legend = lines[: lines.index("")], lines[lines.index("") + 1 : -1]
    assert max(map(cell_len, rows)) <= max(width, 52)
    assert max(map(len, legend)) <= max(width, 40)
    assert any("●" in line for line in rows) == (width >= 80)


@pytest.mark.parametrize("width", [50, 80, 120])
def test_columns_stand_below_each_other_beside_names_of_wide_letters(study: Study, tmp_path: Path, width: int) -> None:
    rows = study([("患者 一/v.bmp", 1.0), ("e\u0301/v.bmp", 1.0), ("abc/v.bmp", 1.0)])
    lines = list(to_lines(fold(rows, tmp_path, range(5)), range(5), width))
    assert len({cell_len(line[: line.index("1.00")]) for line in lines[1:5]}) == 1


def test_each_grade_of_many_has_its_place_in_the_smallest_plot(
    study: Study, images: list[tuple[str, float | None]], tmp_path: Path
) -> None:
    rows = study([*images, ("long " * 20 + "/v.bmp", 1.0)])
    assert next(to_lines(fold(rows, tmp_path, range(10)), range(10), 80)).endswith("  0123456789")
    # names come first where there are very many
    assert not any("●" in line for line in to_lines(fold(rows, tmp_path, range(41)), range(41), 80))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_columns_stay_where_an_encoding_knows_few_letters(
    study: Study, images: list[tuple[str, float | None]], tmp_path: Path, encoding: str
) -> None:
    found = fold(study([*images, ("long " * 20 + "/v.bmp", 1.0)]), tmp_path, range(5))
    lines = list(to_lines(found, range(5), 80, encoding))
    assert [len(line.encode(encoding).decode(encoding)) for line in lines] == [
        len(line) for line in to_lines(found, range(5), 80)
    ]
    assert ("●" in lines[1]) == (encoding == "utf-8")


def test_no_axis_is_drawn_where_no_image_tells_the_scale(study: Study, tmp_path: Path) -> None:
    rows = study([("x/y.bmp", None)])
    lines = list(to_lines(fold(rows, tmp_path, range(0)), range(0), 120))
    assert lines[0].split() == ["folder", "scored", "not", "mean", "95", "%", "worst"]
    assert b"<line" not in to_svg(fold(rows, tmp_path, range(0)), range(0), [])


def test_any_name_is_a_line(study: Study, tmp_path: Path) -> None:
    rows = study([("a\nb\x1b[31m/\udcff<&>/v.bmp", 1.0)])
    lines = list(to_lines(fold(rows, tmp_path, range(5)), range(5), 100))
    assert all(line.isprintable() for line in lines)
    "\n".join(lines).encode()


def test_csv_has_every_folder_with_its_figures(
    study: Study, images: list[tuple[str, float | None]], tmp_path: Path
) -> None:
    text = to_csv(fold(study([*images, ("\udcff/v.bmp", 1.0)]), tmp_path, range(5))).decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 1 + 4 * 3 + 2
    one = next(row for row in rows if row["folder"] == "P2/8 h")
    assert (one["level"], one["scored"], one["mean"], one["sampled"], one["units"]) == ("2", "3", "2.0", "images", "3")
    assert (one["worst_mean"], one["worst_image"]) == ("2.5", "P2/8 h/Confocal Images/v0.bmp")
    assert (one["models"], one["synthetic"]) == ("1", "True")
    assert rows[-1]["folder"] == "\\udcff"


def test_on_a_scale_from_1_a_mean_stands_below_its_grade(
    study: Study, tmp_path: Path, from_1: dict[str, float]
) -> None:
    lines = list(to_lines(fold(study([("a/v.bmp", 3.0)], areas=from_1), tmp_path, range(1, 6)), range(1, 6), 120))
    assert lines[0].split()[-5:] == ["1", "2", "3", "4", "5"]
    assert lines[1].index("●") == lines[0].rindex("3")
