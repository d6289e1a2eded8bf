"""Is the operator's page quick, and does it cost scoring anything: a real watch, and its page in real Chromium.

    python -m benchmarks.operator_page [--short] [--only PART]

- latency: frames saved one a second; from a result's record on the disk to the picture on the page.
- load: backlogs of the same frames scored with no page open and with five, in turns. The browsers run at the lowest
  priority, as if on other machines; what they ask of this one is what counts, and what two cores share.
- session: 2000 results; how long until the page is painted, how long a scrolled film strip takes to a frame, and how
  the page's memory stands after 500 further updates.

Frames are synthetic, the model is the one that ships. Ends with 1 where a limit is not kept.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import numpy as np
import psutil

from benchmarks.browser import CHROMIUM, chromium
from benchmarks.child_process import exit_with
from benchmarks.engine_bench.frames import paint_frames
from benchmarks.rehearsal import started_watch
from runtime.console import Reporter, reporter
from runtime.errors import CheckFailed, InflamapError
from runtime.ledger import ImageRow, Ledger, open_ledger
from runtime.outputs import MAP, OVERLAY, SCORE
from runtime.result import Result
from runtime.viewer.reading import ALL_AGAIN_S

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

MOST_P95_S = 1.0
LEAST_SHARE = 0.95
# of three short turns, which a shared machine spreads by a tenth
LEAST_SHARE_SHORT = 0.8
MOST_PAINT = 2.0
MOST_SCROLL_MS = 50.0
MOST_GROWTH = 1.25
PAGES = 5
SIZE: "ViewportSize" = {"width": 1280, "height": 800}
PATIENCE_S = 180.0
# when the picture of an image was painted: two frames after it was put there
_WHEN_SHOWN = """() => {
  window.shownAt = {};
  new MutationObserver(() => requestAnimationFrame(() => requestAnimationFrame(() => {
    const id = document.documentElement.dataset.shown;
    window.shownAt[id] ??= Date.now();
  }))).observe(document.documentElement, { attributes: true, attributeFilter: ["data-shown"] });
}"""
# the longest time between two frames while the strip is drawn past, in ms
_SCROLL = """async () => {
  const strip = document.getElementById("strip");
  const times = [];
  for (let step = 0; step < 60; step += 1) {
    strip.scrollLeft = (strip.scrollWidth * step) / 60;
    const before = performance.now();
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - before);
  }
  return times;
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a tenth of it, as CI runs it")
    parser.add_argument("--only", choices=["latency", "load", "session"])
    chosen = parser.parse_args()
    short = chosen.short
    if CHROMIUM is None:
        raise InflamapError("no Chromium here", next_step="apt-get install chromium")
    with tempfile.TemporaryDirectory() as name, reporter() as report, chromium() as browser:
        place = Path(name)
        frames = paint_frames(place / "frames", report.progress).paths
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "latency": lambda: latency(place / "latency", frames, browser, 10 if short else 100, report),
            "load": lambda: load(place / "load", frames, browser, (3, 60) if short else (6, 400), report),
            "session": lambda: session(place / "session", frames, browser, (400, 30) if short else (2000, 500)),
        }
        found = {name: part() for name, part in parts.items() if chosen.only in (None, name)}
    print(json.dumps(found, indent=2))
    faults = [fault for part in found.values() for fault in part["faults"]]
    print("\n".join(faults) or "all limits are kept")
    return int(bool(faults))


def latency(place: Path, frames: tuple[Path, ...], browser: Any, count: int, report: Reporter) -> dict[str, Any]:
    """Seconds from the record on the disk to the picture on the page."""
    with watching(place, "--settle", "0.2") as url:
        page = browser.new_page(viewport=SIZE)
        page.goto(url)
        page.evaluate(_WHEN_SHOWN)
        for number in range(count):
            copy(frames, number, place / "in")
            time.sleep(1.0)
            report.progress("showing", number + 1, count)
        wait_for(lambda: len(page.evaluate("window.shownAt")) >= count)
        shown = page.evaluate("window.shownAt")
        page.close()
        entries = asked(url)["entries"]
    records = {entry["id"]: (place / "out" / f"{entry['name']}.score.json").stat().st_mtime for entry in entries}
    seconds = [shown[each] / 1000 - at for each, at in records.items()]
    p95 = float(np.percentile(seconds, 95))
    return {
        "frames": len(seconds),
        "p50_s": round(float(np.median(seconds)), 3),
        "p95_s": round(p95, 3),
        "max_s": round(max(seconds), 3),
        "faults": [f"latency: p95 {p95:.2f} s, wanted at most {MOST_P95_S:g}"] if p95 > MOST_P95_S else [],
    }


def load(
    place: Path, frames: tuple[Path, ...], browser: Any, rounds: tuple[int, int], report: Reporter
) -> dict[str, Any]:
    """Frames a second with and without pages, in turns, of one watch that has a page's process all the time."""
    turns, backlog = rounds
    rates: list[float] = []
    with watching(place, "--settle", "0", "--priority", "normal") as url:
        rate_of(place, frames, "warming up", backlog)
        # none, five, none, five, none
        for turn in range(2 * turns + 1):
            with ExitStack() as stack:
                for _ in range(PAGES if turn % 2 else 0):
                    page = browser.new_page(viewport=SIZE)
                    stack.callback(page.close)
                    page.goto(url)
                    page.wait_for_function("() => document.documentElement.dataset.shown")
                lower_priority_of_browsers()
                # they are open, not being opened
                time.sleep(2.0)
                rates.append(rate_of(place, frames, f"turn {turn}", backlog))
            report.progress("scoring", turn + 1, 2 * turns + 1)
    # each with pages against those without before and after it, for a shared machine drifts
    shares = [2 * rates[at] / (rates[at - 1] + rates[at + 1]) for at in range(1, len(rates), 2)]
    share = statistics.median(shares)
    least = LEAST_SHARE if turns > 3 else LEAST_SHARE_SHORT
    return {
        "frames_per_second_without": [round(rate, 1) for rate in rates[::2]],
        "frames_per_second_with_pages": [round(rate, 1) for rate in rates[1::2]],
        "share": round(share, 3),
        "shares": [round(each, 3) for each in shares],
        "faults": [f"load: {share:.3f} of the rate without, wanted {least:g}"] if share < least else [],
    }


def lower_priority_of_browsers() -> None:
    """As if they ran elsewhere; also among Linux's groups of sessions, between which nice alone says nothing."""
    for process in psutil.Process().children(recursive=True):
        if "chrom" in process.name():
            process.nice(19)
            with suppress(OSError):
                Path(f"/proc/{process.pid}/autogroup").write_text("19")


def rate_of(place: Path, frames: tuple[Path, ...], turn: str, backlog: int) -> float:
    """Results a second while a backlog is done, from the first to the last."""
    waiting = place / turn
    for number in range(backlog):
        copy(frames, number, waiting)
    waiting.rename(place / "in" / turn)
    with open_ledger(place / "out") as ledger:
        wait_for(lambda: sum(row.path.parts[0] == turn for row in ledger.newest(backlog)) == backlog)
        done = sorted(row.finished or 0.0 for row in ledger.newest(backlog))
    return (backlog - 1) / (done[-1] - done[0])


def session(place: Path, frames: tuple[Path, ...], browser: Any, sizes: tuple[int, int]) -> dict[str, Any]:
    """A page of many results, and then more of them."""
    results, updates = sizes
    with watching(place, "--settle", "0.2") as url:
        copy(frames, 0, place / "in")
        with open_ledger(place / "out") as ledger:
            wait_for(lambda: bool(ledger.newest(1)))
            (row,) = ledger.newest(1)
            record = Result.from_json(json.loads((place / "out" / f"{row.path}.score.json").read_text()))
            # the first of all loads what decodes pictures
            for _ in range(2):
                page, alone_s = painted(browser, url)
                page.close()
            add_results(ledger, place / "out", row, record, range(results))
        wait_for(lambda: asked(url)["health"]["counts"]["scored"] == results + 1)
        # and until nothing of it is news any more
        time.sleep(ALL_AGAIN_S + 1.0)
        page, painted_s = painted(browser, url)
        scrolls = page.evaluate(_SCROLL)
        page.click("#tab-session")
        page.wait_for_function("() => document.querySelector('#folders tbody tr')")
        page.click("#tab-now")
        before = memory(page)
        with open_ledger(place / "out") as ledger:
            for number in range(updates):
                add_results(ledger, place / "out", row, record, range(results + number, results + number + 1))
                # each is told by itself
                time.sleep(0.42)
        page.wait_for_function(f"() => document.querySelector('#filter b').textContent == {results + updates + 1}")
        page.wait_for_timeout(1500)
        after = memory(page)
        page.close()
    slow = float(np.percentile(scrolls, 95))
    limits = (
        ("first paint against that of one result", painted_s / alone_s, MOST_PAINT, ""),
        ("a frame while scrolling, p95,", slow, MOST_SCROLL_MS, "ms"),
        ("memory after against before", after["heap_mb"] / before["heap_mb"], MOST_GROWTH, ""),
        ("nodes after against before", after["nodes"] / before["nodes"], MOST_GROWTH, ""),
    )
    return {
        "results": results,
        "first_paint_s": round(painted_s, 3),
        "first_paint_of_one_s": round(alone_s, 3),
        "scroll_p95_ms": round(slow, 1),
        "updates": updates,
        "before": before,
        "after": after,
        "faults": [
            f"session: {what} {value:.2f} {unit}, wanted at most {most:g}"
            for what, value, most, unit in limits
            if value > most
        ],
    }


def painted(browser: Any, url: str) -> tuple[Any, float]:
    """A new page, and seconds until its picture and the first ones of its film strip are there."""
    page = browser.new_page(viewport=SIZE)
    began = time.monotonic()
    page.goto(url)
    page.wait_for_function("() => document.documentElement.dataset.shown && document.querySelector('.shot img')")
    return page, time.monotonic() - began


def asked(url: str) -> dict[str, Any]:
    """What a new page is told."""
    with urlopen(f"{url}api/session") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def add_results(ledger: Ledger, out: Path, like: ImageRow, result: Result, numbers: range) -> None:
    """Results that nobody scored: the ledger's rows, and the files of another one, whose frames are gone."""
    for number in numbers:
        name = Path(f"Patient {number // 200}") / f"v{number:07d}.bmp"
        (out / name.parent).mkdir(exist_ok=True)
        for suffix in (SCORE, OVERLAY, MAP):
            os.link(out / f"{like.path}{suffix}", out / f"{name}{suffix}")
        ledger.restore([(name, result, time.time())])


def memory(page: Any) -> dict[str, float]:
    """What the page holds, after its garbage was collected."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.collectGarbage")
    devtools.send("Performance.enable")
    found = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    devtools.detach()
    return {"heap_mb": round(found["JSHeapUsedSize"] / 1e6, 2), "nodes": int(found["Nodes"])}


@contextmanager
def watching(place: Path, *options: str) -> Iterator[str]:
    """A watch with its page; the page's address."""
    (place / "in").mkdir(parents=True)
    log = place / "log"
    command = ["watch", str(place / "in"), "--out", str(place / "out"), "--min-free", "0", "--viewer", "127.0.0.1:0"]
    with started_watch([*command, *options], place / "out", log):
        wait_for(lambda: b"page: " in log.read_bytes())
        found = re.search(r"page: (\S+)", log.read_text())
        assert found
        yield found[1]


def copy(frames: tuple[Path, ...], number: int, folder: Path) -> None:
    """Save one of the frames, as another image."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(frames[number % len(frames)], folder / f"v{number:07d}.bmp")


def wait_for(holds: Any) -> None:
    """Raises CheckFailed where it does not come to hold."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise CheckFailed(f"nothing came within {PATIENCE_S:.0f} s")
        time.sleep(0.05)


if __name__ == "__main__":
    exit_with(main)
