"""Does the watch keep up with the microscope: frames saved at its rate, each timed from close to record.

    python -m benchmarks.watch_rate [--seconds S] [--per-second F]

The frames are synthetic 1000x1000 ones, the model is the one that ships. Ends with 1 when a frame has no record, or
when the watch falls behind: the last tenth of the frames waits longer than the first by more than a second.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.microscope import FRAMES_PER_SECOND
from benchmarks.rehearsal import Rehearsal, rehearse
from runtime.console import reporter
from runtime.folder_watch import WatchSettings
from trainer.phantom import draw_subjects, paint_frame
from trainer.phantom.files import draw_severity_map, encode_bmp

SOURCES = 6
MOST_DRIFT_S = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--per-second", type=float, default=FRAMES_PER_SECOND)
    chosen = parser.parse_args()
    # so that the watch ends with it
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory() as name, reporter() as report:
        folder = Path(name)
        found = rehearse(
            [_frame(seed) for seed in range(SOURCES)],
            folder / "microscope",
            folder / "results",
            ["--min-free", "0"],
            per_second=chosen.per_second,
            count=round(chosen.seconds * chosen.per_second),
            settle_s=WatchSettings.settle_s,
            log=folder / "watch.log",
            progress=report.progress,
        )
    print(json.dumps(found.to_json(), indent=2))
    drift = drift_s(found)
    print(f"{found.recorded} of {found.saved} recorded; the last tenth {drift:+.2f} s against the first")
    return int(found.recorded != found.saved or drift > MOST_DRIFT_S)


def drift_s(found: Rehearsal) -> float:
    """How much longer the last tenth of the frames took than the first, in seconds (medians)."""
    tenth = max(1, len(found.latency_s) // 10)
    return statistics.median(found.latency_s[-tenth:]) - statistics.median(found.latency_s[:tenth])


def _frame(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    return encode_bmp(paint_frame(draw_subjects(seed)[0], draw_severity_map(rng), rng))


if __name__ == "__main__":
    sys.exit(main())
