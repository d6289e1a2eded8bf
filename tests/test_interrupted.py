"""No process outlives the command that started it, and nothing finished is lost, however the command ends."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from interrupted import WAYS, interrupt

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals to process groups are POSIX's"),
    # starts programs that import torch, on a machine that may be busy
    pytest.mark.timeout(300),
]

INFLAMAP = [sys.executable, "-P", "-m", "runtime.cli"]
TRAIN = """
import sys, time
from trainer.devices import Devices, run_on

def work(fabric, folder):
    open(f"{folder}/{fabric.global_rank}.begun", "w").close()
    time.sleep(600)

if __name__ == "__main__":
    from benchmarks.child_process import exit_with
    exit_with(lambda: run_on(Devices("cpu", 2), work, sys.argv[1]))
"""
BENCHMARK = """
import subprocess, sys, time
from benchmarks.child_process import child_process, exit_with, python_module, run_child

def main():
    # which says by itself how it ended
    watch = python_module("runtime.cli", "watch", "in", "--out", "out", "--min-free", "0")
    with child_process(watch, stderr=subprocess.DEVNULL):
        with child_process([sys.executable, "-c", "import time; time.sleep(600)"]):
            open("begun", "w").close()
            return run_child(python_module("sleeps")).returncode

if __name__ == "__main__":
    exit_with(main)
"""


def workers_of(parent: psutil.Process) -> int:
    """The number of multiprocessing's workers below a process."""
    try:
        return sum("spawn_main" in " ".join(child.cmdline()) for child in parent.children(recursive=True))
    except psutil.Error:
        return 0


def finished(folder: Path) -> dict[Path, bytes]:
    """PNG files that are whole, by path."""
    found = {path: path.read_bytes() for path in folder.rglob("*.png")}
    return {path: data for path, data in found.items() if data.endswith(b"IEND\xaeB`\x82")}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", ["workers start", "workers work"])
@pytest.mark.parametrize("command", ["phantom", "demo"])
def test_workers_end_with_the_command(command: str, moment: str, way: str, tmp_path: Path) -> None:
    arguments = {"phantom": ["phantom", "skin", "--patches", "4000"], "demo": ["demo", "--out", "demo"]}[command]
    kept: dict[Path, bytes] = {}

    def ready(parent: psutil.Process) -> bool:
        if moment == "workers start":
            return workers_of(parent) > 0
        kept.update(finished(tmp_path))
        return bool(kept)

    send, code = WAYS[way]
    found = interrupt([*INFLAMAP, *arguments], tmp_path, ready, send)
    assert found.had >= 2
    assert found.outlived == []
    assert found.code == code
    # a worker that gets half of its work from a parent that is killed says so
    if (moment, way) != ("workers start", "SIGKILL of the parent"):
        assert_one_line(found.said, way)
    assert finished(tmp_path).items() >= kept.items()
    assert not list(tmp_path.rglob("scores.csv")), "it was interrupted before its end"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", ["processes start", "processes train"])
def test_processes_of_training_end_with_it(moment: str, way: str, tmp_path: Path) -> None:
    begun = [tmp_path / "0.begun", tmp_path / "1.begun"]
    ready: dict[str, Callable[[psutil.Process], bool]] = {
        "processes start": lambda parent: workers_of(parent) == 2,
        "processes train": lambda _parent: all(path.exists() for path in begun),
    }
    script = tmp_path / "training.py"
    script.write_text(TRAIN)
    send, code = WAYS[way]
    found = interrupt([sys.executable, str(script), str(tmp_path)], tmp_path, ready[moment], send)
    assert (found.outlived, found.code) == ([], code)
    if (moment, way) != ("processes start", "SIGKILL of the parent"):
        assert_one_line(found.said, way)


@pytest.mark.parametrize("way", WAYS)
def test_children_of_a_benchmark_end_with_it(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    script = tmp_path / "benchmark.py"
    script.write_text(BENCHMARK)
    (tmp_path / "sleeps.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def ready(parent: psutil.Process) -> bool:
        return (tmp_path / "begun").exists() and len(parent.children(recursive=True)) == 3

    send, code = WAYS[way]
    found = interrupt([sys.executable, str(script)], tmp_path, ready, send)
    # what is no Python module of ours cannot follow a parent that was killed
    outlived = [line for line in found.outlived if "-c import time" not in line or "SIGKILL" not in way]
    assert (outlived, found.code) == ([], code)
    assert_one_line(found.said, way)


def test_a_worker_that_outlives_its_parent_would_be_seen(tmp_path: Path) -> None:
    script = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    ready = lambda parent: bool(parent.children())  # noqa: E731
    command = [sys.executable, "-c", f"{script}import time; time.sleep(60)"]
    found = interrupt(command, tmp_path, ready, WAYS["SIGKILL of the parent"][0])
    assert len(found.outlived) == 1
    assert os.path.basename(sys.executable) in found.outlived[0]  # noqa: PTH119


def assert_one_line(said: list[str], way: str) -> None:
    """Of the command's own end one line, and no traceback of a worker."""
    assert "Traceback (most recent call last):" not in said, said
    # what is killed says nothing
    assert said[-1:] == ["stopped"] or "SIGKILL" in way, said
    assert said.count("stopped") <= 1, said
