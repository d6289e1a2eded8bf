"""What engines there are on this machine, and which of them keep the grades: golden frames first, then the gate."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.engine_bench.frames import Frames, Progress
from runtime.bundle import LEFT_OUT, Bundle
from runtime.engines.registry import MODEL_FILES, load_engine
from runtime.errors import BundleError, CheckFailed, EngineMissing, InflamapError, one_line
from runtime.gate import Cells, Verdict
from runtime.gate_set import GateSet
from runtime.golden import golden_difference
from runtime.images import read_frame
from runtime.scoring import Model, analyse

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
    """Open an engine, which runs the golden frames, and say how far it is from them.

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
        model = Model.load(bundle, name, threads=threads, say=say)
    except EngineMissing as missing:
        return Proof(name, None, missing, None)
    except CheckFailed as error:
        # it is not to be used, but how wrong it is is worth knowing
        unproven = _open_unproven(bundle, name, threads)
        return Proof(name, unproven, None, _golden_check(bundle, unproven, model_file, str(error)))
    except InflamapError as error:
        return Proof(name, None, None, _golden_check(bundle, None, model_file, str(error)))
    return Proof(name, model, None, _golden_check(bundle, model, model_file))


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


def _open_unproven(bundle: Bundle, name: str, threads: int) -> Model | None:
    """An engine that failed the golden frames, its model file checked before that; None where it failed earlier."""
    try:
        return Model(bundle, load_engine(bundle.read_file(MODEL_FILES[name]), name, bundle, threads=threads))
    except InflamapError:
        return None


def _golden_check(bundle: Bundle, model: Model | None, model_file: str, reason: str | None = None) -> GoldenCheck:
    """The differences, which opening keeps to itself; `reason` is why it failed."""
    allowed, golden = bundle.manifest.golden, bundle.golden_frames()
    probability = unfamiliarity = None
    if model is not None:
        try:
            output = model.engine.run(golden.frames)
        except Exception:  # the reason is known; engines' own exceptions share no public base class
            reason = reason or "it does not run the golden frames a second time"
        else:
            found = golden_difference(output, golden, bundle.manifest.quality.unfamiliar)
            probability, unfamiliarity = (
                value if np.isfinite(value) else None for value in (found.probability, found.unfamiliarity)
            )
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
    found = [analyse(read_frame(path, um_per_px=um_per_px), model) for path in paths]
    return [analysis.pixels for analysis in found if analysis.map is not None]
