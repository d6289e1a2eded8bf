"""Reports of engines that tests make up."""

from benchmarks.engine_bench.footprint import Footprint
from benchmarks.engine_bench.proof import GoldenCheck, Judgement
from benchmarks.engine_bench.report import EngineReport
from benchmarks.engine_bench.timing import FrameTiming, Spread
from runtime.gate import GateFigures, Strangers, Verdict


def report_of(
    engine: str = "a",
    *,
    p50: float = 50.0,
    p95: float = 60.0,
    golden: bool = True,
    unchanged: float = 1.0,
    on_frames: float = 1.0,
    mosaics: int = 0,
    strangers: int = 50,
    int8_share: float | None = None,
    judged: bool = True,
    repeatable: bool = True,
    timed: bool = True,
    unmapped: int = 0,
    withheld: int = 0,
    missing: str | None = None,
    reached_fps: float = 9.0,
) -> EngineReport:
    """A report of an engine that is right; the keywords tell what it is not."""
    if missing is not None:
        return EngineReport(engine, missing=missing)
    if not golden:
        return EngineReport(engine, golden=GoldenCheck(False, None, 1e-4, None, 1e-4, f"{engine} differs"))
    verdict = Verdict(_figures(unchanged), _figures(on_frames), Strangers(strangers, 0), int8_share)
    timing = FrameTiming(
        timed=9,
        frame_ms=Spread(p50, p95, p95 + 1),
        map_ms=Spread(p50 / 2, p95 / 2, p95 / 2),
        frames_per_second=round(1000 / p50, 2),
        withheld=withheld,
        unmapped=unmapped,
        withheld_reason="too dark" if withheld else None,
        repeatable=repeatable,
        score_difference=None,
    )
    return EngineReport(
        engine,
        precision="fp32",
        runs_on={"library": "1.0"},
        golden=GoldenCheck(True, 1e-6, 1e-4, 1e-6, 1e-4, None),
        judgement=Judgement(verdict, mosaics=mosaics) if judged else Judgement(None, "there is no reference"),
        timing=timing if timed else None,
        footprint=Footprint(200.0, 0.5, 0.25, reached_fps),
    )


def _figures(unchanged: float) -> GateFigures:
    return GateFigures(
        cells=100,
        unchanged=unchanged,
        changed_margin=0.0,
        shift=0.001,
        kappa=1.0,
        accuracy_loss=None,
        withholding_changed=0.0,
    )
