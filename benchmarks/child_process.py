"""Child processes that end with the work that started them: by its end, an error, Ctrl-C, or the parent's death."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from benchmarks.tether import TERMINATED
from runtime.cli import ended_by_sigterm
from runtime.errors import Terminated
from trainer.worker_pool import interrupts_deferred

# time to finish the current image and remove temporary files
OBEY_S = 60.0
# time to remove temporary files; the result of the process is no longer wanted
SHORT_OBEY_S = 5.0
LOOK_S = 0.2


def python_module(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a module in a process tethered to this one, see `benchmarks.tether`."""
    return [sys.executable, "-P", "-m", "benchmarks.tether", str(os.getpid()), module, *map(str, arguments)]


@contextmanager
def child_process(
    command: Sequence[str], *, obey_s: float = OBEY_S, **options: Any
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process, and end it however the block is left.

    Args:
        command: as of `subprocess.Popen`.
        obey_s: seconds that the process has after SIGTERM, before it is killed; 0: it is killed at once.
        options: more of `subprocess.Popen`'s.

    Raises:
        SystemExit: instead of KeyboardInterrupt or `Terminated`, if the process already printed `stopped`.
    """
    with interrupts_deferred():
        process = subprocess.Popen(command, **options)
    with process:
        try:
            yield process
        except BaseException as error:
            # the process must not block on writing to a pipe that is no longer read
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
            _end(process, obey_s)
            if isinstance(error, (KeyboardInterrupt, Terminated)) and _said_stopped(process, options):
                sys.exit(error.code if isinstance(error, Terminated) else 130)
            raise
        else:
            _end(process, obey_s)


def _end(process: "subprocess.Popen[bytes]", obey_s: float) -> None:
    """Ask the process to end, and kill it where it does not obey in time or a second Ctrl-C comes."""
    if process.poll() is not None:
        return
    try:
        if obey_s > 0:
            process.terminate()
            process.wait(obey_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.kill()
        process.wait()


def _said_stopped(process: "subprocess.Popen[bytes]", options: dict[str, Any]) -> bool:
    """Tell whether the process wrote its own line about the end to this process's stderr."""
    return process.returncode == TERMINATED and options.get("stderr") is None


def run_child(
    command: Sequence[str],
    *,
    check: bool = False,
    data: bytes | None = None,
    timeout_s: float | None = None,
    stop: threading.Event | None = None,
    obey_s: float = SHORT_OBEY_S,
    **options: Any,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a process to its end, as `subprocess.run` does; end it however this function is left.

    Args:
        command: as of `subprocess.Popen`.
        check: raise where its exit code is not 0.
        data: for its standard input.
        timeout_s: seconds that it may take.
        stop: end the process soon after this is set; its output then goes to files, and not to pipes.
        obey_s: see `child_process`.
        options: more of `subprocess.Popen`'s.

    Raises:
        subprocess.CalledProcessError: its exit code is not 0.
        subprocess.TimeoutExpired: it took longer, or `stop` was set.
    """
    if data is not None:
        options["stdin"] = subprocess.PIPE
    with child_process(command, obey_s=obey_s, **options) as process:
        if stop is not None:
            _wait(process, stop, timeout_s)
        out, said = process.communicate(data, timeout_s)
    if check and process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command, out, said)
    return subprocess.CompletedProcess(command, process.returncode, out, said)


def _wait(process: "subprocess.Popen[bytes]", stop: threading.Event, timeout_s: float | None) -> None:
    started = time.monotonic()
    while process.poll() is None:
        if stop.wait(LOOK_S) or (timeout_s is not None and time.monotonic() - started > timeout_s):
            raise subprocess.TimeoutExpired(process.args, time.monotonic() - started)


def exit_with(main: Callable[[], int]) -> None:
    """Run a benchmark's `main` and exit with its code; Ctrl-C and SIGTERM are one line and no traceback.

    The exit code is then 130 or 143, as of the `inflamap` command.
    """
    try:
        with ended_by_sigterm():
            sys.exit(main())
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        sys.exit(130)
    except Terminated:
        click.echo("stopped", err=True)
        raise
