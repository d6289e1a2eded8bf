"""Engines by name: each is opened from a verified bundle and has to reproduce the golden frames at once."""

import os
from collections.abc import Callable

from runtime.bundle import Bundle
from runtime.bundle_files import FP16_TENSORRT_MODEL, FP32_MODEL, INT8_MODEL, INT8_TENSORRT_MODEL, MANIFEST_FILE
from runtime.engines.protocol import DeployedEngine, Engine
from runtime.errors import BundleError, CheckFailed, InflamapError
from runtime.golden import GoldenDifference, golden_difference
from runtime.model_check import check_model

# in the base install, on every machine, and nearest to the trained network: what others are compared with
REFERENCE_ENGINE = "onnxruntime-fp32"
MODEL_FILES = {
    REFERENCE_ENGINE: FP32_MODEL,
    "onnxruntime-int8": INT8_MODEL,
    "openvino-fp32": FP32_MODEL,
    "openvino-int8": INT8_MODEL,
    "tensorrt-fp16": FP16_TENSORRT_MODEL,
    "tensorrt-int8": INT8_TENSORRT_MODEL,
}
ENGINE_NAMES = tuple(MODEL_FILES)


def default_threads() -> int:
    """Cores an engine takes unless told: half of them, four at most, for the microscope needs the rest."""
    return max(1, min(4, (os.cpu_count() or 2) // 2))


def open_engine(
    bundle: Bundle, name: str = REFERENCE_ENGINE, *, threads: int, say: Callable[[str], None] | None = None
) -> DeployedEngine:
    """Load a model and prove it on the golden frames.

    Args:
        bundle: where the model comes from.
        name: one of `ENGINE_NAMES`.
        threads: cores to use at most.
        say: told of work that takes a while.

    Raises:
        InflamapError: no such engine.
        EngineMissing: what the engine needs is not on this machine.
        BundleError: a file of the bundle is missing or was changed, or holds what no model may.
        CheckFailed: the engine does not reproduce the golden frames on this machine.
    """
    engine = open_unproven(bundle, name, threads=threads, say=say)
    check_golden_frames(engine, bundle, MODEL_FILES[name])
    return engine


def open_unproven(
    bundle: Bundle, name: str, *, threads: int, say: Callable[[str], None] | None = None
) -> DeployedEngine:
    """Load a verified model, for whoever runs the golden frames themselves; arguments and errors of `open_engine`."""
    if name not in MODEL_FILES:
        raise InflamapError("no such engine", seen=name, wanted=f"auto or one of {', '.join(ENGINE_NAMES)}")
    model_file = MODEL_FILES[name]
    model = bundle.read_file(model_file)
    check_model(model, str(bundle.folder / model_file))
    return load_engine(model, name, bundle, threads=threads, say=say)


def load_engine(
    model: bytes, name: str, bundle: Bundle, *, threads: int, say: Callable[[str], None] | None = None
) -> DeployedEngine:
    """The engine over a verified model, unproven; each library is imported when its engine is wanted."""
    library, _dash, precision = name.rpartition("-")
    if library == "onnxruntime":
        from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine

        return OnnxRuntimeEngine(model, name=name, precision=precision, threads=threads)
    if library == "openvino":
        from runtime.engines.openvino_cpu import OpenVinoEngine

        return OpenVinoEngine(model, name=name, precision=precision, threads=threads)
    from runtime.engines.tensorrt import open_tensorrt

    return open_tensorrt(model, name=name, precision=precision, geometry=bundle.geometry, say=say)


def model_sha256(bundle: Bundle, engine: Engine) -> str:
    """The hash of the file that the engine runs."""
    return bundle.manifest.files[MODEL_FILES[engine.name]]


def check_golden_frames(engine: Engine, bundle: Bundle, model_file: str) -> GoldenDifference:
    """Run the golden frames and hold the outputs against the trained network's.

    Raises:
        CheckFailed: a difference is larger than the tolerance recorded at export for this file, or there is none.
        BundleError: `bundle.json` describes another model.
    """
    found = run_golden_frames(engine, bundle)
    require_reproduced(found, engine, bundle, model_file)
    return found


def run_golden_frames(engine: Engine, bundle: Bundle) -> GoldenDifference:
    """How far an engine's answers to the golden frames are from the trained network's.

    Raises:
        CheckFailed: it cannot run them.
        BundleError: `bundle.json` describes another model.
    """
    golden, geometry = bundle.golden_frames(), bundle.geometry
    # whatever bundle.json says of grades, patch and stride, the model has to agree
    wanted = (len(bundle.manifest.grades), *map(geometry.cells, golden.frames.shape[-2:]))
    try:
        output = engine.run(golden.frames)
    except Exception as error:  # engines' own exceptions share no public base class
        raise CheckFailed(f"{engine.name} cannot run the golden frames of {bundle.folder}", seen=error) from error
    if output.probabilities.shape[1:] != wanted:
        raise BundleError(
            f"{bundle.folder}: the model is not the one that {MANIFEST_FILE} describes",
            seen=f"grades and cells {output.probabilities.shape[1:]} for a golden frame",
            wanted=str(wanted),
            next_step="export the run again",
        )
    return golden_difference(output, golden, bundle.manifest.quality.unfamiliar)


def require_reproduced(found: GoldenDifference, engine: Engine, bundle: Bundle, model_file: str) -> None:
    """Raises CheckFailed where a difference is larger than the tolerance recorded at export for this file."""
    allowed = bundle.manifest.golden
    for what, difference, tolerance in (
        ("probability", found.probability, allowed.tolerance[model_file]),
        ("unfamiliarity", found.unfamiliarity, allowed.unfamiliarity_tolerance[model_file]),
    ):
        # written so that a NaN fails too
        if not difference <= tolerance:
            raise CheckFailed(
                f"{engine.name} does not reproduce the golden frames of {bundle.manifest.name} on this machine",
                seen=f"difference {difference:.3g} in {what}",
                wanted=f"at most {tolerance:.3g}",
                next_step="use another --engine, and report this machine's processor",
            )
