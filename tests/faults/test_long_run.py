"""Memory, descriptors and threads stay where they were, however many frames come.

pytest -m slow -s tests/faults/test_long_run.py      # the full form: 20,000 frames
"""

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from crowd import watching

from runtime.ledger import open_ledger

MEGABYTE = 1_000_000
MOST_GROWTH_MB = 20
# so many are there at once, as when somebody scans faster than a slow machine scores
AHEAD = 100


@dataclass(frozen=True)
class Held:
    """What the process holds; `memory_mb`: resident, in 10^6 bytes."""

    memory_mb: float
    descriptors: int
    threads: int


def held_by(process: psutil.Process) -> Held:
    descriptors = process.num_handles() if sys.platform == "win32" else process.num_fds()
    return Held(process.memory_info().rss / MEGABYTE, descriptors, process.num_threads())


def done(out: Path) -> int:
    with open_ledger(out) as ledger:
        counts = ledger.counts()
    assert counts["failed"] == 0  # type: ignore[index]
    return counts["scored"] + counts["withheld"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("frames", "first"),
    [
        pytest.param(600, 200, id="short"),
        pytest.param(20_000, 1000, id="full", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def test_service_holds_no_more_at_the_end_than_after_the_first_frames(
    frames: int,
    first: int,
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    # each another content, of sizes that differ a little
    contents = [skin[100 + 3 * n : 240 + 4 * n, 100 : 250 + 2 * n].copy() for n in range(20)]
    folder.mkdir()
    options = ["--settle", "0.1", "--threads", "1", "--min-free", "0", "--um-per-px", "0.5"]
    watch = [sys.executable, "-m", "runtime.cli", "watch", str(folder), "--out", str(out), *options]
    found: dict[int, Held] = {}
    with watching(watch, tmp_path / "stderr") as process:
        saved, started = 0, time.monotonic()
        watched = psutil.Process(process.pid)
        for mark in (first, frames):
            while (finished := done(out)) < mark:
                assert process.poll() is None
                for number in range(saved, min(mark, finished + AHEAD)):
                    pixels = np.roll(contents[number % len(contents)], number, axis=0)
                    save_image(folder / f"site {number // 200}" / f"v{number:07d}.bmp", pixels)
                    saved += 1
                time.sleep(0.2)
            time.sleep(1.0)
            found[mark] = held_by(watched)
        seconds = time.monotonic() - started
    before, after = found[first], found[frames]
    with capsys.disabled():
        print(
            f"\n{frames} frames in {seconds:.0f} s: after the first {first} {before.memory_mb:.0f} MB, "
            f"{before.descriptors} descriptors, {before.threads} threads; at the end {after.memory_mb:.0f} MB, "
            f"{after.descriptors} descriptors, {after.threads} threads"
        )
    assert after.memory_mb - before.memory_mb <= MOST_GROWTH_MB
    assert after.descriptors <= before.descriptors
    assert after.threads <= before.threads
    assert len({path.name for path in out.rglob("*.score.json")}) == frames
    assert not list(itertools.islice(out.rglob("*.tmp*"), 1))
