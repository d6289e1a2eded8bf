"""How long the command takes to import, against the three libraries it cannot do without.

    python -m benchmarks.startup [--runs N]

Ends with 1 when the median ratio of processor time passes the limit. Processor time, because wall time on a shared
machine measures its neighbours; wall time is shown beside it. Runs are interleaved, each in a process of its own.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

FLOOR = "import numpy, cv2, onnxruntime"
COMMANDS = {
    "runtime.cli": "import runtime.cli",
    "score": "import runtime.cli, runtime.commands.score",
    "watch": "import runtime.cli, runtime.commands.watch",
}
LIMIT = 1.5


@dataclass(frozen=True)
class Seconds:
    """What one process took."""

    processor: float
    wall: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    statements = {"floor": FLOOR, **COMMANDS}
    runs_of: dict[str, list[Seconds]] = {name: [] for name in statements}
    with tempfile.TemporaryDirectory() as bytecode:
        # the first round only compiles, and warms the file cache
        for round_number in range(runs + 1):
            for name, statement in statements.items():
                spent = _seconds(statement, bytecode)
                if round_number:
                    runs_of[name].append(spent)
    wall = statistics.median(floor.wall for floor in runs_of["floor"])
    print(f"{FLOOR}: {wall:.3f} s of wall time (median of {runs})")
    worst = 0.0
    for name in COMMANDS:
        # round by round, so that a machine that is slow for a while is slow on both sides
        pairs = list(zip(runs_of[name], runs_of["floor"], strict=True))
        ratio = statistics.median(own.processor / floor.processor for own, floor in pairs)
        wall = statistics.median(own.wall / floor.wall for own, floor in pairs)
        worst = max(worst, ratio)
        print(f"{name}: {ratio:.2f} times its processor time (limit {LIMIT}), {wall:.2f} times its wall time")
    return int(worst > LIMIT)


def _seconds(statement: str, bytecode: str) -> Seconds:
    """One process that runs the statement, everything compiled beforehand as pip installs it."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, started = _children_processor(), time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    return Seconds(_children_processor() - before, time.perf_counter() - started)


def _children_processor() -> float:
    """Processor seconds of all processes started and ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
