"""Engines by name: each is opened from a verified bundle and has to reproduce the golden frames at once."""

import os

import numpy as np

from runtime.bundle import FP32_MODEL, Bundle
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.protocol import Engine
from runtime.errors import CheckFailed, InflamapError

AUTO = "auto"
MODEL_FILES = {"onnxruntime-fp32": FP32_MODEL}
ENGINE_NAMES = tuple(MODEL_FILES)


def default_threads() -> int:
    """Cores an engine takes unless told: half of them, four at most, for the microscope needs the rest."""
    return max(1, min(4, (os.cpu_count() or 2) // 2))


def open_engine(bundle: Bundle, name: str = AUTO, *, threads: int) -> Engine:
    """Load a model and prove it on the golden frames.

    Args:
        bundle: where the model comes from.
        name: one of `ENGINE_NAMES`, or `auto` for the first of them.
        threads: cores to use at most.

    Raises:
        InflamapError: no such engine.
        BundleError: a file of the bundle is missing or was changed.
        CheckFailed: the engine does not reproduce the golden frames on this machine.
    """
    name = ENGINE_NAMES[0] if name == AUTO else name
    if name not in MODEL_FILES:
        raise InflamapError("no such engine", seen=name, wanted=f"auto or one of {', '.join(ENGINE_NAMES)}")
    model_file = MODEL_FILES[name]
    engine = OnnxRuntimeEngine(
        bundle.read_file(model_file),
        name=name,
        precision=name.rpartition("-")[2],
        threads=threads,
    )
    check_golden_frames(engine, bundle, model_file)
    return engine


def model_sha256(bundle: Bundle, engine: Engine) -> str:
    """The hash of the file that the engine runs."""
    return bundle.manifest.files[MODEL_FILES[engine.name]]


def check_golden_frames(engine: Engine, bundle: Bundle, model_file: str) -> float:
    """Run the golden frames; the largest difference in probability.

    Raises:
        CheckFailed: it is larger than the tolerance recorded at export.
    """
    golden = bundle.golden_frames()
    output = engine.run(golden.frames)
    difference = (
        float(np.abs(output.probabilities - golden.probabilities).max())
        if output.probabilities.shape == golden.probabilities.shape
        else float("inf")
    )
    tolerance = bundle.manifest.golden.tolerance[model_file]
    # written so that a NaN fails too
    if not difference <= tolerance:
        raise CheckFailed(
            f"{engine.name} does not reproduce the golden frames of {bundle.manifest.name} on this machine",
            seen=f"difference {difference:.3g} in probability",
            wanted=f"at most {tolerance:.3g}",
            next_step="use another --engine, and report this machine's processor",
        )
    return difference
