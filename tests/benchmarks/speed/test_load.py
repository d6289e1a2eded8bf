"""A machine that is busy with other programs is noticed, waited for, and never taken for a slower inflamap."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.child_process import child_process
from benchmarks.speed import __main__ as guard
from benchmarks.speed.guard import Verdict
from benchmarks.speed.load import LEAST_SHARE, PAUSE_S, Load, measure_load, quiet_load

QUIET, BUSY = Load((1.0, 0.97), 0.2), Load((0.98, 0.3), 6.0)
OK, SLOWER, MISSING = Verdict("a", None), Verdict("b", "1.46", slower=True), Verdict("c", "missing")


class Meter:
    """A load meter and a clock that tell what a test wants; the last load goes on for ever."""

    def __init__(self, *loads: Load) -> None:
        self._loads: Iterator[Load] = iter(loads)
        self._last = loads[-1]
        self.now = 0.0
        self.said: list[str] = []

    def measure(self) -> Load:
        return next(self._loads, self._last)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, patience_s: float) -> Load:
        return quiet_load(
            self.measure, patience_s=patience_s, clock=lambda: self.now, sleep=self.sleep, say=self.said.append
        )


def test_a_quiet_machine_is_not_waited_for() -> None:
    meter = Meter(QUIET)
    assert meter.wait(300) == QUIET
    assert (meter.now, meter.said) == (0.0, [])


def test_a_busy_machine_is_waited_for_until_it_is_quiet() -> None:
    meter = Meter(BUSY, BUSY, QUIET)
    assert meter.wait(300) == QUIET
    assert meter.now == 2 * PAUSE_S
    assert meter.said == [
        "busy: a busy loop gets 30% of a core, wanted at least 90% (2 cores, load average 6.0); waiting up to 300 s"
    ]


def test_the_wait_has_an_end() -> None:
    meter = Meter(BUSY)
    assert meter.wait(60) == BUSY
    assert meter.now == 60


@pytest.mark.parametrize(
    ("share", "busy"), [(1.0, False), (LEAST_SHARE, False), (LEAST_SHARE - 0.01, True), (0.0, True)]
)
def test_one_busy_core_makes_a_busy_machine(share: float, busy: bool) -> None:
    assert Load((1.0, share), None).is_busy is busy


@pytest.mark.parametrize(
    ("verdicts", "before", "after", "wanted", "code"),
    [
        ([OK], QUIET, QUIET, "", 0),
        ([OK], BUSY, BUSY, "", 0),
        ([OK, SLOWER], QUIET, QUIET, "", 1),
        ([OK, SLOWER], QUIET, QUIET, "pass", 1),
        ([OK, SLOWER], BUSY, QUIET, "", 3),
        ([OK, SLOWER], QUIET, BUSY, "", 3),
        ([OK, SLOWER], QUIET, BUSY, "pass", 0),
        ([OK, SLOWER], QUIET, BUSY, "yes", 3),
        ([OK, MISSING], BUSY, BUSY, "pass", 1),
        ([SLOWER, MISSING], BUSY, BUSY, "pass", 1),
    ],
)
def test_only_what_looks_slower_depends_on_the_load(
    verdicts: list[Verdict], before: Load, after: Load, wanted: str, code: int
) -> None:
    busy = guard.busy_at(before, verdicts, lambda: after)
    assert guard.exit_code(verdicts, busy, wanted) == code


def test_no_baseline_is_accepted_on_a_busy_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard, "quiet_load", lambda **_options: BUSY)
    monkeypatch.setattr("sys.argv", ["speed", "--accept"])
    assert guard.main() == 1
    assert "too busy to accept a baseline; seen: a busy loop gets 30% of a core" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="pins other work to a core")
def test_other_work_on_one_core_is_measured() -> None:
    (first, *_others) = cores = sorted(os.sched_getaffinity(0))
    script = f"import os; os.sched_setaffinity(0, [{first}]); print(flush=True)\nwhile True: pass"
    command = [sys.executable, "-c", script]
    with (
        child_process(command, obey_s=0.0, stdout=subprocess.PIPE) as one,
        child_process(command, obey_s=0.0, stdout=subprocess.PIPE) as other,
    ):
        for process in (one, other):
            assert process.stdout is not None
            process.stdout.readline()
        found = measure_load()
    assert len(found.shares) == len(cores)
    assert found.shares[0] < 0.6
    assert found.is_busy
    assert sorted(os.sched_getaffinity(0)) == cores, "this process may use all of them again"
