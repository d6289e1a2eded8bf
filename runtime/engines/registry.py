"""Engines by name: each is opened from a verified bundle and has to reproduce the golden frames at once."""

import os

import numpy as np
import numpy.typing as npt

from runtime.bundle import Bundle
from runtime.bundle_files import FP32_MODEL, MANIFEST_FILE
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.protocol import Engine
from runtime.errors import BundleError, CheckFailed, InflamapError

AUTO = "auto"
MODEL_FILES = {"onnxruntime-fp32": FP32_MODEL}
ENGINE_NAMES = tuple(MODEL_FILES)


def default_threads() -> int:
    """Cores an engine takes unless told: half of them, four at most, for the microscope needs the rest."""
    return max(1, min(4, (os.cpu_count() or 2) // 2))


def engine_called(name: str) -> str:
    """The engine that `auto` stands for, else the name itself."""
    return ENGINE_NAMES[0] if name == AUTO else name


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
    name = engine_called(name)
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
    """Run the golden frames; the largest difference in probability or unfamiliarity.

    Raises:
        CheckFailed: it is larger than the tolerance recorded at export.
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
    # unfamiliarity decides what is withheld; its scale is 1, so that one tolerance does for both
    difference = max(
        _difference(output.probabilities, golden.probabilities),
        _difference(output.unfamiliarity, golden.unfamiliarity),
    )
    tolerance = bundle.manifest.golden.tolerance[model_file]
    # written so that a NaN fails too
    if not difference <= tolerance:
        raise CheckFailed(
            f"{engine.name} does not reproduce the golden frames of {bundle.manifest.name} on this machine",
            seen=f"difference {difference:.3g} in probability or unfamiliarity",
            wanted=f"at most {tolerance:.3g}",
            next_step="use another --engine, and report this machine's processor",
        )
    return difference


def _difference(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> float:
    """The largest difference; infinite where the shapes differ."""
    return float(np.abs(found - wanted).max()) if found.shape == wanted.shape else float("inf")
