"""The model files of a bundle: made from one graph, each judged by the gate before it is anything."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from export.exact_engine import ExactEngine
from export.graph import to_half
from export.int8_search import Int8Search, Quantized
from export.quantize import PROCESSOR, TENSORRT
from runtime.bundle_files import FP16_TENSORRT_MODEL, FP32_MODEL
from runtime.gate import Verdict
from runtime.gate_set import GateSet


@dataclass(frozen=True)
class ModelFile:
    """A model that passed the gate.

    Attributes:
        name: of the file.
        engine: runs the file exactly.
        content: its bytes.
        verdict: of the gate, on what nothing was chosen by.
        made: how it was quantised, for the manifest; empty where it was not.
    """

    name: str
    engine: ExactEngine
    content: bytes
    verdict: Verdict
    made: dict[str, Any]


@dataclass(frozen=True)
class MissedFile:
    """A model that does not keep the grades, and is not written.

    Attributes:
        verdict: of the gate that said no.
        chosen: whether it was found by the gate that is chosen by, and missed the other; if not, `verdict` is of the
            last attempt, by the former.
        made: how it was quantised last.
    """

    verdict: Verdict
    chosen: bool
    made: dict[str, Any]


@dataclass(frozen=True)
class Models:
    """What came of one graph.

    Attributes:
        files: those that keep the grades.
        missed: those that do not, by the name they would have had.
    """

    files: tuple[ModelFile, ...]
    missed: dict[str, MissedFile]


def make_models(
    graph: bytes,
    calibration: list[npt.NDArray[np.uint8]],
    choosing: GateSet,
    judging: GateSet,
    *,
    threads: int,
    say: Callable[[str], None],
) -> Models:
    """The float graph itself, its half-precision and its two eight-bit versions.

    Args:
        graph: what `to_onnx` gave.
        calibration: batches of images to take the ranges from, uint8 [N, 1, H, W] each.
        choosing: what calibrators and layers are chosen by.
        judging: what each file is held against the reference on, once; nothing is chosen by it.
        threads: cores to use at most.
        say: told what is done and what missed.
    """

    def judged(name: str, precision: str, content: bytes, made: dict[str, Any]) -> ModelFile:
        engine = ExactEngine(content, name=name, precision=precision, threads=threads)
        return ModelFile(name, engine, content, judging.judge(engine), made)

    half = bytes(to_half(onnx.load_from_string(graph)).SerializeToString())
    files = [judged(FP32_MODEL, "fp32", graph, {}), judged(FP16_TENSORRT_MODEL, "fp16", half, {})]
    missed: dict[str, MissedFile] = {}
    search = Int8Search(graph, calibration, choosing, threads=threads, say=say)
    for recipe in (PROCESSOR, TENSORRT):
        say(f"quantising {recipe.file}")
        found = search.find(recipe)
        if found.model is None:
            missed[found.file] = MissedFile(found.attempts[-1].verdict, False, _made(found))
        else:
            files.append(judged(found.file, "int8", found.model, _made(found)))
    missed |= {file.name: MissedFile(file.verdict, True, file.made) for file in files if not file.verdict.passed}
    return Models(tuple(file for file in files if file.verdict.passed), missed)


def _made(found: Quantized) -> dict[str, Any]:
    last = found.attempts[-1]
    return {
        "calibrator": last.calibrator,
        "layers_in_float": list(last.in_float),
        "tried": [
            {"calibrator": attempt.calibrator, "layers_in_float": list(attempt.in_float)}
            | {"misses": list(attempt.verdict.misses())}
            for attempt in found.attempts[:-1]
        ],
        f"{'distance' if last.verdict.patches.shift is None else 'shift'}_of_one_layer_alone": {
            layer: round(shift, 6) for layer, shift in found.sensitivity.items()
        },
    }
