"""Does the watch keep up with the microscope: frames saved at its rate, each timed from close to record.

    python -m benchmarks.watch_rate [--seconds S] [--per-second F] [--settle S] [--p95 S]

The frames are synthetic 1000x1000 ones, the model is the one that ships. Ends with 1 when a frame has no record, when
the watch falls behind (the last tenth of the frames waits longer than the first by more than a second), or when a
twentieth of the frames takes longer than `--p95` from close to record, the time that a file has to rest included.
"""

import argparse
import json
import math
import statistics
import tempfile
from pathlib import Path

from benchmarks.child_process import exit_with
from benchmarks.engine_bench.frames import paint_frames
from benchmarks.microscope import FRAMES_PER_SECOND
from benchmarks.rehearsal import Rehearsal, rehearse
from runtime.console import reporter
from runtime.patience import WatchSettings

MOST_DRIFT_S = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--per-second", type=float, default=FRAMES_PER_SECOND)
    parser.add_argument("--settle", type=float, default=WatchSettings().settle_s)
    parser.add_argument("--p95", type=float, default=math.inf)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, reporter() as report:
        folder = Path(name)
        frames = paint_frames(folder / "frames", report.progress)
        found = rehearse(
            [path.read_bytes() for path in frames.paths],
            folder / "microscope",
            folder / "results",
            ["--min-free", "0"],
            per_second=chosen.per_second,
            count=round(chosen.seconds * chosen.per_second),
            settle_s=chosen.settle,
            log=folder / "watch.log",
            show=report.say,
            progress=report.progress,
        )
    print(json.dumps(found.to_json(), indent=2))
    drift = drift_s(found)
    print(f"{found.recorded} of {found.saved} recorded; the last tenth {drift:+.2f} s against the first")
    return int(found.recorded != found.saved or drift > MOST_DRIFT_S or found.latency(95) > chosen.p95)


def drift_s(found: Rehearsal) -> float:
    """How much longer the last tenth of the frames took than the first, in seconds (medians)."""
    tenth = max(1, len(found.latency_s) // 10)
    return statistics.median(found.latency_s[-tenth:]) - statistics.median(found.latency_s[:tenth])


if __name__ == "__main__":
    exit_with(main)
