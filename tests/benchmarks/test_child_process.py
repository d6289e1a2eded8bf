"""A child ends with the block that started it; tests/test_interrupted.py ends the parent by signals."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from benchmarks.child_process import child_process, exit_with, python_module, run_child
from benchmarks.fuzz.campaign import fuzz_reader
from benchmarks.rehearsal import started_watch
from runtime.errors import CheckFailed

SLEEPS = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
STUBBORN = [
    *(sys.executable, "-c"),
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)",
]


class LimitMissed(Exception):
    """What a benchmark raises."""


def ready(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"


@pytest.mark.parametrize("command", [SLEEPS, STUBBORN], ids=["obeys", "does not obey"])
@pytest.mark.parametrize("error", [LimitMissed, KeyboardInterrupt, SystemExit, None])
def test_a_child_ends_however_the_block_is_left(command: list[str], error: type[BaseException] | None) -> None:
    def work() -> None:
        with child_process(command, obey_s=1.0, stdout=PIPE) as process:
            started.append(process)
            ready(process)
            if error is not None:
                raise error

    started: list[subprocess.Popen[bytes]] = []
    if error is None:
        work()
    else:
        with pytest.raises(error):
            work()
    assert started[0].returncode is not None
    assert not psutil.pid_exists(started[0].pid)


def test_a_child_that_may_finish_is_not_killed(tmp_path: Path) -> None:
    script = (
        "import signal, sys, time, pathlib\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(tmp_path / 'done')!r}).touch(), sys.exit(0)))\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    with child_process([sys.executable, "-c", script], stdout=PIPE) as process:
        ready(process)
    assert (process.returncode, (tmp_path / "done").exists()) == (0, True)


def test_a_run_hands_over_input_and_gives_what_came_back() -> None:
    script = "import sys; print(sys.stdin.read().upper()); print('why', file=sys.stderr); sys.exit(3)"
    done = run_child([sys.executable, "-c", script], data=b"abc", stdout=PIPE, stderr=PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"ABC\n", b"why\n")
    with pytest.raises(subprocess.CalledProcessError):
        run_child([sys.executable, "-c", script], data=b"", check=True, stdout=PIPE, stderr=PIPE)


@pytest.mark.parametrize("stop", [None, threading.Event()], ids=["limit", "limit while it may be stopped"])
def test_a_run_that_takes_too_long_is_ended(stop: threading.Event | None) -> None:
    before = psutil.Process().children()
    with pytest.raises(subprocess.TimeoutExpired):
        run_child([sys.executable, "-c", "import time; time.sleep(600)"], timeout_s=0.5, stop=stop)
    assert psutil.Process().children() == before


def test_a_tethered_module_gets_its_arguments_and_ends_with_its_own_code() -> None:
    done = run_child(python_module("calendar", "2026", "12"), stdout=PIPE)
    assert (done.returncode, done.stdout.splitlines()[0].strip()) == (0, b"December 2026")
    assert run_child(python_module("calendar", "nonsense"), stdout=PIPE, stderr=PIPE).returncode == 2


def test_a_tethered_module_whose_parent_is_gone_already_ends() -> None:
    command = python_module("http.server", "0")
    place = command.index(str(os.getpid()))
    command[place] = "1"
    began = time.monotonic()
    assert run_child(command, stdout=PIPE, stderr=PIPE, timeout_s=60).returncode == 143
    assert time.monotonic() - began < 60


def test_a_watch_that_does_not_begin_is_not_left_running(tmp_path: Path) -> None:
    before = psutil.Process().children()
    with pytest.raises(CheckFailed), started_watch(["watch", str(tmp_path / "none")], tmp_path, tmp_path / "log"):
        pytest.fail("there is nothing to watch")
    assert psutil.Process().children() == before


def test_fuzzing_that_is_stopped_begins_with_no_other_process(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    found = fuzz_reader("X", [sys.executable, "-c", "import time; time.sleep(600)"], 3000.0, 1, tmp_path, stop)
    assert (found.inputs, found.failures) == (0, {})


@pytest.mark.parametrize(("error", "code"), [(None, 3), (KeyboardInterrupt, 130)])
def test_a_benchmark_ends_with_its_code_and_without_a_traceback(
    error: type[BaseException] | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> int:
        if error is not None:
            raise error
        return 3

    with pytest.raises(SystemExit) as end:
        exit_with(main)
    assert end.value.code == code
    assert capsys.readouterr().err == ("stopped\n" if error else "")
