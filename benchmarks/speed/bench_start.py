"""A cold start: what a command imports, and the first result of one frame, against what no start can do without."""

import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest

from benchmarks.child_process import child_process, run_child
from benchmarks.speed.ratio import Against
from runtime.bundle import DEFAULT_BUNDLE
from runtime.bundle_files import FP32_MODEL
from runtime.outputs import SCORE

IMPORTS = "import numpy, cv2, onnxruntime"
# as the installed script does; `-m runtime.cli` first imports how to run modules
COMMAND = "from runtime.cli import main; main()"
SESSION = f"onnxruntime.InferenceSession({str(DEFAULT_BUNDLE / FP32_MODEL)!r}, providers=['CPUExecutionProvider'])"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes that find everything compiled, as pip installs it."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def run(arguments: Sequence[str], environment: dict[str, str]) -> None:
    """A Python process, to its end."""
    run_child([sys.executable, "-P", *arguments], check=True, env=environment, stdout=PIPE, stderr=PIPE)


def processor_s(arguments: Sequence[str], environment: dict[str, str]) -> float:
    """Processor seconds of a Python process: wall time on a shared machine measures its neighbours."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(arguments, environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_line_s(arguments: Sequence[str], environment: dict[str, str]) -> float:
    """Seconds from the start of a Python process to the first line that it prints."""
    started = time.perf_counter()
    command = [sys.executable, "-P", *arguments]
    with child_process(command, env=environment, stdout=PIPE, stderr=DEVNULL) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - started
        process.wait()
    assert line
    assert process.returncode == 0
    return seconds


@pytest.mark.parametrize("command", ["score", "watch"])
def test_imports_against_the_three_libraries(against: Against, compiled: dict[str, str], command: str) -> None:
    own = ["-c", f"import runtime.cli, runtime.commands.{command}"]
    floor = ["-c", IMPORTS]
    for arguments in (own, floor):
        run(arguments, compiled)
    each = [processor_s(own, compiled) / processor_s(floor, compiled) for _ in range(against.rounds(24))]
    against.record(each, "lower")
    against.promise(1.5)


def test_first_result_against_imports_and_session(
    against: Against, compiled: dict[str, str], frame_files: tuple[Path, ...], tmp_path: Path
) -> None:
    """From the start of `inflamap score` to its line, which comes when the frame's results are on the disk, against the
    same from the start of a process that loads libraries and model and does nothing with them."""
    out = tmp_path / "out"
    own = ["-c", COMMAND, "score", str(frame_files[0]), "--out", str(out), "--engine", "onnxruntime-fp32"]
    floor = ["-c", f"{IMPORTS}; session = {SESSION}; print('ready', flush=True)"]
    for arguments in (own, floor):
        run(arguments, compiled)
    assert (out / f"{frame_files[0].name}{SCORE}").exists()
    each = [first_line_s(own, compiled) / first_line_s(floor, compiled) for _ in range(against.rounds(24))]
    against.record(each, "lower")
