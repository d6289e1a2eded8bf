"""Runs commands of inflamap in forks of one process that has everything imported and the injector loaded.

A command starts so in a hundredth of the time. The engine is a stand-in that answers at once; all the rest is the real
command line. Requests come in on stdin, a line of JSON each; an answer goes out on stdout for each.
"""

import ctypes
import gc
import os
import signal
import sys
import time
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

import runtime.commands.results
import runtime.commands.retry
import runtime.commands.score
import runtime.commands.watch
from fault_injector import weakened
from fault_injector.running_watch import Driver, Script
from runtime import cli, conclusion, model, obstacles
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.engines import EngineOutput
from runtime.folder_watch import FolderWatch
from runtime.ledger import ledger
from runtime.overlay import prepare_lettering

# a command that hangs is a finding
LONGEST_S = 30.0
# what a fault makes the watch wait, so that a trial takes no longer than an undisturbed one
SHORT_PAUSE_S = 0.02
# and an image that failed: longer than the rest of an undisturbed run, which would otherwise try it again or not
RETRIED_S = 0.2


class Request(msgspec.Struct):
    """A command to be run.

    Attributes:
        arguments: of `inflamap`.
        root: calls below this folder count.
        log: of calls, anew.
        said: what the command prints, anew.
        target: number of the call that fails; 0 for none.
        fault: of `library.Fault`.
        weakness: name of a function in `weakened` that takes a guarantee away; empty for none.
        script: of a watch that goes on; calls are counted from the script's beginning.
    """

    arguments: list[str]
    root: str
    log: str
    said: str
    target: int = 0
    fault: int = 0
    weakness: str = ""
    script: Script | None = None


class Answer(msgspec.Struct):
    """How a command ended. `status`: its exit code, or below zero the signal; None where it hung and was killed."""

    status: int | None


class MeanEngine:
    """Grades a cell by its mean grey level, so that another image has another score."""

    name, precision = "onnxruntime-fp32", "fp32"

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        count, _channel, height, width = images.shape
        cells = (height - 128) // 16 + 1, (width - 128) // 16 + 1
        probabilities = np.zeros((count, 5, *cells), np.float32)
        grade = images.mean(axis=(1, 2, 3)) / 255.0 * 4.0
        lower = np.minimum(grade.astype(int), 3)
        for image in range(count):
            probabilities[image, lower[image] + 1] = grade[image] - lower[image]
            probabilities[image, lower[image]] = 1.0 - (grade[image] - lower[image])
        return EngineOutput(probabilities, np.zeros((count, *cells), np.float32))

    def int8_share(self) -> float | None:
        return None

    @property
    def runs_on(self) -> dict[str, str]:
        return {}


def main() -> None:
    """Serve until stdin ends."""
    injector = ctypes.CDLL(None)
    prepare()
    # a child that looks for garbage would copy every page of it
    gc.freeze()
    answers = os.fdopen(os.dup(1), "wb")
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line, type=Request)
        child = os.fork()
        if child == 0:
            run(request, injector)
        answers.write(msgspec.json.encode(Answer(ended(child))) + b"\n")
        answers.flush()


def prepare() -> None:
    """Import, open and shorten whatever every command would take time for."""
    import filelock  # noqa: F401
    import psutil  # noqa: F401
    import tifffile  # noqa: F401
    import watchdog.observers  # noqa: F401

    prepare_lettering()
    bundle = open_bundle(DEFAULT_BUNDLE)
    for module in (runtime.commands.watch, runtime.commands.score):
        replace(module, "open_bundle", lambda _folder: bundle)
    replace(model, "open_chosen", lambda *_arguments, **_options: MeanEngine())
    for module, name in ((obstacles, "DISK_CHECK_S"), (obstacles, "BLOCKED_S"), (conclusion, "BLOCKED_S")):
        replace(module, name, SHORT_PAUSE_S)
    settings_for = runtime.commands.watch.settings_for
    replace(
        runtime.commands.watch,
        "settings_for",
        lambda *arguments, **options: msgspec.structs.replace(settings_for(*arguments, **options), poll_s=0.001),
    )


def replace(module: Any, name: str, value: object) -> None:
    """As monkeypatch does: what is not there any more is told at once."""
    assert hasattr(module, name), f"{module.__name__} has no {name} any more"
    setattr(module, name, value)


def run(request: Request, injector: ctypes.CDLL) -> None:
    """The command itself, in the child; does not return."""
    status = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        said = os.open(request.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        for descriptor in (1, 2):
            os.dup2(said, descriptor)
        log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        if request.weakness:
            getattr(weakened, request.weakness)(replace)

        def arm() -> None:
            injector.injector_arm(os.fsencode(request.root), log, ctypes.c_long(request.target), request.fault)

        if request.script is None:
            arm()
        else:
            replace(ledger, "FIRST_PAUSE_S", RETRIED_S)
            wait = FolderWatch.wait
            driver = Driver(request.script, wait, arm, lambda: injector.injector_count() >= request.target > 0)

            def idle(watch: FolderWatch) -> None:
                driver.idle(watch)

            replace(FolderWatch, "wait", idle)
        cli.main(request.arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        # what must never come out of the command line shows as what it is
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def ended(child: int) -> int | None:
    """Wait for the child; see `Answer`."""
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


if __name__ == "__main__":
    main()
