"""A step shows its command as typed, runs it, and stops the demo when it fails."""

from pathlib import Path

import pytest

from benchmarks.demo.steps import Steps
from runtime.errors import CheckFailed
from runtime.version import __version__


def test_commands_are_shown_run_and_kept(tmp_path: Path) -> None:
    said: list[str] = []
    steps = Steps(2, said.append)
    steps.begin("Look")
    kept = tmp_path / "a b.txt"
    assert __version__.encode() in steps.inflamap("--version", into=kept)
    steps.end("found it")
    assert kept.read_bytes().startswith(b"inflamap ")
    assert said[1] == "1/2  Look"
    assert said[2] == f"$ inflamap --version > '{kept}'"
    assert steps.commands == [said[2].removeprefix("$ ")]
    assert said[3] == "found it"
    assert said[4].startswith("done in ")


def test_a_command_that_fails_stops_the_demo() -> None:
    steps = Steps(1, lambda _line: None)
    with pytest.raises(CheckFailed, match="inflamap status failed in the demo; seen: exit code 2"):
        steps.inflamap("status", "--out", "no such folder")


def test_a_check_that_fails_does_not_where_one_can_go_on(tmp_path: Path) -> None:
    said: list[str] = []
    steps = Steps(1, said.append)
    too_slow = (
        "bench",
        "--engines",
        "onnxruntime-fp32",
        "--frames",
        1,
        "--no-footprint",
        "--budget-ms",
        0.001,
        "--json",
    )
    with pytest.raises(CheckFailed, match="seen: exit code 1"):
        steps.inflamap(*too_slow, left=tmp_path / "bundle.json")
    (tmp_path / "bundle.json").write_text("{}")
    assert b'"passed": false' in steps.inflamap(*too_slow, left=tmp_path / "bundle.json")
    assert said[-1] == "a check failed, see above; the demo goes on with what there is"
    with pytest.raises(CheckFailed, match="seen: exit code 2"):
        steps.inflamap("status", "--out", "no such folder", left=tmp_path / "bundle.json")
