"""A copy of the checkout in which a mutant is tried by the tests of its module."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.child_process import python_module, run_child
from benchmarks.mutations.mutants import Mutant
from benchmarks.mutations.targets import Target
from runtime.errors import CheckFailed

KILLED, SURVIVED, TIMEOUT = "killed", "survived", "timeout"
# a mutant that hangs is no slow machine: so many times what the unchanged code took, and some seconds
TIMES, SPARE_S = 4.0, 30.0
FIRST_S = 600.0


class Stopped(Exception):
    """The tests were broken off, and tell nothing of the mutant."""


class Copy:
    """A copy of the checkout, without what git ignores; the checkout itself is never changed.

    Args:
        checkout: what is copied.
        folder: an empty folder for it.
        stop: set to break off the tests that run.
    """

    def __init__(self, checkout: Path, folder: Path, stop: threading.Event | None = None) -> None:
        self._folder, self._stop = folder, stop or threading.Event()
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = run_child(listed, check=True, cwd=checkout, stdout=subprocess.PIPE).stdout
        for name in filter(None, os.fsdecode(names).split("\0")):
            # a file that was removed and not committed is still listed
            if (checkout / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(checkout / name, folder / name)
        self._log = folder / "pytest.log"
        self._needed_s: dict[Sequence[str], float] = {}

    def try_mutant(self, mutant: Mutant, source: str, target: Target) -> str:
        """Return whether the tests notice the mutant: killed, survived or timeout.

        Raises:
            CheckFailed: tests fail on the code as it is, or do not test the copy.
            Stopped: `stop` was set.
        """
        for tests in filter(None, (target.tests, target.more)):
            if tests not in self._needed_s:
                self._needed_s[tests] = self._time(target.name, tests)
            with self._mutated(mutant, source):
                outcome = self._run(tests, TIMES * self._needed_s[tests] + SPARE_S)
            if outcome:
                return outcome
        return SURVIVED

    @contextmanager
    def _mutated(self, mutant: Mutant, source: str) -> Iterator[None]:
        module = self._folder / mutant.path
        before = module.stat()
        module.write_text(mutant.code(source), encoding="utf-8")
        try:
            yield
        finally:
            module.write_text(source, encoding="utf-8")
            # its compiled form is taken for current by this time
            os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))

    def _time(self, name: str, tests: Sequence[str]) -> float:
        """Run tests on the code as it is; return the seconds that they took.

        Raises:
            CheckFailed: they fail, or do not test the copy.
        """
        shown = "import runtime, trainer; print(runtime.__path__[0], trainer.__path__[0])"
        done = run_child([sys.executable, "-P", "-c", shown], check=True, stdout=subprocess.PIPE, **self._place())
        if done.stdout.decode().count(str(self._folder)) != 2:
            raise CheckFailed("the tests would not test the copy", seen=done.stdout.decode().strip())
        started = time.monotonic()
        if self._run(tests, FIRST_S):
            raise CheckFailed(
                f"{name}: tests fail on the code as it is",
                seen=", ".join(self._log.read_text(errors="replace").splitlines()[-3:]),
                next_step="mend them first: pytest -x " + " ".join(tests),
            )
        return time.monotonic() - started

    def _run(self, tests: Sequence[str], limit_s: float) -> str:
        """Run tests; return "" where they pass, else killed or timeout."""
        # hypothesis's own profile draws the same examples each time, and has no deadline that a busy machine misses
        options = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider", "--hypothesis-profile=ci"]
        try:
            # pytest would print at length that it was interrupted
            with self._log.open("wb") as log:
                done = run_child(
                    python_module("pytest", *options, *tests),
                    timeout_s=limit_s,
                    stop=self._stop,
                    obey_s=0.0,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    **self._place(),
                )
        except subprocess.TimeoutExpired:
            if self._stop.is_set():
                raise Stopped from None
            return TIMEOUT
        return KILLED if done.returncode else ""

    def _place(self) -> dict[str, Any]:
        # before the installed packages, in processes that tests start too
        return {"cwd": self._folder, "env": {**os.environ, "PYTHONPATH": str(self._folder)}}
