"""The fastest of those that are right, and never one that is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_reports import report_of

from benchmarks.engine_bench.choice import choose
from benchmarks.engine_bench.report import EngineReport

BUDGET = 111.0

WRONG = [
    {"golden": False},
    {"unchanged": 0.97},
    {"unchanged": float("nan")},
    {"on_frames": 0.97},
    {"int8_share": 0.79},
    {"judged": False},
    {"repeatable": False},
    {"unmapped": 9},
    {"timed": False},
    {"missing": "not installed"},
    {"p95": 111.01},
    {"p95": float("nan")},
]

right = st.fixed_dictionaries({"p50": st.floats(1, 100), "p95": st.floats(100, BUDGET)})
# wrong ones are as fast as can be
wrong = st.builds(lambda change: {"p50": 0.01, "p95": 1.0} | change, st.sampled_from(WRONG))


@given(st.lists(st.one_of(right, wrong), max_size=8))
def test_the_chosen_one_is_right_and_no_right_one_is_faster(made: list[dict[str, float]]) -> None:
    reports = [report_of(f"engine {number}", **changes) for number, changes in enumerate(made)]
    chosen = choose(reports, BUDGET).engine
    passing = [found for found, changes in zip(reports, made, strict=True) if changes["p50"] > 0.01]
    if not passing:
        assert chosen is None
        return
    assert chosen in passing
    assert chosen is not None
    assert chosen.timing is not None
    for other in passing:
        assert other.timing is not None
        assert chosen.timing.frame_ms.p50 <= other.timing.frame_ms.p50
        assert chosen.timing.frames_per_second >= other.timing.frames_per_second


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_wrong_but_fast_is_never_chosen(change: dict[str, object]) -> None:
    fast = report_of("fast", **{"p50": 1.0, "p95": 1.0} | change)
    assert choose([fast], BUDGET).engine is None
    slow = report_of("slow")
    assert choose([fast, slow], BUDGET).engine is slow


def test_the_first_of_equals_is_chosen() -> None:
    reports = [report_of("b"), report_of("a")]
    assert choose(reports, BUDGET).engine is reports[0]


def why(*reports: EngineReport, budget_ms: float = BUDGET) -> str:
    return choose(reports, budget_ms).why


def test_the_reason_is_told() -> None:
    assert why(report_of("a"), report_of("b")) == "fastest of 2 that keep the grades and 111 ms"
    assert why(report_of("a"), report_of("b", golden=False)) == "the only one that keeps the grades and 111 ms"


def test_the_reason_for_none_is_told() -> None:
    assert why(report_of("a", golden=False), report_of("b", missing="no b")) == (
        "no engine keeps the grades on this machine: a"
    )
    assert why(report_of("b", missing="no b")).endswith("none is here")
    assert why(report_of("a", p95=120.0), report_of("b", unchanged=0.5), budget_ms=100) == (
        "no engine that keeps the grades keeps the budget of 100 ms for p95 of a frame: a 120.0 ms"
    )
    assert why(report_of("a", unmapped=9)) == (
        "the budget of 111 ms was not checked: every frame was withheld before a map was computed"
    )
