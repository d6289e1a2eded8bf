"""Ten thousand images are no burden: found almost as fast as a walk goes, the newest next, idle for next to nothing.

pytest -m '' -s tests/faults/test_backlog.py      # the full form: idle for a minute
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from crowd import crowd, know

from runtime.folder_watch import watch_folder
from runtime.ledger import open_ledger
from runtime.ledger.ledger import Arrival
from runtime.patience import WatchSettings

COUNT = 10_000
MOST_OF_A_WALK = 3.0
MOST_IDLE = 0.01
CHECKOUT = Path(__file__).parents[2]


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


@pytest.mark.timeout(240)
def test_ten_thousand_are_discovered_in_three_walks(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found_s, known_s, again_s, walk_s = list[float](), list[float](), list[float](), list[float]()
    for number in range(7):
        started = time.perf_counter()
        assert walk(folder) == COUNT
        walk_s.append(time.perf_counter() - started)

        out = tmp_path / f"{number}"
        out.mkdir()
        settings = WatchSettings(events=False)
        with open_ledger(out, create=True) as ledger:
            for times in (found_s, again_s):
                started = time.perf_counter()
                with watch_folder(folder, settings, known=ledger.known_of, warn=pytest.fail) as found:
                    at_rest = found.poll()
                    while found.busy:
                        at_rest += found.poll()
                times.append(time.perf_counter() - started)
                if times is found_s:
                    assert len(at_rest) == COUNT
                    ledger.arrived(Arrival(path, state, time.time() - rested_s) for path, state, rested_s in at_rest)
                    known_s.append(time.perf_counter() - started)
                else:
                    assert at_rest == []
    found, known, again = (
        statistics.median(s / w for s, w in zip(times, walk_s, strict=True)) for times in (found_s, known_s, again_s)
    )
    with capsys.disabled():
        print(
            f"\n{COUNT} images: found and at rest in {found:.2f} times os.walk + os.stat over the same tree "
            f"({1000 * statistics.median(walk_s):.0f} ms), in the ledger too in {known:.2f} times; looked through "
            f"again by the next start in {again:.2f} times"
        )
    assert found <= MOST_OF_A_WALK


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
    with subprocess.Popen(watch(folder, out, "--settle", "0.3"), cwd=CHECKOUT, stderr=subprocess.DEVNULL) as process:
        try:
            soon(lambda: (out / "inflamap.db").exists() and done(out) >= 10, 60)
            ranks = []
            for number in range(5):
                save_image(folder / "site 42" / f"new {number}.bmp", skin[100:300, 100:290].copy())
                soon(lambda number=number: rank(out, f"site 42/new {number}.bmp") is not None, 30)
                ranks.append(rank(out, f"site 42/new {number}.bmp"))
        finally:
            process.kill()
    with open_ledger(out) as ledger:
        assert sum(ledger.counts().values()) == COUNT + 5
        assert ledger.counts()["waiting"] > COUNT // 2  # type: ignore[index]
    with capsys.disabled():
        print(f"\nfive images saved while {COUNT} wait: scored as number {ranks} after coming to rest")
    # before it the one in hand, the one begun beside it, and now and then the one whose turn it is of the backlog
    assert max(ranks) <= 4


def done(out: Path) -> int:
    with open_ledger(out) as ledger:
        return sum(count for state, count in ledger.counts().items() if state in ("scored", "withheld"))


def rank(out: Path, name: str) -> int | None:
    """Which of the results that were finished since the image came to rest is its own; None before it is there."""
    with open_ledger(out) as ledger:
        rows = [row for row in ledger.rows() if row.finished is not None]
    (own,) = [row for row in rows if row.path.as_posix() == name] or [None]
    if own is None or own.finished is None:
        return None
    # it is seen at rest when it has rested for the time that the watch gives it
    at_rest = own.arrived + 0.3
    return sum(at_rest < row.finished <= own.finished for row in rows if row.finished is not None)


def cpu_share_idle(folder: Path, out: Path, seconds: float) -> float:
    """Of one core, beginning some seconds after the start; a listing of the folder falls into it."""
    with subprocess.Popen(
        watch(folder, out, "--rescan", "30"), cwd=CHECKOUT, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            while not process.stderr.readline().startswith("watching "):
                assert process.poll() is None
            time.sleep(3.0)
            watched = psutil.Process(process.pid)
            before, started = watched.cpu_times(), time.monotonic()
            time.sleep(seconds)
            after, lasted = watched.cpu_times(), time.monotonic() - started
            return (after.user + after.system - before.user - before.system) / lasted
        finally:
            process.kill()


@pytest.mark.parametrize("seconds", [31, pytest.param(60, marks=pytest.mark.slow)])
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
