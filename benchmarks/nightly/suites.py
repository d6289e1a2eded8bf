"""The slow suites: their commands and time limits."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.child_process import python_module, run_child
from runtime.errors import InflamapError

HOUR_S = 3600.0
# the full kill suite takes hours on two cores
SLOW_FILE_S = 6 * HOUR_S
ATTACKS_S = HOUR_S
# pytest's own code for a selection that holds no test
NO_TESTS = 5


@dataclass(frozen=True)
class Suite:
    """One row of the table.

    Attributes:
        name: of the row, for `--only`.
        command: what is run.
        limit_s: seconds after which it is ended.
    """

    name: str
    command: tuple[str, ...]
    limit_s: float


def all_suites(checkout: Path, folder: Path) -> list[Suite]:
    """Return every slow suite: files with tests that are marked as slow, all attacks, a sample of mutants.

    Args:
        checkout: what is tested.
        folder: for what the suites keep.

    Raises:
        InflamapError: the tests cannot be collected.
    """
    # each night another sample
    seed = datetime.now(UTC).date().toordinal()
    kept = ["--state", folder / "mutations.jsonl", "--out", folder / "mutations.md"]
    mutations = python_module("benchmarks.mutations", "--sample", 40, "--seed", seed, "--minutes", 90, *kept)
    return [
        *(
            Suite(_name(file), tuple(python_module("pytest", "-m", "slow", "-s", file)), SLOW_FILE_S)
            for file in slow_files(checkout)
        ),
        Suite("attacks", tuple(python_module("pytest", "-m", "", "tests/attacks")), ATTACKS_S),
        Suite("mutations", tuple(mutations), 3 * HOUR_S),
    ]


def slow_files(checkout: Path, tests: str = "tests") -> list[str]:
    """Return the files with tests that are marked as slow, relative to the checkout; those of tests/faults first.

    Raises:
        InflamapError: the tests cannot be collected.
    """
    command = [sys.executable, "-P", "-m", "pytest", "--collect-only", "-q", "-m", "slow", tests]
    done = run_child(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode not in (0, NO_TESTS):
        raise InflamapError(
            "the slow tests cannot be collected",
            seen=lines[-1] if lines else f"exit code {done.returncode}",
            next_step="run `pytest --collect-only -m slow`",
        )
    files = {line.partition("::")[0] for line in lines if "::" in line}
    return sorted(files, key=lambda file: (not file.startswith("tests/faults/"), file))


def chosen(suites: Sequence[Suite], names: str) -> list[Suite]:
    """Return the suites of some names, separated by commas; all of them for "".

    Raises:
        InflamapError: there is no suite of a name.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [suite.name for suite in suites]
    if unknown := [name for name in wanted if name not in known]:
        raise InflamapError("no such suite", seen=", ".join(unknown), wanted=f"some of {', '.join(known)}")
    return [suite for suite in suites if not wanted or suite.name in wanted]


def _name(file: str) -> str:
    return file.removeprefix("tests/").removesuffix(".py").replace("/test_", "/").removeprefix("test_")
