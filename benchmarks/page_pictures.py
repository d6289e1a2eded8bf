"""The pictures of the operator's page in README and docs: a real watch on synthetic frames, the page in real Chromium.

python -m benchmarks.page_pictures FOLDER
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.browser import CHROMIUM, chromium
from benchmarks.child_process import exit_with
from benchmarks.operator_page import SIZE, watching
from runtime.errors import InflamapError
from trainer.phantom import draw_subjects, paint_frame
from trainer.phantom.files import draw_severity_map, encode_bmp

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

FRAMES = 14
SITES = ("Patient 01/Forearm", "Patient 01/Cheek", "Patient 02/Forearm", "Patient 03/Elbow")
UPRIGHT: "ViewportSize" = {"width": 820, "height": 1180}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if CHROMIUM is None:
        raise InflamapError("no Chromium here", next_step="apt-get install chromium")
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        place = Path(name) / "microscope"
        place.mkdir()
        with watching(place, "--settle", "0.2") as url:
            page = browser.new_page(viewport=SIZE)
            page.goto(url)
            save_session(place)
            page.wait_for_function("() => document.getElementById('standing').textContent.includes('1 failed')")
            page.wait_for_function(f"() => document.querySelectorAll('.shot img').length >= {FRAMES - 3}")
            page.keyboard.press("ArrowLeft")
            page.wait_for_timeout(800)
            stage = page.locator("#stage").bounding_box()
            assert stage is not None
            page.mouse.move(stage["x"] + 0.55 * stage["width"], stage["y"] + 0.4 * stage["height"])
            picture(page, folder / "page-now.jpg")
            page.mouse.move(5, 5)
            for view in ("session", "health"):
                page.click(f"#tab-{view}")
                page.wait_for_timeout(1200)
                picture(page, folder / f"page-{view}.jpg")
            page.click("#tab-now")
            page.click("#theme")
            page.set_viewport_size(UPRIGHT)
            page.wait_for_timeout(800)
            picture(page, folder / "page-tablet.jpg")
    return 0


def save_session(place: Path) -> None:
    """Frames of several sites, among them a blank one and a copy that broke off."""
    for number, subject in enumerate(draw_subjects(3, FRAMES)):
        rng = np.random.default_rng(number)
        frame = encode_bmp(paint_frame(subject, draw_severity_map(rng), rng))
        site = place / "in" / SITES[number * len(SITES) // FRAMES]
        site.mkdir(parents=True, exist_ok=True)
        (site / f"v{number:07d}.bmp").write_bytes(frame)
        if number == 5:
            (site / "v0000099.bmp").write_bytes(encode_bmp(np.full((1000, 1000), 22, np.uint8)))
        if number == 7:
            (site / "v0000098.bmp").write_bytes(frame[:400_000])
        time.sleep(0.6)


def picture(page: Any, path: Path) -> None:
    """What is seen now."""
    page.screenshot(path=path, type="jpeg", quality=82)


if __name__ == "__main__":
    exit_with(main)
