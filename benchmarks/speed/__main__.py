"""Run the benchmarks and hold them against the baseline.

    python -m benchmarks.speed [--short] [--only NAME] [--accept] [--slow-map SHARE] [--json FILE]

Ends with 1 when a result is wrong, a benchmark is missing or new, or one is slower than its baseline by more than its
tolerance, three runs of it taken together. `--accept` makes this run the baseline.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.guard import BASELINE, Baseline, accepted, judge
from benchmarks.speed.machine_class import machine_class
from benchmarks.speed.measured import judged, measure
from benchmarks.speed.ratio import Ratio
from runtime.errors import CheckFailed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a quarter of the rounds")
    parser.add_argument("--only", default="", help="benchmarks whose names match, as of pytest -k")
    parser.add_argument("--accept", action="store_true", help="make this run the baseline")
    parser.add_argument("--slow-map", type=float, default=0.0, help="slow the map by this share, to try the guard")
    parser.add_argument("--json", type=Path, help="keep pytest-benchmark's file here")
    asked = parser.parse_args()
    try:
        return _guarded(asked)
    except CheckFailed as fault:
        print(f"FAILED: {fault}")
        return 1


def _guarded(asked: argparse.Namespace) -> int:
    machine, whole = machine_class(), not asked.only
    with TemporaryDirectory(prefix="inflamap-speed-") as name:
        folder = Path(name)
        found: Mapping[str, Ratio] = measure(folder, only=asked.only, short=asked.short, slow_map=asked.slow_map)
        if asked.json:
            shutil.copy(folder / "speed.json", asked.json)
        if asked.accept:
            earlier = Baseline.read(BASELINE) if BASELINE.exists() else None
            accepted(found, earlier, machine, whole=whole).write(BASELINE)
            print(f"{len(found)} ratios accepted in {BASELINE}")
            return 0
        baseline = Baseline.read(BASELINE)
        found, verdicts = judged(
            found,
            partial(judge, baseline=baseline, machine=machine, whole=whole),
            folder,
            short=asked.short,
            slow_map=asked.slow_map,
        )
    print(f"this machine: {machine}; the baseline's: {baseline.machine}")
    for verdict in verdicts:
        print(_line(verdict.name, found.get(verdict.name), baseline, verdict.fault))
    return int(any(verdict.fault for verdict in verdicts))


def _line(name: str, ratio: Ratio | None, baseline: Baseline, fault: str | None) -> str:
    if fault is not None:
        return f"FAILED {name}: {fault}"
    assert ratio is not None
    return f"   ok  {name}: {ratio.median:.3g} (baseline {baseline.entries[name].ratio:.3g}, {ratio.better} is better)"


if __name__ == "__main__":
    sys.exit(main())
