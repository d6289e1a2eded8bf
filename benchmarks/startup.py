"""How long the command takes to import, against the three libraries it cannot do without.

    python -m benchmarks.startup [--runs N]

Ends with 1 when the median ratio passes the limit. Runs are interleaved, each in a process of its own.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

FLOOR = "import numpy, cv2, onnxruntime"
COMMANDS = {
    "runtime.cli": "import runtime.cli",
    "score": "import runtime.cli, runtime.commands.score",
    "watch": "import runtime.cli, runtime.commands.watch",
}
LIMIT = 1.5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    statements = {"floor": FLOOR, **COMMANDS}
    seconds: dict[str, list[float]] = {name: [] for name in statements}
    with tempfile.TemporaryDirectory() as bytecode:
        # the first round only compiles, and warms the file cache
        for round_number in range(runs + 1):
            for name, statement in statements.items():
                spent = _seconds(statement, bytecode)
                if round_number:
                    seconds[name].append(spent)
    print(f"{FLOOR}: {statistics.median(seconds['floor']):.3f} s (median of {runs})")
    worst = 0.0
    for name in COMMANDS:
        # round by round, so that a machine that is slow for a while is slow on both sides
        ratio = statistics.median(own / floor for own, floor in zip(seconds[name], seconds["floor"], strict=True))
        worst = max(worst, ratio)
        print(f"{name}: {statistics.median(seconds[name]):.3f} s, {ratio:.2f} times that; limit {LIMIT}")
    return int(worst > LIMIT)


def _seconds(statement: str, bytecode: str) -> float:
    """Wall time of a whole process that runs the statement, everything compiled beforehand as pip installs it."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
