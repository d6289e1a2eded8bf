"""Nothing is coloured, named or averaged by a scale that is not its own."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
from opened_page import GRADES, OpenedPage
from page_results import MODEL_SHA256, PageResults

from runtime.ledger import open_ledger
from runtime.result import Score, SliceRecord
from runtime.viewer.setup import Scale

pytestmark = pytest.mark.timeout(120)

Open = Callable[..., AbstractContextManager[OpenedPage]]
NOW = time.time() - 3600


# of 10 classes, so that the colours begin anew
CLASSES = Scale(("none", "mild", "severe", "3", "4", "5", "6", "lupus", "8", "9"), False, "Dryness", (MODEL_SHA256,))
AREAS = dict.fromkeys(CLASSES.grades, 0.0) | {"mild": 0.44, "lupus": 0.56}
FIVE = dict.fromkeys(("0", "1", "2", "3", "4"), 0.2)
# red, green and blue of the map's first cell, and how opaque it is
CELL = "() => [...document.getElementById('map').getContext('2d').getImageData(0, 0, 1, 1).data]"
VIRIDIS = {0.0: [68, 1, 84], 0.5: [32, 144, 140], 1.0: [253, 231, 37]}


@pytest.mark.parametrize("newest", ["withheld", "failed"])
def test_a_start_on_an_image_without_a_score_knows_the_scale(
    results: PageResults, open_page: Open, newest: str
) -> None:
    results.scored("P1/a.bmp", NOW, cells=1.0)
    getattr(results, newest)("P1/b.bmp", NOW + 1)
    with open_page() as opened:
        session = opened.server.ask("/api/session").json()
        assert (session["grades"], session["ordered"], session["quantity"]) == (list(GRADES), True, "Dryness")
        opened.shown("P1/b.bmp")
        assert opened.page.locator("#legend li").all_inner_texts() == ["0 none", "1 mild", "2 severe"]
        opened.page.keyboard.press("ArrowLeft")
        opened.shown("P1/a.bmp")
        assert opened.page.evaluate(CELL)[:3] == pytest.approx(VIRIDIS[0.5], abs=2)
        assert opened.text("#quantity") == "Dryness"
        assert opened.text("#grade") == "severe"


def test_a_session_without_any_result_knows_the_scale(open_page: Open) -> None:
    with open_page() as opened:
        assert opened.server.ask("/api/session").json()["grades"] == list(GRADES)


def test_a_result_of_an_earlier_model_is_painted_by_its_own_scale(results: PageResults, open_page: Open) -> None:
    results.scored("a.bmp", NOW, cells=2.0, mean=2.0, model="other", areas=FIVE)
    results.scored("b.bmp", NOW + 1, cells=2.0, mean=2.0)
    with open_page() as opened:
        opened.shown("b.bmp")
        assert opened.page.evaluate(CELL)[:3] == pytest.approx(VIRIDIS[1.0], abs=2)
        opened.page.keyboard.press("ArrowLeft")
        opened.shown("a.bmp")
        # the middle of five grades, not the top of three
        assert opened.page.evaluate(CELL)[:3] == pytest.approx(VIRIDIS[0.5], abs=2)
        assert opened.page.locator("#legend li").all_inner_texts() == ["0", "1", "2", "3", "4"]
        assert "earlier model" in opened.text("#legend")
        # which did not score dryness
        assert opened.text("#quantity") == "Redness"
        opened.page.click("#tab-session")
        opened.wait("() => document.querySelector('#folders tbody tr')")
        assert "Results of an earlier model with other grades: 1." in opened.text("#chart-note")
        assert "Scores of 1 images" in opened.page.get_attribute("#chart", "aria-label")
        row = opened.text("#folders tbody tr")
        assert "1 of other grades" in row
        assert "2.00" in row


def test_a_scale_from_1_is_counted_from_1_everywhere(results: PageResults, open_page: Open) -> None:
    scale = Scale(("1", "2", "3", "4", "5"), True, "Dryness", (MODEL_SHA256,))
    areas = dict.fromkeys(scale.grades, 0.2)
    slices = [
        SliceRecord(0, None, "scored", (), Score(1.0, 1, areas, 0.0)),
        SliceRecord(1, None, "scored", (), Score(5.0, 5, areas, 0.0)),
    ]
    cells = np.full((3, 4), 1, np.float32)
    cells[:, 2:] = 5
    results.scored("P1/a.tif", NOW, cells=cells, slices=slices, mean=3.0, grade=3, areas=areas)
    # of an earlier model, on a scale of its own
    results.scored("P1/b.bmp", NOW + 1, cells=2.0, mean=2.0, grade=2, model="other", areas=FIVE)
    with open_page(scale) as opened:
        page = opened.page
        opened.shown("P1/b.bmp")
        assert page.evaluate(CELL)[:3] == pytest.approx(VIRIDIS[0.5], abs=2)
        assert (opened.text("#score"), opened.text("#grade")) == ("2.00", "grade 2")
        page.keyboard.press("ArrowLeft")
        opened.shown("P1/a.tif")
        assert (opened.text("#score"), opened.text("#grade")) == ("3.00", "grade 3")
        assert page.locator("#legend li").all_inner_texts() == list(scale.grades)
        label = page.get_attribute("#legend canvas", "aria-label")
        assert label == "Colours of the grades, from 1, dark, to 5, bright"
        # of 256 colours the 129th
        middle = "rgb(33, 145, 140)"
        assert middle in page.evaluate("document.querySelector('.shot > span').style.boxShadow")
        stage = page.locator("#stage").bounding_box()
        scale_px = min(stage["width"] / 100, stage["height"] / 90)
        left, top = (stage["width"] - 100 * scale_px) / 2, (stage["height"] - 90 * scale_px) / 2
        # the first cell's middle is 32 px inside, the last one's 48 px further
        for column, x_px, grade, colour in ((0, 32, 1, 0.0), (3, 80, 5, 1.0)):
            cell = CELL.replace("getImageData(0", f"getImageData({column}")
            assert page.evaluate(cell) == pytest.approx([*VIRIDIS[colour], 255], abs=2)
            page.mouse.move(stage["x"] + left + x_px * scale_px, stage["y"] + top + 32 * scale_px)
            assert opened.text("#readout").endswith(f": grade {grade}.00")
        assert opened.text("#slice-score") == "Slice 1: 1.00, grade 1"
        page.click("#deeper")
        opened.wait("() => document.getElementById('slice-score').textContent === 'Slice 2: 5.00, grade 5'")
        page.evaluate("""() => {
            window.drawn = [];
            const { fillText, arc } = CanvasRenderingContext2D.prototype;
            CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...more) {
              window.drawn.push({ text, y });
              return fillText.call(this, text, x, y, ...more);
            };
            CanvasRenderingContext2D.prototype.arc = function (x, y, ...more) {
              window.drawn.push({ text: "dot", y });
              return arc.call(this, x, y, ...more);
            };
        }""")
        page.click("#tab-session")
        opened.wait("() => document.querySelector('#folders tbody tr')")
        drawn = page.evaluate("window.drawn")
        height = {each["text"]: each["y"] for each in drawn}
        assert [each["text"] for each in drawn[:5]] == list(scale.grades)
        assert height["1"] > height["3"] == height["dot"] > height["5"]
        mean = page.locator("#folders tbody tr td").nth(3)
        assert mean.inner_text() == "3.00"
        assert middle in mean.evaluate("cell => cell.style.boxShadow")


def test_a_result_whose_grades_are_not_known_is_not_coloured(results: PageResults, open_page: Open) -> None:
    results.scored("a.bmp", NOW, cells=1.0)
    record = results.out / "a.bmp.score.json"
    record.write_text(re.sub(r'"area_fraction": \{[^}]*\}', '"area_fraction": {}', record.read_text()))
    with open_ledger(results.out) as ledger:
        ledger._database.execute("UPDATE images SET area_fraction = NULL")
    with open_page() as opened:
        opened.shown("a.bmp")
        assert opened.page.evaluate("document.getElementById('map').width") == 4
        assert opened.page.evaluate(CELL) == [0, 0, 0, 0]
        assert "not known" in opened.text("#legend")
        stage = opened.page.locator("#stage").bounding_box()
        opened.page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
        assert "scale not known" in opened.text("#readout")
        assert opened.page.evaluate("document.querySelector('.shot > span').style.boxShadow") == ""


def test_classes_without_an_order_are_shown_as_such(results: PageResults, open_page: Open) -> None:
    cells = np.full((3, 4), 7, np.float32)
    cells[:, 2:] = 1
    results.scored("P1/a.bmp", NOW, cells=cells, mean=None, grade=7, areas=AREAS)
    results.scored("P1/b.bmp", NOW + 1, cells=cells, mean=None, grade=7, areas=AREAS)
    with open_page(CLASSES) as opened:
        opened.shown("P1/b.bmp")
        page = opened.page
        assert (opened.text("#score"), opened.text("#grade")) == ("lupus", "56 % of the area")
        # the eighth class: the first colour again, lighter
        assert page.evaluate(CELL) == [241, 202, 115, 255]
        right = CELL.replace("getImageData(0", "getImageData(3")
        # in sharp cells: between two classes a mixture of their colours would be a third
        assert page.evaluate("getComputedStyle(document.getElementById('map')).imageRendering") == "pixelated"
        assert page.is_visible("#synthetic")
        # Okabe and Ito's second colour, exactly
        assert page.evaluate(right) == [0x56, 0xB4, 0xE9, 255]
        legend = page.locator("#legend li").all_inner_texts()
        assert len(legend) == 10
        assert {"lupus, 56 %", "mild, 44 %", "3, 0 %"} <= set(legend)
        assert "lupus" in page.inner_text(".shot >> nth=0")
        stage = page.locator("#stage").bounding_box()
        # cell [0, 1] of a map whose first cell's middle is 32 px inside
        scale = min(stage["width"] / 100, stage["height"] / 90)
        page.mouse.move(
            stage["x"] + (stage["width"] - 100 * scale) / 2 + 48 * scale,
            stage["y"] + (stage["height"] - 90 * scale) / 2 + 32 * scale,
        )
        assert opened.text("#readout").endswith(": lupus")
        said = [opened.text("body")]
        page.click("#tab-session")
        page.wait_for_selector("#folders tbody tr .area")
        said.append(opened.text("body") + page.get_attribute("#chart", "aria-label"))
        assert "lupus 56 %" in opened.text("#folders tbody tr")
        assert "lupus 2" in page.get_attribute("#chart", "aria-label")
        for text in said:
            assert not re.search(r"inflammation|dryness|worst|expected|mean\b|\d\.\d\d\b", text, re.IGNORECASE)


def test_a_map_of_expected_grades_is_not_painted_as_classes(results: PageResults, open_page: Open) -> None:
    results.scored("a.bmp", NOW, cells=2.4, mean=2.4, grade=2, areas=AREAS)
    with open_page(CLASSES) as opened:
        opened.shown("a.bmp")
        assert opened.page.evaluate(CELL) == [0, 0, 0, 0]
        assert opened.text("#score") == "lupus"
