"""The peak memory of an `inflamap` command.

    python -m benchmarks.speed.peak_memory ARGUMENTS...

runs `inflamap ARGUMENTS` as its only child and prints [exit code, bytes] as JSON.
"""

import json
import resource
import sys
from subprocess import DEVNULL

from benchmarks.child_process import exit_with, python_module, run_child


def main() -> int:
    done = run_child(python_module("runtime.cli", *sys.argv[1:]), stdout=DEVNULL, stderr=DEVNULL)
    print(json.dumps([done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
    return 0


if __name__ == "__main__":
    exit_with(main)
