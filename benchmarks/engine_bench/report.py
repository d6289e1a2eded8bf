"""What was found about one engine."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from msgspec import to_builtins

from benchmarks.engine_bench.footprint import Footprint
from benchmarks.engine_bench.proof import GoldenCheck, Judgement
from benchmarks.engine_bench.timing import FrameTiming


@dataclass(frozen=True)
class EngineReport:
    """One engine on this machine.

    Attributes:
        engine: its id.
        precision: `fp32`, `fp16` or `int8`; None where it was not opened.
        runs_on: `DeployedEngine.runs_on`; None where it was not opened.
        missing: why it is not here; None where it is.
        golden: None where it is not here.
        judgement: what the gate says; None where it was not opened.
        timing: None where it does not keep the grades, or failed meanwhile.
        timing_fault: why it failed while it was timed.
        footprint: None where it does not keep the grades, or was not measured.
        footprint_fault: why it was not measured.
    """

    engine: str
    precision: str | None = None
    runs_on: dict[str, str] | None = None
    missing: str | None = None
    golden: GoldenCheck | None = None
    judgement: Judgement | None = None
    timing: FrameTiming | None = None
    timing_fault: str | None = None
    footprint: Footprint | None = None
    footprint_fault: str | None = None

    @property
    def available(self) -> bool:
        """Whether there is such an engine on this machine."""
        return self.missing is None

    def misses(self) -> tuple[str, ...]:
        """Why it does not keep the grades; empty where it does, or is not here."""
        golden, judgement = self.golden, self.judgement
        repeats = self.timing is None or self.timing.repeatable
        return (
            *((golden.reason,) if golden and golden.reason is not None else ()),
            *((judgement.fault,) if judgement and judgement.fault else ()),
            *(judgement.verdict.misses() if judgement and judgement.verdict else ()),
            *((self.timing_fault,) if self.timing_fault else ()),
            *(() if repeats else ("the same frame scored twice got two scores",)),
        )

    @property
    def keeps_grades(self) -> bool:
        """Golden frames, gate and repetition."""
        judged = self.judgement is not None and self.judgement.verdict is not None
        return self.available and judged and not self.misses()

    @property
    def mapped(self) -> bool:
        """Whether times say anything: a frame withheld before its map was computed keeps any budget."""
        return self.timing is not None and self.timing.unmapped < self.timing.timed

    @property
    def p50_ms(self) -> float:
        """Median milliseconds of a frame; only of an engine that was timed."""
        assert self.timing is not None
        return self.timing.frame_ms.p50

    def kept_budget(self, budget_ms: float) -> bool | None:
        """Whether p95 of a frame is within it; None where that is not known."""
        return self.timing.frame_ms.p95 <= budget_ms if self.timing is not None and self.mapped else None

    def passed(self, budget_ms: float) -> bool:
        """Whether it may be chosen."""
        return self.keeps_grades and self.kept_budget(budget_ms) is True

    def to_json(self, budget_ms: float) -> dict[str, Any]:
        """One flat document; the keys of timing and footprint are there, null, where nothing was measured."""
        timing = asdict(self.timing) if self.timing else dict.fromkeys(field.name for field in fields(FrameTiming))
        taken = asdict(self.footprint) if self.footprint else dict.fromkeys(field.name for field in fields(Footprint))
        return {
            "engine": self.engine,
            "available": self.available,
            "precision": self.precision,
            "runs_on": self.runs_on,
            "passed": self.passed(budget_ms),
            "reason": self.missing or "; ".join(self.misses()) or None,
            "golden": to_builtins(self.golden) if self.golden else None,
            "gate": self._gate(),
            "kept_budget": self.kept_budget(budget_ms),
            **timing,
            **taken,
        }

    def _gate(self) -> dict[str, Any] | None:
        if self.judgement is None or self.judgement.verdict is None:
            return None
        return {**self.judgement.verdict.to_json(), "mosaics": self.judgement.mosaics}
