"""A float graph as two eight-bit ones, by onnxruntime's quantizer, from one calibration.

Only the convolutions that make the features are quantised: they are nearly all of the work. The head and the
unfamiliarity are a few thousand numbers a frame and stay in float.
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QDQQuantizer,
    QuantType,
    TensorsData,
    create_calibrator,
)

from export.graph import convolution_costs, feature_convolutions, feature_nodes
from runtime.bundle_files import INT8_MODEL, INT8_TENSORRT_MODEL
from runtime.gate import INT8_SHARE
from runtime.outputs import said_plainly

# activations of so many images are held at once: some hundred megabytes for patches of 128 px
IMAGES_AT_ONCE = 32
# of a frame, by which convolutions are weighed against each other
FRAME_PX = 1000


@dataclass(frozen=True)
class Recipe:
    """How a graph is quantised for the engines of one kind.

    Attributes:
        file: the model file it makes.
        activation: type of the activations.
        operators: operators around which values are quantised.
        reduce_range: whether weights keep to seven bits.
        first_in_float: whether the first convolution stays in float where enough work is left in INT8 without it.
        options: of the quantizer.
    """

    file: str
    activation: QuantType
    operators: tuple[str, ...]
    reduce_range: bool
    first_in_float: bool
    options: Mapping[str, Any] = field(default_factory=dict)


# seven-bit weights: the processors' instruction before VNNI adds two products of 8 bits in 16 and saturates silently.
# Relu beside Conv: the activation is then quantised once, after the Relu, and no bit is spent on what that cuts off.
# The first convolution has one channel, with which eight-bit kernels, which take four at a time, cannot fill a step.
PROCESSOR = Recipe(INT8_MODEL, QuantType.QUInt8, ("Conv", "Relu"), reduce_range=True, first_in_float=True)
# TensorRT takes symmetric values alone, and biases in float
TENSORRT = Recipe(
    INT8_TENSORRT_MODEL,
    QuantType.QInt8,
    ("Conv",),
    reduce_range=False,
    first_in_float=False,
    options={
        "QuantizeBias": False,
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "OpTypesToExcludeOutputQuantization": ["Conv", "Relu"],
    },
)
# in the order they are tried: half a thousandth of a percent cut off each end, nothing cut off, the least information
# lost
CALIBRATORS: Mapping[str, tuple[CalibrationMethod, dict[str, Any]]] = {
    "percentile": (CalibrationMethod.Percentile, {"percentile": 99.999}),
    "minmax": (CalibrationMethod.MinMax, {}),
    # onnxruntime's 128 bins, of which 128 are kept, cut nothing off ever
    "entropy": (CalibrationMethod.Entropy, {"num_bins": 1024, "num_quantized_bins": 128}),
}


def calibrate(model: bytes, images: list[npt.NDArray[np.uint8]], calibrator: str) -> TensorsData:
    """The ranges of the graph's values over the calibration images.

    Args:
        model: the float graph.
        images: batches, uint8 [N, 1, H, W] each.
        calibrator: one of `CALIBRATORS`.
    """
    method, options = CALIBRATORS[calibrator]
    with (
        said_plainly(Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(prefix="inflamap-calibration-") as folder,
        _quiet(),
    ):
        path = Path(folder, "model.onnx")
        path.write_bytes(model)
        found = create_calibrator(
            path,
            ["Conv", "Relu"],
            str(path.with_name("augmented.onnx")),
            method,
            extra_options=options,
            providers=["CPUExecutionProvider"],
        )
        for batch in few_at_once(images):
            found.collect_data(_OneBatch(batch))
        ranges = found.compute_data()
        # Windows removes no file that a session holds open
        del found
    return ranges


def few_at_once(images: list[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.uint8]]:
    """Batches uint8 [N, 1, H, W] cut so that all values of the graph for one of them fit in memory."""
    for batch in images:
        for start in range(0, len(batch), IMAGES_AT_ONCE):
            yield batch[start : start + IMAGES_AT_ONCE]


def default_layers(model: onnx.ModelProto, recipe: Recipe) -> tuple[str, ...]:
    """Names of the convolutions that the recipe quantises where the gate has no objection."""
    layers = feature_convolutions(model)
    if recipe.first_in_float and share_of(model, layers[1:]) >= INT8_SHARE:
        return layers[1:]
    return layers


def share_of(model: onnx.ModelProto, layers: tuple[str, ...]) -> float:
    """Share of all multiply-accumulates of a frame that these convolutions do."""
    costs = convolution_costs(model, FRAME_PX)
    return sum(costs[layer] for layer in layers) / sum(costs.values())


def quantize(model: onnx.ModelProto, ranges: TensorsData, recipe: Recipe, layers: tuple[str, ...]) -> bytes:
    """The graph with the given convolutions between quantised values, as one ONNX file.

    Args:
        model: the float graph; left as it is.
        ranges: what `calibrate` found.
        recipe: how.
        layers: names of the convolutions to quantise.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    outputs = {node.output[0] for node in model.graph.node if node.name in layers}
    activations = [node.name for node in feature_nodes(model) if outputs & set(node.input) and node.op_type == "Relu"]
    with _quiet():
        quantizer = QDQQuantizer(
            copy,
            per_channel=True,
            reduce_range=recipe.reduce_range,
            weight_qType=QuantType.QInt8,
            activation_qType=recipe.activation,
            tensors_range=ranges,
            nodes_to_quantize=[*layers, *activations],
            nodes_to_exclude=[],
            op_types_to_quantize=list(recipe.operators),
            extra_options=dict(recipe.options),
        )
        quantizer.quantize_model()
        # new nodes are appended where they do not belong
        quantizer.model.topological_sort()
        found: onnx.ModelProto = quantizer.model.model
    onnx.checker.check_model(found, full_check=True)
    return bytes(found.SerializeToString())


class _OneBatch(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """One batch, once."""

    def __init__(self, images: npt.NDArray[np.uint8]) -> None:
        self._left = [{"image": images}]

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        return self._left.pop() if self._left else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer prints its steps, and warns that the graph was not optimised by it beforehand."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(level)
