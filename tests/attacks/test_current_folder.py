"""Modules of the current folder, which no process of ours may import in the place of our own or the system's."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.demo.steps import Steps
from runtime.cli import main
from runtime.python_child import SAFE_PATH, python_command, safe_path_for_children
from runtime.viewer import process

REPOSITORY = Path(__file__).parents[2]
OURS = ("runtime", "trainer", "export", "benchmarks")
OTHERS = ("numpy", "cv2", "click", "msgspec", "onnxruntime", "torch", "pytest")


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder that holds a module of every name, each of which leaves a mark; the folder of the marks."""
    place, marks = tmp_path / "evil", tmp_path / "marks"
    place.mkdir()
    marks.mkdir()
    for name in (*OURS, *OTHERS, *sys.stdlib_module_names):
        text = f"import os\nopen(os.path.join({str(marks)!r}, {name!r}), 'w').close()\nraise SystemExit(77)\n"
        (place / f"{name}.py").write_text(text)
    monkeypatch.chdir(place)
    return marks


def left(marks: Path) -> list[str]:
    return sorted(mark.name for mark in marks.iterdir())


def test_the_folder_is_as_evil_as_it_should_be(evil: Path) -> None:
    for command in (["-m", "runtime.cli", "--version"], ["-c", "import json"]):
        done = subprocess.run([sys.executable, *command], check=False, capture_output=True)
        assert done.returncode != 0
    assert left(evil)


def test_the_demo_runs_its_commands_without_it(evil: Path) -> None:
    assert Steps(1, lambda _line: None).inflamap("--version").startswith(b"inflamap ")
    assert left(evil) == []


def test_processes_that_libraries_start_go_without_it(evil: Path, tmp_path: Path) -> None:
    # enough patches that a pool of spawned processes paints them
    with pytest.raises(SystemExit) as stop:
        main(["phantom", str(tmp_path / "data"), "--patches", "400", "--frames", "0"])
    assert stop.value.code == 0
    assert left(evil) == []
    assert len(list((tmp_path / "data" / "patches").iterdir())) == 400


def test_the_page_is_served_without_it(evil: Path) -> None:
    done = subprocess.run(process._COMMAND, check=False, input=b"", capture_output=True, timeout=60)
    assert done.returncode != 77
    assert left(evil) == []


def test_a_child_of_ours_goes_without_it(evil: Path) -> None:
    done = subprocess.run(python_command("json.tool", "--help"), check=True, capture_output=True)
    assert done.stdout
    assert left(evil) == []


@pytest.mark.parametrize("before", [None, "", "1"])
def test_the_environment_is_put_back(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if before is None:
        monkeypatch.delenv(SAFE_PATH, raising=False)
    else:
        monkeypatch.setenv(SAFE_PATH, before)
    with safe_path_for_children():
        assert os.environ[SAFE_PATH] == "1"
    assert os.environ.get(SAFE_PATH) == before


def test_every_python_child_is_started_so() -> None:
    # a command line that begins with this interpreter says -P, or is made by the one function that does
    unsafe = re.compile(r"(?<!execve\()sys\.executable,(?!\s*[\"']-P[\"'])")
    found = [
        f"{path.relative_to(REPOSITORY)}:{text.count(chr(10), 0, match.start()) + 1}"
        for package in OURS
        for path in sorted((REPOSITORY / package).rglob("*.py"))
        for text in [path.read_text(encoding="utf-8")]
        for match in unsafe.finditer(text)
    ]
    assert found == []
