"""The benchmarks as one pytest run in a process of its own."""

import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.child_process import python_module, run_child

HERE = Path(__file__).parent


def run_benchmarks(
    file: Path, *, only: str = "", names: Sequence[str] = (), short: bool = False, slow_map: float = 0.0
) -> bool:
    """Run them; whether every one that ran passed.

    Args:
        file: for pytest-benchmark's JSON.
        only: an expression as of pytest's -k.
        names: exactly these instead.
        short: a quarter of the rounds.
        slow_map: slows the map down by this share.
    """
    # the tests' own settings are for the tests: other files, and a time limit that no benchmark keeps
    command = python_module("pytest", "-q", "-c", HERE / "pytest.ini", "--rootdir", HERE)
    command += [f"--benchmark-json={file}", f"--slow-map={slow_map:g}"]
    command += ["--short"] if short else []
    command += ["-k", only] if only else []
    command += [str(HERE), *(f"--exactly={name}" for name in names)]
    # matrix products take as many cores as the engine, which numpy's library asks for when it is loaded
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    # pytest would print at length that it was interrupted; what it started follows it
    return run_child(command, cwd=HERE.parent.parent, env=environment, obey_s=0.0).returncode == 0
