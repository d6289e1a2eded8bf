"""What engines there are on this machine, and which of them keep the grades: golden frames first, then the gate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.engine_bench.frames import Frames, Progress
from runtime.analysis import analyse
from runtime.bundle import LEFT_OUT, Bundle
from runtime.engines.registry import MODEL_FILES, open_unproven, require_reproduced, run_golden_frames
from runtime.errors import BundleError, CheckFailed, EngineMissing, InflamapError, one_line
from runtime.gate import Cells, Verdict
from runtime.gate_set import GateSet
from runtime.golden import GoldenDifference
from runtime.images import read_frame, to_model_scale
from runtime.model import Model

# thousands of cells each
MOST_GATE_FRAMES = 8


@dataclass(frozen=True)
class GoldenCheck:
    """Whether an engine reproduces the bundle's golden frames on this machine.

    Attributes:
        passed: whether it does.
        difference: the largest in probability (0 to 1); None when it could not be taken.
        tolerance: the largest allowed, as recorded at export.
        unfamiliarity_difference, unfamiliarity_tolerance: the same of the unfamiliarity.
        reason: why it failed, None when it passed.
    """

    passed: bool
    difference: float | None
    tolerance: float
    unfamiliarity_difference: float | None
    unfamiliarity_tolerance: float
    reason: str | None


@dataclass(frozen=True)
class Proof:
    """One engine, opened or not.

    Attributes:
        engine: its id.
        model: the engine over its bundle, whatever the golden frames say of it; None where it cannot be opened.
        missing: why it is not here; None where it is.
        golden: None where it is not here.
    """

    engine: str
    model: Model | None
    missing: InflamapError | None
    golden: GoldenCheck | None


@dataclass(frozen=True)
class Judgement:
    """What the gate says of an engine.

    Attributes:
        verdict: None where there is none.
        fault: why there is none.
        mosaics: on how many mosaics of the bundle's patches it was judged, for the frames show too little.
    """

    verdict: Verdict | None
    fault: str | None = None
    mosaics: int = 0


def prove(bundle: Bundle, name: str, threads: int, say: Callable[[str], None]) -> Proof:
    """Open an engine, run the golden frames, and say how far it is from them.

    Args:
        bundle: the model.
        name: one of `ENGINE_NAMES`.
        threads: cores to use at most.
        say: told of work that takes a while.
    """
    model_file = MODEL_FILES[name]
    if model_file not in bundle.manifest.files:
        missing = BundleError(f"{bundle.folder}: holds no {model_file}", next_step=LEFT_OUT)
        return Proof(name, None, missing, None)
    try:
        engine = open_unproven(bundle, name, threads=threads, say=say)
    except EngineMissing as missing:
        return Proof(name, None, missing, None)
    except InflamapError as error:
        return Proof(name, None, None, _golden_check(bundle, model_file, None, str(error)))
    found = reason = None
    try:
        found = run_golden_frames(engine, bundle)
        require_reproduced(found, engine, bundle, model_file)
    except CheckFailed as error:
        # it is not to be used, but how wrong it is is worth knowing
        reason = str(error)
    except InflamapError as error:
        return Proof(name, None, None, _golden_check(bundle, model_file, None, str(error)))
    return Proof(name, Model(bundle, engine), None, _golden_check(bundle, model_file, found, reason))


def gate_set(reference: Model, frames: Frames, count: int) -> GateSet:
    """The bundle's held-out patches, and some of the frames that are timed, with the reference's answers here.

    Args:
        reference: the reference engine, proven.
        frames: what is timed.
        count: how many of them are.

    Raises:
        InflamapError: a frame that could be read cannot be any more.
    """
    bundle = reference.bundle
    patches = bundle.gate_patches()
    return GateSet.of(
        patches.patches,
        patches.medians,
        Cells(patches.probabilities, patches.unfamiliarity),
        _mapped(_spread(frames.paths[:count]), reference, frames.um_per_px),
        reference.engine,
        bundle.geometry,
        bundle.manifest.quality,
        ordered=bundle.manifest.ordered,
    )


def judge(gate: GateSet, model: Model) -> Judgement:
    """Hold one engine against the reference."""
    try:
        return Judgement(gate.judge(model.engine), mosaics=gate.mosaics)
    except Exception as error:  # engines' own exceptions share no public base class
        return Judgement(None, one_line(f"the gate cannot be run: {error}"))


def judge_all(gate: GateSet | str, proofs: Sequence[Proof], progress: Progress) -> list[Judgement | None]:
    """A judgement of each engine that is open; `gate` may be the reason why there can be none."""
    judgements: list[Judgement | None] = []
    for done, proof in enumerate(proofs):
        progress("judging", done, len(proofs))
        if proof.model is None:
            judgements.append(None)
        else:
            judgements.append(Judgement(None, gate) if isinstance(gate, str) else judge(gate, proof.model))
    return judgements


def _golden_check(bundle: Bundle, model_file: str, found: GoldenDifference | None, reason: str | None) -> GoldenCheck:
    """What came of the golden frames; `reason` is why they failed."""
    allowed = bundle.manifest.golden
    differences = (None, None) if found is None else (found.probability, found.unfamiliarity)
    # JSON has no word for what is infinite, or no number
    probability, unfamiliarity = (None if one is None or not np.isfinite(one) else one for one in differences)
    return GoldenCheck(
        reason is None,
        probability,
        allowed.tolerance[model_file],
        unfamiliarity,
        allowed.unfamiliarity_tolerance[model_file],
        reason,
    )


def _spread(paths: Sequence[Path]) -> list[Path]:
    """Some of the paths, from all over."""
    places = np.linspace(0, len(paths) - 1, min(len(paths), MOST_GATE_FRAMES)).round().astype(int)
    return [paths[place] for place in places]


def _mapped(paths: Sequence[Path], model: Model, um_per_px: float | None) -> list[npt.NDArray[np.uint8]]:
    """The frames at the model's scale, without those that nothing would be computed for."""
    frames = [read_frame(path, um_per_px=um_per_px) for path in paths]
    mapped = [frame for frame in frames if analyse(frame, model).map is not None]
    return [to_model_scale(frame, model.bundle.geometry.um_per_px) for frame in mapped]
