"""Whose image it is stands there in full, and a watch that is dead or busy is said to be."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from opened_page import SIZES, OpenedPage
from page_results import PageResults

pytestmark = pytest.mark.timeout(120)

Open = Callable[..., AbstractContextManager[OpenedPage]]
NOW = time.time() - 3600
# what all elements around one leave of it
SHADE = """e => {
  let share = 1;
  for (; e; e = e.parentElement) share *= getComputedStyle(e).opacity;
  return share;
}"""


LONG = "Patient 0007 with a very long name that nobody would choose, born 1961/Left forearm, volar side, second visit"


@pytest.mark.parametrize("size", list(SIZES))
def test_patient_and_site_stand_in_the_first_line_in_full(results: PageResults, open_page: Open, size: str) -> None:
    results.scored(f"{LONG}/v0000001.bmp", NOW)
    with open_page() as opened:
        width, height = opened.size(size)
        opened.shown("v0000001.bmp")
        whose = opened.page.locator("#whose")
        assert whose.inner_text() == LONG.replace("/", " / ")
        box = whose.bounding_box()
        assert box["y"] < 10
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert opened.page.evaluate("parseFloat(getComputedStyle(document.getElementById('whose')).fontSize)") >= 17
        # nothing of it is hidden
        assert opened.page.evaluate(
            "() => { const e = document.getElementById('whose'), p = e.parentElement;"
            " return e.scrollWidth <= e.offsetWidth + 1 && p.scrollHeight <= p.clientHeight + 1; }"
        )
        assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        opened.page.mouse.move(width / 2, height - 5)
        opened.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        opened.page.wait_for_timeout(200)
        assert whose.bounding_box()["y"] == pytest.approx(box["y"], abs=1)


def test_the_strip_shows_where_a_folder_begins(results: PageResults, open_page: Open) -> None:
    for number, name in enumerate(("P1/Arm/a", "P1/Arm/b", "P1/Cheek/c", "d", "P1/Arm/e")):
        results.scored(f"{name}.bmp", NOW + number)
    with open_page() as opened:
        opened.wait("() => document.querySelectorAll('.folder').length === 4")
        labels = opened.page.evaluate(
            "() => [...document.querySelectorAll('.folder')]"
            ".map((label) => [parseFloat(label.style.left), label.innerText])"
        )
        assert [(left / 96, text.split()) for left, text in sorted(labels)] == [
            (0, ["P1", "Arm"]), (2, ["P1", "Cheek"]), (3, ["no", "folder"]), (4, ["P1", "Arm"])
        ]  # fmt: skip


def test_a_dead_watch_dims_the_page_but_the_name_and_what_says_so(results: PageResults, open_page: Open) -> None:
    results.scored("P1/a.bmp", NOW)
    with open_page() as opened:
        opened.shown("P1/a.bmp")
        opened.server.process.kill()
        opened.wait("() => !document.getElementById('lost').hidden")
        assert re.match(r"No connection to the watch since \d.*No new image appears", opened.text("#lost"))
        for part in ("#place", "#standing", "#lost"):
            assert opened.page.locator(part).evaluate(SHADE) == 1, part
        for part in ("#frame", "#score", "#film"):
            assert opened.page.locator(part).evaluate(SHADE) == pytest.approx(0.6), part
        assert opened.page.evaluate("document.getElementById('frame').naturalWidth") == 100


def test_a_watch_that_is_stuck_is_dimmed_too(results: PageResults, open_page: Open) -> None:
    results.scored("P1/a.bmp", NOW)
    with open_page(beats=False) as opened:
        opened.page.wait_for_function("() => document.documentElement.dataset.link === 'stuck'", timeout=40_000)
        assert "does not answer" in opened.text("#faults")
        assert opened.page.locator("#stage").evaluate(SHADE) == pytest.approx(0.6)


def test_counts_are_called_old_when_they_are(results: PageResults, open_page: Open) -> None:
    results.scored("a.bmp", NOW)
    with open_page() as opened:
        opened.counts("0 waiting")
        opened.page.wait_for_timeout(5000)
        # without a backlog every change is told at once
        assert "old" not in opened.text("#standing")
        results.waiting(30)
        opened.counts("30 waiting")
        assert "old" not in opened.text("#standing")
        opened.wait("() => /counts \\d+ s old/.test(document.getElementById('standing').textContent)")
        age = int(re.search(r"counts (\d+) s old", opened.text("#standing"))[1])  # type: ignore[index]
        assert 3 <= age <= 12
