"""A time as a ratio to another's in the same minutes, which a busy machine slows alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

# the first calls pay for memory and caches that all later ones find ready
WARM_UP = 2


@dataclass(frozen=True)
class Ratio:
    """What some work took as a share of its reference.

    Attributes:
        each: of each round.
        better: which way it should go.
        limit: what it must reach wherever it is measured; None where nothing is promised.
    """

    each: tuple[float, ...]
    better: Literal["lower", "higher"]
    limit: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.each)


class Against:
    """Times work and reference in turns under pytest-benchmark, and records the ratio with the benchmark."""

    def __init__(self, benchmark: Any, *, share_of_rounds: float) -> None:
        self._benchmark, self._share = benchmark, share_of_rounds

    @property
    def full(self) -> bool:
        """Whether this is no short form."""
        return self._share >= 1

    def rounds(self, full: int) -> int:
        """How many of so many rounds this run makes."""
        return max(3, round(full * self._share))

    def slower(self, work: Callable[[], object], reference: Callable[[], object], *, rounds: int) -> Ratio:
        """Time of the work over that of the reference: the lower, the better."""
        own, others = self._time(work, reference, self.rounds(rounds))
        return self.record([mine / theirs for mine, theirs in zip(own, others, strict=True)], "lower")

    def faster(self, work: Callable[[], object], reference: Callable[[], object], *, rounds: int) -> Ratio:
        """Time of the reference over that of the work: the higher, the better."""
        own, others = self._time(work, reference, self.rounds(rounds))
        return self.record([theirs / mine for mine, theirs in zip(own, others, strict=True)], "higher")

    def promise(self, limit: float) -> None:
        """What the ratio must reach wherever it is measured.

        The guard holds it to that, by more rounds where it does not at first: on a busy machine one run is no proof.
        """
        self.note(limit=limit)

    def note(self, **more: float) -> None:
        """Figures to be shown beside the ratio."""
        self._benchmark.extra_info.update(more)

    def record(self, each: list[float], better: Literal["lower", "higher"], **more: float) -> Ratio:
        """A ratio that was measured otherwise; `more`: figures to be shown beside it."""
        ratio = Ratio(tuple(each), better)
        if not self._benchmark.stats:
            # what was timed in other processes: the benchmark itself is the sum of nothing
            self._benchmark.pedantic(lambda: None, rounds=1)
        self._benchmark.extra_info.update(ratio=ratio.median, each=list(each), better=better)
        self.note(**more)
        return ratio

    def _time(
        self, work: Callable[[], object], reference: Callable[[], object], rounds: int
    ) -> tuple[list[float], list[float]]:
        others: list[float] = []

        def turn_of_the_reference() -> None:
            started = time.perf_counter()
            reference()
            others.append(time.perf_counter() - started)

        self._benchmark.pedantic(work, setup=turn_of_the_reference, rounds=rounds, warmup_rounds=WARM_UP)
        return list(self._benchmark.stats.stats.data), others[-rounds:]


def seconds_in_turns(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, all of them taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) for name, each in taken.items()}
