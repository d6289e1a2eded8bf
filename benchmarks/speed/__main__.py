"""Run the benchmarks and hold them against the baseline.

    python -m benchmarks.speed [--short] [--only NAME] [--accept] [--slow-map SHARE] [--json FILE] [--patience S]

Ends with 1 when a result is wrong, a benchmark is missing or new, or one is slower than its baseline by more than its
tolerance, three runs of it taken together. `--accept` makes this run the baseline.

The load of other programs is measured first. Where it is too high for `--patience` seconds, or has become so at the
end, a benchmark that looks slower is too busy to judge: ends with 3, or with 0 where the environment says
INFLAMAP_BUSY_MACHINE=pass. What does not depend on the load is judged in any case.
"""

import argparse
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.child_process import exit_with
from benchmarks.speed.guard import BASELINE, Baseline, Verdict, accepted, judge
from benchmarks.speed.load import Load, measure_load, quiet_load
from benchmarks.speed.machine_class import machine_class
from benchmarks.speed.measured import judged, measure
from benchmarks.speed.ratio import Ratio
from runtime.errors import CheckFailed

# of what only another run can tell
NOT_JUDGED = 3
# a burst of work of another program is over by then; a build machine that is busy for longer is the wrong place
PATIENCE_S = 300.0
BUSY_MACHINE = "INFLAMAP_BUSY_MACHINE"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a quarter of the rounds")
    parser.add_argument("--only", default="", help="benchmarks whose names match, as of pytest -k")
    parser.add_argument("--accept", action="store_true", help="make this run the baseline")
    parser.add_argument("--slow-map", type=float, default=0.0, help="slow the map by this share, to try the guard")
    parser.add_argument("--json", type=Path, help="keep pytest-benchmark's file here")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds to wait for a quiet machine")
    asked = parser.parse_args()
    try:
        return _guarded(asked)
    except CheckFailed as fault:
        print(f"FAILED: {fault}")
        return 1


def _guarded(asked: argparse.Namespace) -> int:
    machine, whole = machine_class(), not asked.only
    before = quiet_load(patience_s=asked.patience)
    if asked.accept and before.is_busy:
        raise CheckFailed("too busy to accept a baseline", seen=before, next_step="end other programs, or wait")
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
    busy = busy_at(before, verdicts, measure_load)
    for verdict in verdicts:
        print(_line(verdict, found.get(verdict.name), baseline, busy))
    if busy is not None and any(verdict.slower for verdict in verdicts):
        print(f"too busy to judge what looks slower: {busy}")
    return exit_code(verdicts, busy, os.environ.get(BUSY_MACHINE, ""))


def busy_at(before: Load, verdicts: Sequence[Verdict], measure: Callable[[], Load]) -> Load | None:
    """Return the load that forbids to judge what looks slower; None where nothing does.

    Args:
        before: the load before the benchmarks ran.
        verdicts: of all benchmarks.
        measure: measures the load again, if anything looks slower.
    """
    if before.is_busy or not any(verdict.slower for verdict in verdicts):
        return before if before.is_busy else None
    after = measure()
    return after if after.is_busy else None


def exit_code(verdicts: Sequence[Verdict], busy: Load | None, wanted: str) -> int:
    """Return 1 for a fault, else 3 where something was not judged, else 0.

    Args:
        verdicts: of all benchmarks.
        busy: the load that forbids to judge what looks slower, if any.
        wanted: "pass" to let what was not judged pass.
    """
    if any(verdict.fault for verdict in verdicts if busy is None or not verdict.slower):
        return 1
    if not any(verdict.slower for verdict in verdicts):
        return 0
    return 0 if wanted == "pass" else NOT_JUDGED


def _line(verdict: Verdict, ratio: Ratio | None, baseline: Baseline, busy: Load | None) -> str:
    if verdict.fault is not None:
        return f"{'NOT JUDGED' if busy is not None and verdict.slower else 'FAILED'} {verdict.name}: {verdict.fault}"
    assert ratio is not None
    entry = baseline.entries[verdict.name]
    return f"   ok  {verdict.name}: {ratio.median:.3g} (baseline {entry.ratio:.3g}, {ratio.better} is better)"


if __name__ == "__main__":
    exit_with(main)
