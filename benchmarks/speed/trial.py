"""How little is caught: the guard on runs with a slower map, and on unchanged ones, in turns.

    python -m benchmarks.speed.trial [--runs N] [--slow-map SHARE] [--short]

Each run is a whole one of the guard on the map's benchmark, repeats included, against a baseline that is taken at the
beginning. Ends with 1 when fewer than 95 % of the slower runs are caught, or more than 5 % of the others give an alarm.
"""

import argparse
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.child_process import exit_with
from benchmarks.speed.guard import BASELINE, Baseline, accepted, judge
from benchmarks.speed.machine_class import machine_class
from benchmarks.speed.measured import judged, measure, measured_again

NAME = "test_map_against_the_bare_session"
# of a baseline that a person would take: as much as the full form
BASELINE_RUNS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--slow-map", type=float, default=0.15)
    parser.add_argument("--short", action="store_true", help="the short form's rounds")
    asked = parser.parse_args()
    machine, tolerance = machine_class(), Baseline.read(BASELINE).entries[NAME].tolerance
    with TemporaryDirectory(prefix="inflamap-trial-") as name:
        folder = Path(name)
        found = measure(folder, names=[NAME])
        for _ in range(BASELINE_RUNS - 1):
            found = measured_again(found, folder, [NAME])
        taken = accepted(found, Baseline.read(BASELINE), machine)
        print(f"{NAME}: {taken.entries[NAME].ratio:.3f} on {machine}; may become worse by {tolerance:.0%}")
        alarms = {0.0: 0, asked.slow_map: 0}
        for number in range(asked.runs):
            for slow in alarms:
                run = measure(folder, names=[NAME], short=asked.short, slow_map=slow)
                first = run[NAME].median
                verdicts_on = partial(judge, baseline=taken, machine=machine, whole=False)
                rounds, (verdict,) = judged(run, verdicts_on, folder, short=asked.short, slow_map=slow)
                alarms[slow] += verdict.slower
                said = f"{'ALARM' if verdict.slower else '  ok '} {rounds[NAME].median:.3f} (at first {first:.3f})"
                print(f"run {number + 1:2d}, map slower by {slow:.0%}: {said}", flush=True)
    caught, false = alarms[asked.slow_map], alarms[0.0]
    print(f"{caught} of {asked.runs} slower runs caught, {false} alarms in {asked.runs} unchanged runs")
    return int(caught < 0.95 * asked.runs or false > 0.05 * asked.runs)


if __name__ == "__main__":
    exit_with(main)
