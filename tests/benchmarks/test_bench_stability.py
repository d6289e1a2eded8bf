"""Runs of bench that disagree are found, and so is one that does not choose its fastest."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import bench_stability
from benchmarks.bench_stability import main, medians, unstable


def document(chosen: str | None, **p50: float | None) -> dict[str, Any]:
    """None for an engine that does not pass."""
    return {
        "chosen": chosen,
        "engines": [
            {"engine": name, "passed": ms is not None, "frame_ms": None if ms is None else {"p50": ms}}
            for name, ms in p50.items()
        ],
    }


def test_medians_are_of_those_that_pass() -> None:
    assert medians(document("a", a=1.0, b=None)) == {"a": 1.0}


def test_runs_that_agree_are_stable() -> None:
    assert unstable([document("a", a=1.0, b=2.0), document("a", a=1.5, b=1.6, c=None)]) == []


def test_choices_that_are_equal_within_5_percent_are_stable() -> None:
    assert unstable([document("a", a=100.0, b=104.0), document("b", a=105.0, b=101.0)]) == []


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([document("a", a=100.0, b=110.0), document("b", a=112.0, b=100.0)] * 1, "a and b were both chosen, and diff"),
        ([document("a", a=100.0, b=None), document("b", a=None, b=100.0)], "never pass in the same run"),
        ([document("a", a=2.0, b=1.0)], "run 1 chose a, which is not the fastest that it measured"),
        ([document(None, a=None)], "run 1 chose None, which does not pass"),
        ([document("a", a=None, b=1.0)], "run 1 chose a, which does not pass"),
    ],
)
def test_unstable_runs_are_told(documents: list[dict[str, Any]], said: str) -> None:
    # the odd run decides the median
    more = [document("a", a=100.0, b=120.0)] if "diff" in said else []
    faults = unstable([*documents, *more])
    assert len(faults) == 1
    assert said in faults[0]


def test_each_run_is_bench_as_a_user_types_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []
    chosen = iter(["a", "a", "b"])

    def run(command: list[str], **_options: Any) -> Any:
        commands.append(command[command.index("runtime.cli") + 1 :])
        return SimpleNamespace(stdout=json.dumps(document(next(chosen), a=1.0, b=2.0)).encode(), returncode=0)

    monkeypatch.setattr(bench_stability, "run_child", run)
    monkeypatch.setattr("sys.argv", ["bench_stability", str(tmp_path), "--runs", "3", "--frames", "5"])
    assert main() == 1
    assert (
        commands == [["bench", str(tmp_path), "--json", "--no-footprint", "--frames", "5", "--budget-ms", "1000"]] * 3
    )
    out = capsys.readouterr().out
    assert "a: a 1.0 ms, b 2.0 ms\n" in out
    assert out.endswith("a chosen 2 times, b chosen 1 times\n")
