"""Everything that `inflamap bench` measures, in its order: no engine is timed that does not keep the grades."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2

from benchmarks.engine_bench.footprint import measure_footprint
from benchmarks.engine_bench.frames import Frames, Progress
from benchmarks.engine_bench.proof import Judgement, Proof, gate_set, judge_all, prove
from benchmarks.engine_bench.report import EngineReport
from benchmarks.engine_bench.timing import Stopped, time_engines
from runtime.bundle import Bundle
from runtime.engines.registry import REFERENCE_ENGINE
from runtime.errors import InflamapError
from runtime.gate_set import GateSet


def prove_engines(
    bundle: Bundle, names: Sequence[str], required: Sequence[str], *, threads: int, say: Callable[[str], None]
) -> list[Proof]:
    """Open each engine and run the golden frames.

    Args:
        bundle: the model.
        names: of `ENGINE_NAMES`.
        required: those of them that somebody asked for by name.
        threads: cores to use at most.
        say: told of work that takes a while.

    Raises:
        InflamapError: a required engine is not here.
    """
    # OpenCV keeps a pool of its own
    cv2.setNumThreads(threads)
    proofs = []
    for name in names:
        proof = prove(bundle, name, threads, say)
        if proof.missing is not None and name in required:
            raise proof.missing
        proofs.append(proof)
    return proofs


def measure_engines(
    bundle: Bundle,
    proofs: Sequence[Proof],
    frames: Frames,
    scratch: Path,
    *,
    count: int,
    threads: int,
    footprint_s: float,
    progress: Progress,
) -> list[EngineReport]:
    """Hold the engines against the reference, and time those that keep its grades; a report of each in turn.

    Args:
        bundle: the model.
        proofs: of `prove_engines`.
        frames: what to score.
        scratch: an empty folder; results are written below it, and left there.
        count: timed frames an engine.
        threads: cores to use at most.
        footprint_s: seconds at the microscope's rate for memory and processor time; 0 leaves them out.
        progress: told how far it has come.

    Raises:
        InflamapError: a frame that could be read cannot be any more, or a result cannot be written.
    """
    judgements = judge_all(_gate(bundle, proofs, frames, count, threads), proofs, progress)
    reports = [_report(proof, judgement) for proof, judgement in zip(proofs, judgements, strict=True)]
    timed = [
        (place, proof.model)
        for place, (proof, found) in enumerate(zip(proofs, reports, strict=True))
        if proof.model is not None and found.keeps_grades
    ]
    if not timed:
        return reports
    timings = time_engines([model for _place, model in timed], frames, scratch, count=count, progress=progress)
    for (place, _model), timing in zip(timed, timings, strict=True):
        if isinstance(timing, Stopped):
            reports[place] = replace(reports[place], timing_fault=timing.reason)
        else:
            reports[place] = replace(reports[place], timing=timing)
    if footprint_s:
        for done, (place, _model) in enumerate(timed):
            progress("memory and processor", done, len(timed))
            if reports[place].keeps_grades:
                reports[place] = _with_footprint(reports[place], bundle, frames, threads, footprint_s)
    return reports


def _gate(bundle: Bundle, proofs: Sequence[Proof], frames: Frames, count: int, threads: int) -> GateSet | str:
    """What to hold engines against, or why they cannot be: the reference must be right on this machine itself."""
    asked = next((proof for proof in proofs if proof.engine == REFERENCE_ENGINE), None)
    reference = asked or prove(bundle, REFERENCE_ENGINE, threads, lambda _line: None)
    golden = reference.golden
    if reference.model is None or golden is None or golden.reason is not None:
        why = reference.missing or (golden and golden.reason)
        return f"not judged, for there is no reference to hold it against: {why}"
    return gate_set(reference.model, frames, count)


def _report(proof: Proof, judgement: Judgement | None) -> EngineReport:
    engine = proof.model.engine if proof.model else None
    return EngineReport(
        proof.engine,
        precision=engine.precision if engine else None,
        runs_on=engine.runs_on if engine else None,
        missing=None if proof.missing is None else str(proof.missing),
        golden=proof.golden,
        judgement=judgement,
    )


def _with_footprint(found: EngineReport, bundle: Bundle, frames: Frames, threads: int, seconds: float) -> EngineReport:
    try:
        taken = measure_footprint(bundle, found.engine, frames, threads=threads, seconds=seconds)
    except InflamapError as error:
        # what it takes is worth knowing, and no reason not to choose it
        return replace(found, footprint_fault=str(error))
    return replace(found, footprint=taken)
