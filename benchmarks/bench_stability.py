"""Does `inflamap bench` choose the same engine every time, and the fastest it measured?

    python -m benchmarks.bench_stability [BUNDLE] [--runs N] [--frames N] [--budget-ms MS]

runs it N times, each in a process of its own. The budget is wide unless told: the question is the choice, and not
whether this machine has other things to do. Ends with 1 when a run chooses none, or one that another engine which
keeps grades and budget was faster than in that very run; or when the choices differ by more than 5 % of a frame's
median time (medians over all runs).
"""

import argparse
import itertools
import json
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from subprocess import PIPE
from typing import Any

from benchmarks.child_process import exit_with, python_module, run_child
from runtime.bundle import DEFAULT_BUNDLE
from runtime.console import reporter

MOST_DIFFERENCE = 0.05
BUDGET_MS = 1000.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, default=DEFAULT_BUNDLE)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--budget-ms", type=float, default=BUDGET_MS)
    asked = parser.parse_args()
    found = []
    with reporter() as report:
        for number in range(asked.runs):
            report.progress("runs of bench", number, asked.runs)
            found.append(_run(asked.bundle, asked.frames, asked.budget_ms))
    for document in found:
        times = ", ".join(f"{name} {p50:.1f} ms" for name, p50 in sorted(medians(document).items(), key=lambda i: i[1]))
        print(f"{document['chosen']}: {times or document['why']}")
    faults = unstable(found)
    for fault in faults:
        print(f"FAILED: {fault}")
    print(", ".join(f"{name} chosen {count} times" for name, count in Counter(d["chosen"] for d in found).items()))
    return int(bool(faults))


def unstable(documents: Sequence[dict[str, Any]]) -> list[str]:
    """What is wrong with the choices of some runs of bench; empty when nothing is.

    Args:
        documents: of `inflamap bench --json`.
    """
    faults = []
    for number, document in enumerate(documents, 1):
        chosen, times = document["chosen"], medians(document)
        if chosen not in times:
            faults.append(f"run {number} chose {chosen}, which does not pass")
        elif times[chosen] > min(times.values()):
            faults.append(f"run {number} chose {chosen}, which is not the fastest that it measured")
    choices = sorted({document["chosen"] for document in documents if document["chosen"]})
    for one, other in itertools.combinations(choices, 2):
        # in the runs in which both pass: the same minutes for both
        both = [times for times in map(medians, documents) if one in times and other in times]
        if not both:
            faults.append(f"{one} and {other} were both chosen, and never pass in the same run")
            continue
        low, high = sorted(statistics.median(times[name] for times in both) for name in (one, other))
        if high / low - 1 > MOST_DIFFERENCE:
            faults.append(f"{one} and {other} were both chosen, and differ by {high / low - 1:.1%}")
    return faults


def medians(document: dict[str, Any]) -> dict[str, float]:
    """Median milliseconds of a frame for each engine that passed."""
    return {found["engine"]: found["frame_ms"]["p50"] for found in document["engines"] if found["passed"]}


def _run(bundle: Path, frames: int, budget_ms: float) -> dict[str, Any]:
    """One run, as a user would type it."""
    options = ["--json", "--no-footprint", "--frames", frames, "--budget-ms", f"{budget_ms:g}"]
    done = run_child(python_module("runtime.cli", "bench", bundle, *options), stdout=PIPE)
    if not done.stdout:
        # it has said why
        sys.exit(done.returncode)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


if __name__ == "__main__":
    exit_with(main)
