"""The engine to use on this machine: the fastest of those that keep the grades and the budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.engine_bench.report import EngineReport


@dataclass(frozen=True)
class Choice:
    """What it came to.

    Attributes:
        engine: its report; None where no engine will do.
        why: a clause for a person.
        next_step: what to do where no engine will do.
    """

    engine: EngineReport | None
    why: str
    next_step: str = ""


def choose(reports: Sequence[EngineReport], budget_ms: float) -> Choice:
    """The one with the lowest median of a frame's time, the first of equals.

    Args:
        reports: what was found about each engine.
        budget_ms: milliseconds that the 95th percentile of a frame's time may reach.
    """
    passing = [found for found in reports if found.passed(budget_ms)]
    if passing:
        chosen = min(passing, key=lambda found: found.p50_ms)
        keeps = f"keep{'s' if len(passing) == 1 else ''} the grades and {budget_ms:g} ms"
        return Choice(chosen, f"{f'fastest of {len(passing)}' if len(passing) > 1 else 'the only one'} that {keeps}")
    keeping = [found for found in reports if found.keeps_grades]
    if not keeping:
        failed = [found.engine for found in reports if found.available]
        return Choice(
            None,
            f"no engine keeps the grades on this machine: {', '.join(failed) or 'none is here'}",
            "see the reasons given with the results; do not use these engines on this machine",
        )
    if not any(found.mapped for found in keeping):
        return Choice(
            None,
            f"the budget of {budget_ms:g} ms was not checked: every frame was withheld before a map was computed",
            "give --um-per-px, or other --images",
        )
    over = ", ".join(f"{found.engine} {found.timing.frame_ms.p95:.1f} ms" for found in keeping if found.timing)
    return Choice(
        None,
        f"no engine that keeps the grades keeps the budget of {budget_ms:g} ms for p95 of a frame: {over}",
        "close other programs, or try more --threads, another engine or a faster machine",
    )
