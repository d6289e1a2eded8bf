"""What is shown, in which order, and what keys and buttons do."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from opened_page import SIZES, OpenedPage
from page_results import PageResults

from runtime.ledger import open_ledger
from runtime.result import Score, SliceRecord

pytestmark = pytest.mark.timeout(120)

Open = Callable[..., AbstractContextManager[OpenedPage]]
NOW = time.time() - 3600
CHOSEN = """() => [...document.querySelectorAll("[aria-selected=true], input:checked")]
  .map((each) => each.id + each.value)"""
LONG = "Patient 0007 with a very long name that nobody would choose, born 1961/Left forearm, volar side, second visit"


def test_strip_arrows_and_now_go_by_the_time_images_were_saved(results: PageResults, open_page: Open) -> None:
    for name, saved in (("c.bmp", 3), ("a.bmp", 1), ("b.bmp", 2)):
        results.scored(name, NOW + saved)
    with open_page() as opened:
        opened.shown("c.bmp")
        opened.page.wait_for_timeout(500)
        assert opened.strip() == ["a.bmp", "b.bmp", "c.bmp"]
        for key, wanted in (("ArrowLeft", "b.bmp"), ("ArrowLeft", "a.bmp"), ("ArrowRight", "b.bmp"), ("f", "c.bmp")):
            opened.page.keyboard.press(key)
            opened.shown(wanted)


def test_now_ends_a_burst_on_the_image_saved_last(results: PageResults, open_page: Open) -> None:
    results.scored("v0.bmp", NOW)
    with open_page() as opened:
        opened.shown("v0.bmp")
        # the newest is scored first, then the others
        for number in (5, 4, 1, 3, 2):
            results.scored(f"v{number}.bmp", NOW + number)
            time.sleep(0.3)
        opened.counts("6 scored")
        opened.page.wait_for_timeout(1500)
        assert opened.image() == "v5.bmp"
        assert opened.strip()[-1] == "v5.bmp"


def test_now_follows_no_retry_no_deletion_and_no_image_that_failed_before(
    results: PageResults, open_page: Open
) -> None:
    results.failed("P1/broken.bmp", NOW)
    results.scored("P2/a.bmp", NOW + 1)
    with open_page() as opened:
        opened.shown("P2/a.bmp")
        row = opened.page.evaluate("document.querySelector('.shot').dataset.id")
        for change in (
            lambda: results.fail_again("P1/broken.bmp"),
            lambda: opened.server.ask(f"/api/retry/{row}", method="POST"),
            lambda: results.fail_again("P1/broken.bmp"),
            lambda: results.fail_again("P1/broken.bmp", gone=True),
        ):
            change()
            opened.page.wait_for_timeout(1500)
            assert opened.image() == "P2/a.bmp"
            assert opened.text("#whose") == "P2"
        # where the file is gone it keeps its place
        assert opened.strip() == ["P1/broken.bmp", "P2/a.bmp"]
        # a new image that fails is news
        results.failed("P3/new.bmp", NOW + 2)
        opened.shown("P3/new.bmp")
        assert opened.text("#whose") == "P3"


def test_an_image_that_disappears_from_the_ledger_leaves_now_where_it_is(results: PageResults, open_page: Open) -> None:
    results.failed("broken.bmp", NOW + 5)
    results.scored("a.bmp", NOW)
    with open_page() as opened:
        opened.page.keyboard.press("ArrowLeft")
        opened.shown("a.bmp")
        with open_ledger(results.out) as ledger:
            ledger.dropped(Path("broken.bmp"))
        opened.wait("() => document.querySelectorAll('.shot').length === 1")
        assert opened.image() == "a.bmp"


def test_name_and_picture_change_together(results: PageResults, open_page: Open) -> None:
    results.scored("P1/a.bmp", NOW)
    results.scored("P2/b.bmp", NOW + 1)
    with open_page() as opened:
        opened.shown("P2/b.bmp")
        held: list[Any] = []
        opened.page.route("**/frame*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
        opened.page.keyboard.press("ArrowLeft")
        seen = set()
        # the picture is on its way all the time
        for _ in range(12):
            opened.page.wait_for_timeout(100)
            whose, alt, stage = opened.page.evaluate(
                "() => [document.getElementById('whose').textContent, document.getElementById('frame').alt,"
                " document.getElementById('stage').dataset.shown]"
            )
            seen.add((whose, alt.partition("/")[0] if stage else ""))
        assert seen == {("P2", "P2"), ("P1", "")}
        assert "loading" in opened.text("#nothing")
        for route in held:
            route.continue_()
        opened.wait("() => document.getElementById('frame').alt.startsWith('P1/a.bmp,')")
        assert opened.text("#whose") == "P1"


def test_without_a_connection_no_name_stands_beside_another_picture(results: PageResults, open_page: Open) -> None:
    results.scored("P1/a.bmp", NOW)
    results.scored("P2/b.bmp", NOW + 1)
    with open_page() as opened:
        opened.shown("P2/b.bmp")
        opened.server.process.kill()
        opened.wait("() => !document.getElementById('lost').hidden")
        opened.page.keyboard.press("ArrowLeft")
        opened.shown("P1/a.bmp")
        assert opened.text("#nothing") == "P1/a.bmp: no connection to the watch"
        assert opened.page.evaluate("document.getElementById('frame').getAttribute('src')") is None


@pytest.mark.parametrize("clicked", ["#tab-session", "#tab-health", "#tab-now", "text=Scored", "text=Raw", "text=Map"])
def test_arrows_move_through_images_after_a_click(results: PageResults, open_page: Open, clicked: str) -> None:
    for number in range(3):
        results.scored(f"v{number}.bmp", NOW + number)
    with open_page() as opened:
        opened.shown("v2.bmp")
        if clicked.startswith("#"):
            opened.page.click(clicked)
        else:
            opened.page.locator("label", has_text=clicked.removeprefix("text=")).click()
        selected = opened.page.evaluate(CHOSEN)
        opened.page.keyboard.press("ArrowLeft")
        opened.wait("() => document.querySelector('#facts dd').textContent === 'v1.bmp'")
        opened.page.keyboard.press("ArrowLeft")
        opened.wait("() => document.querySelector('#facts dd').textContent === 'v0.bmp'")
        opened.page.keyboard.press("ArrowRight")
        opened.wait("() => document.querySelector('#facts dd').textContent === 'v1.bmp'")
        now = opened.page.evaluate(CHOSEN)
        assert now == selected


def test_the_slider_gives_the_arrows_back_when_it_was_dragged(results: PageResults, open_page: Open) -> None:
    for number in range(2):
        results.scored(f"v{number}.bmp", NOW + number)
    with open_page() as opened:
        opened.shown("v1.bmp")
        opened.page.click("#opacity", position={"x": 200, "y": 12})
        said = opened.text("#opacity-said")
        assert said != "50 %"
        opened.page.keyboard.press("ArrowLeft")
        opened.shown("v0.bmp")
        assert opened.text("#opacity-said") == said


@pytest.mark.parametrize("size", list(SIZES))
def test_buttons_stay_where_they_are_whatever_the_warning_and_the_name(
    results: PageResults, open_page: Open, size: str
) -> None:
    results.scored("P1/a.bmp", NOW)
    results.scored("P1/b.bmp", NOW + 1, reasons=["unlike anything that was ever seen " * 12])
    results.failed(f"{LONG}/c.bmp", NOW + 2, "cut " * 80)
    results.withheld("d.bmp", NOW + 3)
    with open_page() as opened:
        opened.size(size)
        places = set()
        ids = ["previous", "next", "follow"] + (["opacity", "fit"] if size == "desktop" else [])
        for name in ("d.bmp", f"{LONG}/c.bmp", "P1/b.bmp", "P1/a.bmp"):
            opened.shown(name)
            places.add(str([opened.page.locator(f"#{each}").bounding_box() for each in ids]))
            opened.page.click("#previous")
        assert len(places) == 1, places


def slice_of(number: int, mean: float | None, reasons: tuple[str, ...] = ()) -> SliceRecord:
    areas = {"none": 0.5, "mild": 0.3, "severe": 0.2}
    score = None if mean is None else Score(mean, round(mean), areas, 0.0)
    return SliceRecord(number, None, "scored" if score else "withheld", reasons, score)


def test_slices_are_numbered_from_1_and_have_their_own_score(results: PageResults, open_page: Open) -> None:
    slices = [slice_of(0, 0.25), slice_of(1, 1.75, ("blur",)), slice_of(2, None, ("dark",))]
    # the words of an earlier version, which count from 0
    results.scored("s.tif", NOW, mean=1.0, grade=1, slices=slices, reasons=["slice 1: blur", "slice 2: dark"])
    with open_page() as opened:
        opened.shown("s.tif")
        opened.wait("() => document.getElementById('slice').textContent === 'slice 1 of 3'")
        assert opened.text("#slice-score") == "Slice 1: 0.25, none"
        assert opened.text("#quantity") == "Dryness, all slices"
        assert opened.text("#warnings").splitlines() == ["slice 2: blur", "slice 3: dark"]
        for number, said in ((2, "Slice 2: 1.75, severe"), (3, "Slice 3: withheld")):
            opened.page.click("#deeper")
            opened.wait("said => document.getElementById('slice-score').textContent === said", said)
            assert opened.text("#slice") == f"slice {number} of 3"
        assert opened.page.is_disabled("#deeper")
        assert not re.search(r"slice 0", opened.text("body"), re.IGNORECASE)
