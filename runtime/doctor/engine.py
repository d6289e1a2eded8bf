"""The model and the engine that runs it here."""

import shlex
import time
from collections.abc import Sequence

import numpy as np

from runtime.acceptance import accepted_here
from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.dense_map import dense_map
from runtime.doctor.finding import Case, Finding, Level
from runtime.engines.choice import AUTO
from runtime.errors import InflamapError
from runtime.model import Model

# of a VivaScope frame
SIDE_PX = 1000


def engine(case: Case) -> Sequence[Finding]:
    """Whether the bundle is whole, the engine reproduces the golden frames, which one it is, and how fast."""
    bundle = open_bundle(case.bundle)
    bundle.verify_files()
    said: list[str] = []
    model = Model.load(bundle, case.engine, say=said.append)
    runs_on = ", ".join(f"{key} {value}" for key, value in model.engine.runs_on.items())
    seen = (
        f"{bundle.manifest.name} on {model.engine.name} ({runs_on}) reproduces the golden frames; "
        f"{_frame_ms(model):.0f} ms for the map of {SIDE_PX}x{SIDE_PX} px"
    )
    if bundle.manifest.synthetic:
        seen += "; trained on synthetic images"
    if case.engine != AUTO:
        return [Finding("engine", Level.OK, f"{seen}; the one asked for")]
    if _is_accepted(bundle, model):
        return [Finding("engine", Level.OK, f"{seen}; {_reason(said)}")]
    which = "" if case.bundle == DEFAULT_BUNDLE else f" {shlex.quote(str(case.bundle))}"
    return [Finding("engine", Level.WARNING, f"{seen}; {_reason(said)}", f"inflamap bench{which} --accept")]


def _is_accepted(bundle: Bundle, model: Model) -> bool:
    try:
        accepted = accepted_here(bundle)
    except InflamapError:
        return False
    return (
        accepted is not None
        and accepted.engine == model.engine.name
        and not accepted.changes(bundle)
        and not accepted.changes_below(model.engine.runs_on)
    )


def _reason(said: Sequence[str]) -> str:
    """Why `auto` came to this engine, without the next step, which stands apart."""
    return said[-1].partition(": ")[2].partition("; next: ")[0] if said else ""


def _frame_ms(model: Model) -> float:
    """Milliseconds of a frame's map, the second time: the first has the engine's buffers to make."""
    golden = model.bundle.golden_frames().frames[0, 0]
    times = -(-SIDE_PX // min(golden.shape))
    frame = np.ascontiguousarray(np.tile(golden, (times, times))[:SIDE_PX, :SIDE_PX])
    for _ in range(2):
        started = time.perf_counter()
        dense_map(frame, model.engine, model.bundle.geometry)
    return 1000 * (time.perf_counter() - started)
