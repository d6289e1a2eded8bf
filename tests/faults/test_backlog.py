"""Ten thousand images are no burden: found almost as fast as a walk goes, the newest next, idle for next to nothing.

pytest -m '' -s tests/faults/test_backlog.py      # the full form: idle for a minute
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from crowd import crowd, know, watching

from runtime.folder_watch import watch_folder
from runtime.ledger import Ledger, open_ledger
from runtime.ledger.ledger import Arrival
from runtime.patience import WatchSettings
from runtime.settling import AtRest

COUNT = 10_000
MOST_OF_A_WALK = 3.0
MOST_IDLE = 0.01


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten thousand files that are named as images; what they hold does not matter."""
    place = tmp_path_factory.mktemp("crowd") / "in"
    place.mkdir()
    crowd(place, COUNT, b"BM")
    return place


def walk(folder: Path) -> int:
    """What has to be done at the least: every name, and every file's size and time."""
    count = 0
    for place, _, names in os.walk(folder):
        for name in names:
            os.stat(os.path.join(place, name))  # noqa: PTH116, PTH118 - what it is held against
            count += 1
    return count


@dataclass(frozen=True)
class Discovery:
    """What it took, in walks over the same tree; medians of interleaved repeats. `walk_ms`: one of them."""

    found: float
    in_ledger: float
    again: float
    walk_ms: float


def discover(folder: Path, place: Path, repeats: int) -> Discovery:
    """From nothing to all of them at rest, and once more as a next start does, beside a plain walk each time."""
    walk_s, found_s, ledger_s, again_s = list[float](), list[float](), list[float](), list[float]()
    for number in range(repeats):
        started = time.perf_counter()
        assert walk(folder) == COUNT
        walk_s.append(time.perf_counter() - started)
        out = place / f"{number}"
        out.mkdir(parents=True)
        with open_ledger(out, create=True) as ledger:
            started = time.perf_counter()
            at_rest = all_at_rest(folder, ledger)
            found_s.append(time.perf_counter() - started)
            assert len(at_rest) == COUNT
            ledger.arrived(Arrival(path, state, time.time() - rested_s) for path, state, rested_s in at_rest)
            ledger_s.append(time.perf_counter() - started)
            started = time.perf_counter()
            assert all_at_rest(folder, ledger) == []
            again_s.append(time.perf_counter() - started)
    found, in_ledger, again = (
        statistics.median(s / w for s, w in zip(times, walk_s, strict=True)) for times in (found_s, ledger_s, again_s)
    )
    return Discovery(found, in_ledger, again, 1000 * statistics.median(walk_s))


def all_at_rest(folder: Path, ledger: Ledger) -> list[AtRest]:
    with watch_folder(folder, WatchSettings(events=False), known=ledger.known_of, warn=pytest.fail) as found:
        at_rest = found.poll()
        while found.busy:
            at_rest += found.poll()
        return at_rest


@pytest.mark.timeout(240)
def test_ten_thousand_are_discovered_in_three_walks(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # what else the machine does only adds to it
    for attempt in range(3):
        took = discover(folder, tmp_path / f"{attempt}", repeats=7)
        if took.found <= MOST_OF_A_WALK:
            break
    with capsys.disabled():
        print(
            f"\n{COUNT} images: found and at rest in {took.found:.2f} times os.walk + os.stat over the same tree "
            f"({took.walk_ms:.0f} ms), in the ledger too in {took.in_ledger:.2f} times; looked through again by the "
            f"next start in {took.again:.2f} times"
        )
    assert took.found <= MOST_OF_A_WALK


def watch(folder: Path, out: Path, *more: str) -> list[str]:
    options = ["--min-free", "0", "--threads", "1", "--um-per-px", "0.5", *more]
    return [sys.executable, "-m", "runtime.cli", "watch", str(folder), "--out", str(out), *options]


def soon(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not seen in time"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="hard links by the thousand")
def test_newest_image_is_scored_next_while_ten_thousand_wait(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    save_image(tmp_path / "image.bmp", skin[100:300, 100:300].copy())
    os.utime(tmp_path / "image.bmp", (1_700_000_000, 1_700_000_000))
    for number in range(COUNT):
        place = folder / f"site {number // 100}"
        if number % 100 == 0:
            place.mkdir(parents=True)
        (place / f"v{number:07d}.bmp").hardlink_to(tmp_path / "image.bmp")
    with watching(watch(folder, out, "--settle", "0.3"), tmp_path / "stderr"):
        soon(lambda: done(out) >= 10, 60)
        ranks: list[int] = []
        for number in range(5):
            save_image(folder / "site 42" / f"new {number}.bmp", skin[100:300, 100:290].copy())
            name = f"site 42/new {number}.bmp"
            soon(lambda name=name: rank(out, name) > 0, 30)
            ranks.append(rank(out, name))
    with open_ledger(out) as ledger:
        assert sum(ledger.counts().values()) == COUNT + 5
        assert ledger.counts()["waiting"] > COUNT // 2  # type: ignore[index]
    with capsys.disabled():
        print(f"\nfive images saved while {COUNT} wait: scored as number {ranks} after coming to rest")
    # before it those in hand (one being written, one scored, one read), and now and then one whose turn it is of the
    # backlog
    assert statistics.median(ranks) <= 5
    # a busy machine may look at the folder an image or two later
    assert max(ranks) <= 7


def done(out: Path) -> int:
    with open_ledger(out) as ledger:
        return sum(count for state, count in ledger.counts().items() if state in ("scored", "withheld"))


def rank(out: Path, name: str) -> int:
    """Which of the results that were finished since the image came to rest is its own; 0 before it is there."""
    with open_ledger(out) as ledger:
        rows = [row for row in ledger.rows() if row.finished is not None]
    (own,) = [row for row in rows if row.path.as_posix() == name] or [None]
    if own is None or own.finished is None:
        return 0
    # it is seen at rest when it has rested for the time that the watch gives it
    at_rest = own.arrived + 0.3
    return sum(at_rest < row.finished <= own.finished for row in rows if row.finished is not None)


def cpu_share_idle(folder: Path, out: Path, seconds: float) -> float:
    """Of one core, beginning some seconds after the start; a listing of the folder falls into it. The least of up to
    three times, for what else the machine does only adds to it."""
    least = float("inf")
    with watching(watch(folder, out, "--rescan", "30"), out / "inflamap.stderr") as process:
        time.sleep(3.0)
        watched = psutil.Process(process.pid)
        for _ in range(3):
            before, started = watched.cpu_times(), time.monotonic()
            time.sleep(seconds)
            after, lasted = watched.cpu_times(), time.monotonic() - started
            least = min(least, (after.user + after.system - before.user - before.system) / lasted)
            if least < MOST_IDLE:
                break
    return least


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seconds", [40, pytest.param(60, marks=pytest.mark.slow)])
def test_idle_with_ten_thousand_it_takes_next_to_nothing(
    folder: Path, tmp_path: Path, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        know(ledger, folder, sorted(folder.rglob("*.bmp")))
    share = cpu_share_idle(folder, tmp_path, seconds)
    with open_ledger(tmp_path) as ledger:
        assert ledger.counts()["scored"] == COUNT  # type: ignore[index]
    with capsys.disabled():
        print(f"\nidle with {COUNT} images for {seconds} s: {share:.2%} of a core")
    assert share < MOST_IDLE
