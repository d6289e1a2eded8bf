"""A cold start: what a command imports, and the first result of one frame, against what no start can do without."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.speed.ratio import Against
from runtime.bundle import DEFAULT_BUNDLE
from runtime.bundle_files import FP32_MODEL
from runtime.outputs import SCORE

IMPORTS = "import numpy, cv2, onnxruntime"
SESSION = f"onnxruntime.InferenceSession({str(DEFAULT_BUNDLE / FP32_MODEL)!r}, providers=['CPUExecutionProvider'])"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes that find everything compiled, as pip installs it."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("compiled"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def run(arguments: Sequence[str], environment: dict[str, str]) -> float:
    """Seconds of one Python process."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, env=environment, capture_output=True)
    return time.perf_counter() - started


@pytest.mark.parametrize("command", ["score", "watch"])
def test_imports_against_the_three_libraries(against: Against, compiled: dict[str, str], command: str) -> None:
    own = ["-c", f"import runtime.cli, runtime.commands.{command}"]
    floor = ["-c", IMPORTS]
    for arguments in (own, floor):
        run(arguments, compiled)
    found = against.slower(lambda: run(own, compiled), lambda: run(floor, compiled), rounds=24)
    assert found.median <= 1.5


def test_first_result_against_imports_and_session(
    against: Against, compiled: dict[str, str], frame_files: tuple[Path, ...], tmp_path: Path
) -> None:
    """`inflamap score` of one frame, as a process of its own, until it ends."""
    out = tmp_path / "out"
    own = ["-m", "runtime.cli", "score", str(frame_files[0]), "--out", str(out), "--engine", "onnxruntime-fp32"]
    floor = ["-c", f"{IMPORTS}; {SESSION}"]
    for arguments in (own, floor):
        run(arguments, compiled)
    assert (out / f"{frame_files[0].name}{SCORE}").exists()
    against.slower(lambda: run(own, compiled), lambda: run(floor, compiled), rounds=24)
