"""Ratios are taken round by round, and the reference has its turn before each round of the work."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.speed.ratio import WARM_UP, Against, seconds_in_turns


class Pedantic:
    """pytest-benchmark's fixture, as far as it is used."""

    def __init__(self) -> None:
        self.stats: Any = None
        self.extra_info: dict[str, Any] = {}

    def pedantic(self, work: Callable[[], object], *, setup: Any = None, rounds: int, warmup_rounds: int = 0) -> None:
        taken = []
        for _ in range(warmup_rounds + rounds):
            if setup is not None:
                setup()
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=taken[-rounds:]))


@pytest.mark.parametrize(("way", "ratio"), [("slower", 0.5), ("faster", 2.0)])
def test_work_and_reference_take_turns(way: str, ratio: float) -> None:
    benchmark, order = Pedantic(), []

    def work() -> None:
        order.append("work")
        time.sleep(0.01)

    def reference() -> None:
        order.append("reference")
        time.sleep(0.02)

    found = getattr(Against(benchmark, share_of_rounds=1.0), way)(work, reference, rounds=4)
    assert order == ["reference", "work"] * (4 + WARM_UP)
    assert len(found.each) == 4
    assert found.median == pytest.approx(ratio, rel=0.3)
    assert benchmark.extra_info["ratio"] == found.median
    assert benchmark.extra_info["better"] == {"slower": "lower", "faster": "higher"}[way]


def test_a_promise_is_recorded_with_the_ratio() -> None:
    benchmark = Pedantic()
    against = Against(benchmark, share_of_rounds=1.0)
    against.record([1.0], "lower")
    against.promise(1.1)
    assert benchmark.extra_info["limit"] == 1.1


def test_a_short_form_has_fewer_rounds_and_never_too_few() -> None:
    short = Against(Pedantic(), share_of_rounds=0.25)
    assert (short.rounds(40), short.rounds(4), short.full) == (10, 3, False)


def test_what_was_timed_elsewhere_is_recorded_with_what_is_beside_it() -> None:
    benchmark = Pedantic()
    found = Against(benchmark, share_of_rounds=1.0).record([3.0, 1.0, 2.0], "lower", peak_mb=7.0)
    assert found.median == 2.0
    assert benchmark.extra_info == {"ratio": 2.0, "each": [3.0, 1.0, 2.0], "better": "lower", "peak_mb": 7.0}
    assert benchmark.stats is not None, "pytest-benchmark leaves out what never ran"


def test_works_take_turns() -> None:
    order: list[str] = []
    found = seconds_in_turns({"a": lambda: order.append("a"), "b": lambda: time.sleep(0.01) or order.append("b")}, 3)
    assert order == ["a", "b"] * 3
    assert found["b"] >= 0.01 > found["a"]
