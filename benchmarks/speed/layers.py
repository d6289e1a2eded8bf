"""What onnxruntime takes for each layer of a model, with the arithmetic and the memory traffic that it stands for."""

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

RUNS = 40


@dataclass(frozen=True)
class Layer:
    """One kernel of the optimised graph.

    Attributes:
        name: its kind, and its number among those of its kind.
        ms: mean milliseconds a frame.
        macs: multiply-accumulates of a convolution, else 0.
        moved_bytes: read and written: its inputs and outputs once.
    """

    name: str
    ms: float
    macs: int
    moved_bytes: int


def layers_of(model: bytes, side: int, place: Path) -> list[Layer]:
    """The kernels of a model for a grey image of side x side px, in the order in which they run.

    Args:
        model: the ONNX file's bytes.
        side: of the image.
        place: a folder for onnxruntime's account of itself.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(place / "layers")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).integers(0, 256, (1, 1, side, side), np.uint8)
    for _ in range(RUNS):
        session.run(None, {"image": image})
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["name"].endswith("_kernel_time"):
            kernels[event["name"]].append(event)
    numbers: dict[str, int] = defaultdict(int)
    layers = []
    for runs in kernels.values():
        said = runs[-1]["args"]
        kind = said["op_name"]
        numbers[kind] += 1
        inputs, outputs = (
            [tuple(shape) for operand in said[key] for shape in operand.values()]
            for key in ("input_type_shape", "output_type_shape")
        )
        macs = math.prod(outputs[0]) * math.prod(inputs[1][1:]) if kind == "Conv" else 0
        sizes = sum(
            _bytes_of(dtype) * math.prod(shape)
            for key in ("input_type_shape", "output_type_shape")
            for operand in said[key]
            for dtype, shape in operand.items()
        )
        # the first runs find nothing prepared
        ms = float(np.mean([run["dur"] for run in runs[3:]])) / 1000
        layers.append(Layer(f"{kind} {numbers[kind]}", ms, macs, sizes))
    return layers


def _bytes_of(dtype: str) -> int:
    return {"uint8": 1, "int8": 1, "float": 4, "int64": 8, "int32": 4}[dtype]
