"""The picture is XML that any viewer takes, and says what it must."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from runtime.folder_report import fold, to_svg
from runtime.ledger import ImageRow

Study = Callable[..., list[ImageRow]]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(rows: list[ImageRow], out: Path, warnings: tuple[str, ...] = ()) -> ElementTree.Element:
    return ElementTree.fromstring(to_svg(fold(rows, out, range(5)), range(5), warnings))


def words(picture: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in picture.iter(f"{SVG}text")]


def test_each_folder_has_a_dot_and_a_bar_where_its_figures_are(study: Study, tmp_path: Path) -> None:
    picture = drawn(study([(f"P{p}/v{k}.bmp", p + 0.1 * k) for p in range(3) for k in range(3)]), tmp_path)
    dots = [float(dot.attrib["cx"]) for dot in picture.iter(f"{SVG}circle")]
    assert dots == pytest.approx([300 + 460 * mean / 4 for mean in (1.1, 0.1, 1.1, 2.1)], abs=0.06)
    bars = [bar for bar in picture.iter(f"{SVG}rect") if bar.attrib["height"] == "6"]
    assert len(bars) == 4
    assert words(picture)[-6:-3] == ["● mean", "▬ 95 % interval", "◇ worst region"]


def test_warnings_and_the_notice_are_part_of_the_picture(study: Study, tmp_path: Path) -> None:
    rows = study([("a.bmp", 1.0)])
    said = " ".join(words(drawn(rows, tmp_path, ("synthetic-trained model", "results of 2 models"))))
    for wanted in ("synthetic-trained model", "results of 2 models", "Research use only.", "not for diagnosis"):
        assert wanted in said
    # what was sampled, and why some have no interval
    assert "by how the folders in it differ" in said
    assert "none of fewer than three" in said


def test_no_name_runs_into_the_plot(study: Study, tmp_path: Path) -> None:
    picture = drawn(study([(f"{'患' * 60}/v.bmp", 1.0), (f"{'W' * 60}/v.bmp", 1.0)], records=False), tmp_path)
    names = [text for text in picture.iter(f"{SVG}text") if (text.text or "").startswith(("患", "W"))]
    assert [text.text for text in names] == ["W" * 37 + "…", "患" * 18 + "…"]
    (border,) = picture.iter(f"{SVG}clipPath")
    assert {text.attrib["clip-path"] for text in names} == {f"url(#{border.attrib['id']})"}
    assert float(border[0].attrib["width"]) < 300


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", '"', "\udcff", "x" * 200, "a\nb\x00c"])
def test_any_name_is_xml(study: Study, tmp_path: Path, name: str) -> None:
    name = name.replace("/", "")
    picture = drawn(study([(f"{name}/v.bmp", 1.0), ("b/v.bmp", 2.0)], records=False), tmp_path)
    assert not list(picture.iter("script"))
    assert max(map(len, words(picture))) < 140


def test_on_a_scale_from_1_the_axis_begins_with_1(study: Study, tmp_path: Path, from_1: dict[str, float]) -> None:
    rows = study([("a/v.bmp", 1.0), ("b/v.bmp", 5.0)], areas=from_1)
    grades = range(1, 6)
    picture = ElementTree.fromstring(to_svg(fold(rows, tmp_path, grades), grades, ()))
    dots = [float(dot.attrib["cx"]) for dot in picture.iter(f"{SVG}circle")]
    assert dots == pytest.approx([300 + 460 * (mean - 1) / 4 for mean in (3.0, 1.0, 5.0)], abs=0.06)
    said = words(picture)
    assert said[said.index("mean (95 %)") - 5 : said.index("mean (95 %)")] == ["1", "2", "3", "4", "5"]
