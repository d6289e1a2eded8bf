"""Run the benchmarks and hold them against the baseline.

    python -m benchmarks.speed [--short] [--only NAME] [--accept] [--slow-map SHARE] [--json FILE]

Ends with 1 when a result is wrong, a benchmark is missing or new, or one is slower than its baseline by more than its
tolerance, three runs of it taken together. `--accept` makes this run the baseline.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.guard import BASELINE, Baseline, accepted, judge, read_ratios, together
from benchmarks.speed.machine_class import machine_class
from benchmarks.speed.ratio import Ratio
from benchmarks.speed.run import run_benchmarks

# what looks slower is run again so often, and judged by all of its rounds
REPEATS = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a quarter of the rounds")
    parser.add_argument("--only", default="", help="benchmarks whose names match, as of pytest -k")
    parser.add_argument("--accept", action="store_true", help="make this run the baseline")
    parser.add_argument("--slow-map", type=float, default=0.0, help="slow the map by this share, to try the guard")
    parser.add_argument("--json", type=Path, help="keep pytest-benchmark's file here")
    asked = parser.parse_args()
    with TemporaryDirectory(prefix="inflamap-speed-") as name:
        file = asked.json or Path(name) / "speed.json"
        passed = run_benchmarks(file, only=asked.only, short=asked.short, slow_map=asked.slow_map)
        if not passed:
            print("FAILED: a benchmark's result is wrong, or its own limit is passed; see above")
            return 1
        found, machine = read_ratios(file), machine_class()
        if asked.accept:
            earlier = Baseline.read(BASELINE) if BASELINE.exists() else None
            accepted(found, earlier, machine).write(BASELINE)
            print(f"{len(found)} ratios accepted in {BASELINE}")
            return 0
        baseline = Baseline.read(BASELINE)
        whole = not asked.only
        verdicts = judge(found, baseline, machine, whole=whole)
        slower = {verdict.name for verdict in verdicts if verdict.slower}
        for number in range(REPEATS if slower else 0):
            again = Path(name) / f"again-{number}.json"
            # by their exact names, for one may be the beginning of another's
            if not run_benchmarks(again, names=sorted(slower), short=asked.short, slow_map=asked.slow_map):
                print("FAILED: a benchmark passed at first, and not when it was run again; see above")
                return 1
            for repeated, ratio in read_ratios(again).items():
                found[repeated] = together([found[repeated], ratio])
        verdicts = judge(found, baseline, machine, whole=whole)
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
