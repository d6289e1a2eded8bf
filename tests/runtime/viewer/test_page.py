"""What the person at the microscope sees, in a real browser before a real watch."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from runtime.version import NOTICE, SYNTHETIC_WARNING

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the watch is stopped by a signal"),
    pytest.mark.timeout(180),
]
EVIL = "a#b <script>document.title='owned'<!--.bmp"
WAIT_MS = 20_000
STUCK = "() => document.getElementById('faults').textContent.includes('does not answer')"


class Room:
    """A watched folder, the watch, and the page in a browser."""

    def __init__(self, place: Path, save: Callable[[Path, npt.NDArray[Any]], str], port: int = 0) -> None:
        self.folder, self.out = place / "in", place / "out"
        self.folder.mkdir(exist_ok=True)
        self._save, self._log, self._port = save, place / "log", port
        self._watch: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start the watch; its page has the same address each time."""
        command = [sys.executable, "-m", "runtime.cli", "watch", str(self.folder), "--out", str(self.out)]
        command += ["--settle", "0.2", "--min-free", "0", "--um-per-px", "0.5", "--priority", "normal"]
        with self._log.open("wb") as log:
            self._watch = subprocess.Popen([*command, "--viewer", f"127.0.0.1:{self._port}"], stderr=log)
        deadline = time.monotonic() + 60
        while not (found := re.search(r"page: (http://127\.0\.0\.1:(\d+)/)", self._log.read_text())):
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)
        self.url, self._port = found[1], int(found[2])

    def stop(self) -> None:
        """Stop the watch."""
        if self._watch is not None:
            self._watch.send_signal(signal.SIGTERM)
            self._watch.wait(60)

    def pause(self, on: bool) -> None:
        """Stop the watch's process in its tracks, or have it go on."""
        assert self._watch is not None
        self._watch.send_signal(signal.SIGSTOP if on else signal.SIGCONT)

    def add(self, name: str, pixels: npt.NDArray[np.uint8]) -> None:
        """Save an image, as the microscope does."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        self._save(self.folder / name, pixels)


@pytest.fixture
def room(tmp_path: Path, save_image: Callable[[Path, npt.NDArray[Any]], str]) -> Iterator[Room]:
    found = Room(tmp_path, save_image)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def page(room: Room, browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    found = context.new_page()
    found.set_default_timeout(WAIT_MS)
    found.errors = []
    found.on("pageerror", lambda error: found.errors.append(str(error)))

    def note_console(said: Any) -> None:
        # a picture that is gone is no fault of the page
        if said.type == "error" and "404" not in said.text:
            found.errors.append(said.text)

    def note_request(asked: Any) -> None:
        if not asked.url.startswith((room.url, "blob:")):
            found.errors.append(asked.url)

    found.on("console", note_console)
    found.on("request", note_request)
    found.goto(room.url)
    yield found
    context.close()
    assert found.errors == []


def wait_for(page: Any, expression: str, argument: Any = None) -> None:
    page.wait_for_function(expression, arg=argument, timeout=WAIT_MS)


def shown(page: Any, name: str) -> None:
    """Wait until the image of that name is on the stage."""
    wait_for(page, "name => document.getElementById('frame').alt.startsWith(name + ',')", name)


def scored(page: Any, number: int) -> None:
    """Wait until so many images are scored."""
    wait_for(page, "n => document.getElementById('standing').textContent.includes(`${n} scored`)", number)


def test_frames_appear_by_themselves_with_score_and_map(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    assert "No image yet" in page.inner_text("#nothing")
    assert NOTICE in page.inner_text("#notice")
    room.add("P1/v1.bmp", skin)
    shown(page, "P1/v1.bmp")
    assert re.fullmatch(r"\d\.\d\d", page.inner_text("#score"))
    assert SYNTHETIC_WARNING in page.inner_text("#synthetic")
    record = (room.out / "P1" / "v1.bmp.score.json").read_text()
    assert f'"mean": {page.inner_text("#score")[:3]}' in record
    assert page.evaluate("document.getElementById('map').width") > 10
    room.add("P1/v2.bmp", skin[::-1].copy())
    shown(page, "P1/v2.bmp")
    assert "P1/v2.bmp" in page.inner_text("#facts")


def test_pointer_reads_the_local_grade_at_its_place(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add("v.bmp", skin)
    shown(page, "v.bmp")
    grades = tifffile.imread(room.out / "v.bmp.map.ome.tif")[0]
    stage = page.locator("#stage").bounding_box()
    scale = min(stage["width"], stage["height"]) / skin.shape[0]
    left, top = (stage["width"] - scale * skin.shape[1]) / 2, (stage["height"] - scale * skin.shape[0]) / 2
    for row, column in ((2, 3), (5, 9), (grades.shape[0] - 1, grades.shape[1] - 1)):
        x, y = cell_middle(room, row, column)
        page.mouse.move(stage["x"] + left + scale * x, stage["y"] + top + scale * y)
        said = page.inner_text("#readout")
        assert f"x {x / 2:.0f} µm, y {y / 2:.0f} µm" in said
        value = grades[row, column]
        if np.isfinite(value):
            assert abs(float(re.search(r"grade (\d\.\d+)", said)[1]) - value) < 0.006
        else:
            assert "not scored" in said
    page.mouse.move(stage["x"] + left + 3, stage["y"] + top + 3)
    assert "no cell here" in page.inner_text("#readout")
    page.mouse.move(stage["x"] + 1, stage["y"] + 1)
    assert page.inner_text("#readout") == ""


def cell_middle(room: Room, row: int, column: int) -> tuple[float, float]:
    """Where a cell's middle is on the frame, in px of 0.5 µm, by the record."""
    found = json.loads((room.out / "v.bmp.score.json").read_text())["map"]
    cell = 2 * found["origin_um"][0] * found["stride_px"] / found["patch_px"]
    return (found["origin_um"][0] + column * cell) / 0.5, (found["origin_um"][1] + row * cell) / 0.5


def test_slider_and_views_change_what_covers_the_frame(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add("v.bmp", skin)
    shown(page, "v.bmp")
    opacity = "Number(getComputedStyle(document.getElementById('map')).opacity)"
    assert page.evaluate(opacity) == 0.5
    page.focus("#opacity")
    page.keyboard.press("End")
    assert page.evaluate(opacity) == 1
    assert page.inner_text("#opacity-said") == "100 %"
    page.keyboard.press("Home")
    assert page.evaluate(opacity) == 0
    page.focus("#stage")
    for key, wanted in (("3", 1), ("1", 0)):
        page.keyboard.press(key)
        assert page.evaluate(opacity) == wanted
    assert page.is_checked("input[value=raw]")


def test_zoom_and_pan_by_wheel_pointer_and_keys(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add("v.bmp", skin)
    shown(page, "v.bmp")
    place = "new DOMMatrix(getComputedStyle(document.getElementById('layer')).transform)"
    fitted = page.evaluate(f"{place}.a")
    stage = page.locator("#stage").bounding_box()
    middle = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.mouse.move(*middle)
    page.mouse.wheel(0, -300)
    wait_for(page, f"before => {place}.a > 1.5 * before", fitted)
    before = page.evaluate(f"{place}.e")
    page.mouse.down()
    page.mouse.move(middle[0] + 80, middle[1])
    page.mouse.up()
    assert page.evaluate(f"{place}.e") == pytest.approx(before + 80, abs=1)
    page.focus("#stage")
    page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate(f"{place}.e") == pytest.approx(before + 140, abs=1)
    page.keyboard.press("+")
    assert page.evaluate(f"{place}.a") > 2 * fitted
    page.keyboard.press("0")
    assert page.evaluate(f"{place}.a") == pytest.approx(fitted)


def test_previous_next_and_newest_by_keys_and_the_filter(
    room: Room, page: Any, skin: npt.NDArray[np.uint8], patch_of_skin: npt.NDArray[np.uint8]
) -> None:
    for number in range(3):
        room.add(f"v{number}.bmp", np.roll(skin, 40 * number, axis=1))
        shown(page, f"v{number}.bmp")
    room.add("blank.bmp", np.full_like(patch_of_skin, 30))
    shown(page, "blank.bmp")
    page.keyboard.press("ArrowLeft")
    shown(page, "v2.bmp")
    page.keyboard.press("ArrowLeft")
    shown(page, "v1.bmp")
    # while somebody looks at one, the newest does not push it away
    room.add("v4.bmp", skin)
    scored(page, 4)
    assert page.get_attribute("#frame", "alt").startswith("v1.bmp,")
    page.keyboard.press("ArrowRight")
    shown(page, "v2.bmp")
    page.keyboard.press("f")
    shown(page, "v4.bmp")
    page.locator("#filter label", has_text="Withheld").click()
    wait_for(page, "() => document.querySelectorAll('.shot').length === 1")
    page.click(".shot")
    shown(page, "blank.bmp")
    assert "blank" in page.inner_text("#warnings")


def test_retry_heals_an_image_that_failed(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add("v.bmp", skin)
    shown(page, "v.bmp")
    whole = (room.folder / "v.bmp").read_bytes()
    # cut by a copy that broke off, and mended without a change that tells of it
    (room.folder / "cut.bmp").write_bytes(whole[:5000])
    wait_for(page, "() => document.getElementById('standing').textContent.includes('1 failed')")
    page.click("#tab-health")
    row = page.locator("#troubles tbody tr", has_text="cut.bmp")
    assert "truncated" in row.inner_text()
    before = (room.folder / "cut.bmp").stat()
    room.pause(True)
    (room.folder / "cut.bmp").write_bytes(whole)
    os.utime(room.folder / "cut.bmp", ns=(before.st_atime_ns, before.st_mtime_ns))
    room.pause(False)
    row.locator("button", has_text="Retry").click()
    wait_for(page, "() => document.getElementById('standing').textContent.includes('0 failed')")
    page.click("#tab-now")
    page.click("#follow")
    page.click("#follow")
    shown(page, "cut.bmp")


def test_names_are_text_whatever_they_hold(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add(EVIL, skin)
    room.add("odd/<b>bold & 100 %.bmp", skin)
    scored(page, 2)
    page.locator(f".shot[title^='{EVIL[:4]}']").click()
    shown(page, EVIL)
    for tab in ("#tab-session", "#tab-health", "#tab-now"):
        page.click(tab)
        page.wait_for_timeout(300)
    assert page.title() == "inflamap"
    assert EVIL in page.inner_text("#facts")
    assert page.locator("script").count() == 1
    assert page.locator("b:has-text('bold')").count() == 0


def test_session_has_a_chart_and_a_row_a_folder(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add("P1/a.bmp", skin)
    room.add("P2/b.bmp", skin[::-1].copy())
    scored(page, 2)
    page.click("#tab-session")
    wait_for(page, "() => document.querySelectorAll('#folders tbody tr').length === 3")
    assert "Scores of 2 images" in page.get_attribute("#chart", "aria-label")
    row = page.locator("#folders tbody tr", has_text="P1").last
    row.locator("button").click()
    shown(page, "P1/a.bmp")
    assert page.is_visible("#stage")


def test_page_comes_back_after_the_watch_was_started_anew(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add("before.bmp", skin)
    shown(page, "before.bmp")
    room.stop()
    wait_for(page, "() => document.getElementById('standing').textContent.includes('no connection')")
    page.errors.clear()
    room.start()
    room.add("after.bmp", skin[::-1].copy())
    shown(page, "after.bmp")
    wait_for(page, "() => document.getElementById('standing').dataset.state === 'live'")
    page.errors.clear()


def test_stack_shows_its_slices(room: Room, page: Any, patch_of_skin: npt.NDArray[np.uint8]) -> None:
    tifffile.imwrite(room.folder / "s.tif", np.stack([patch_of_skin, patch_of_skin[::-1]]))
    shown(page, "s.tif")
    assert page.inner_text("#slice") == "slice 1 of 2"
    page.click("#deeper")
    wait_for(page, "() => document.getElementById('slice').textContent === 'slice 2 of 2'")
    wait_for(page, "() => document.getElementById('frame').src.includes('slice=1')")


def test_overlay_stands_in_where_the_frame_is_gone(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add("a.bmp", skin)
    shown(page, "a.bmp")
    room.add("b.bmp", skin)
    shown(page, "b.bmp")
    room.stop()
    (room.folder / "a.bmp").unlink()
    room.start()
    wait_for(page, "() => document.getElementById('standing').dataset.state === 'live'")
    page.errors.clear()
    page.keyboard.press("ArrowLeft")
    wait_for(page, "() => document.getElementById('frame').src.includes('/overlay')")


def test_nothing_keeps_people_from_using_it(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    (room.folder / "broken.bmp").write_bytes(b"BM")
    room.add("P1/a.bmp", skin)
    scored(page, 1)
    shown(page, "P1/a.bmp")
    for theme in ("dark", "light"):
        for tab in ("#tab-now", "#tab-session", "#tab-health"):
            page.click(tab)
            page.wait_for_timeout(400)
            found = axe.run(page).response["violations"]
            serious = [each["id"] for each in found if each["impact"] in ("serious", "critical")]
            assert serious == [], (theme, tab, [node["html"] for each in found for node in each["nodes"]])
        page.click("#theme")


def test_everything_can_be_reached_by_the_keyboard(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add("a.bmp", skin)
    shown(page, "a.bmp")
    page.focus("#tab-now")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"theme", "stage", "previous", "next", "follow", "view", "opacity", "fit", "filter", "strip"} <= set(reached)
    page.focus("#tab-now")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#session")
    assert page.evaluate("document.activeElement.id") == "tab-session"


@pytest.mark.parametrize("size", [(1280, 800), (820, 1180), (1024, 768)], ids=["desktop", "tablet upright", "tablet"])
def test_nothing_is_cut_off(room: Room, page: Any, skin: npt.NDArray[np.uint8], size: tuple[int, int]) -> None:
    room.add("A patient with a rather long name/Site 1/v0000001.bmp", skin)
    scored(page, 1)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for tab in ("#tab-now", "#tab-session", "#tab-health"):
        page.click(tab)
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert page.is_visible("#notice")
        assert page.is_visible("#synthetic")
    page.click("#tab-now")
    stage = page.locator("#stage").bounding_box()
    assert stage["width"] > 0.45 * size[0]
    assert stage["height"] > 0.3 * size[1]


def test_a_watch_that_is_stuck_is_told(room: Room, page: Any, skin: npt.NDArray[np.uint8]) -> None:
    room.add("a.bmp", skin)
    scored(page, 1)
    room.pause(True)
    try:
        page.wait_for_function(STUCK, timeout=60_000)
        assert page.request.get(f"{room.url}healthz").status == 503
    finally:
        room.pause(False)
    page.wait_for_function("() => document.getElementById('faults').hidden", timeout=WAIT_MS)
    assert page.request.get(f"{room.url}healthz").status == 200
    shutil.rmtree(room.folder)
    wait_for(page, "() => !document.getElementById('faults').hidden")
