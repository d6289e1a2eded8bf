"""Channels of like range, so that one scale of eight bits does for all of them."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import numpy_helper

from export.graph import feature_nodes, gains_of

# of a channel's values; the rest are outliers
QUANTILE = 0.9999
# a channel that is all but dead is not blown up without end
LEAST_SHARE = 1e-3


def equalise(model: onnx.ModelProto, batches: Iterable[npt.NDArray[np.uint8]]) -> onnx.ModelProto:
    """The same function, its channels scaled to share the loss of eight bits between activations and weights.

    A ReLU passes any positive factor on, so that a channel may be made smaller and the weights that read it larger by
    as much: cross-layer equalisation (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
    Correction", ICCV 2019), with the activations' ranges measured. It needs convolutions and ReLUs in turn, and nothing
    else between them.

    Args:
        model: the float graph; left as it is.
        batches: uint8 [N, 1, H, W] each, which the ranges are taken from.
    """
    equal = onnx.ModelProto()
    equal.CopyFrom(model)
    nodes = [node for node in feature_nodes(equal) if node.op_type in {"Conv", "Relu"}]
    weights = {tensor.name: tensor for tensor in equal.graph.initializer}
    ranges = _channel_ranges(equal, [node.output[0] for node in nodes if node.op_type == "Relu"], batches)
    for convolution, relu, reader in zip(nodes, nodes[1:], nodes[2:], strict=False):
        if (convolution.op_type, relu.op_type, reader.op_type) != ("Conv", "Relu", "Conv"):
            continue
        activation = ranges[relu.output[0]]
        activation = np.maximum(activation, LEAST_SHARE * activation.max())
        read = np.abs(numpy_helper.to_array(weights[reader.input[1]])).max(axis=(0, 2, 3))
        factor = np.sqrt(activation / np.maximum(read, LEAST_SHARE * read.max()))
        # about one: what is in float elsewhere sees values of the same size
        factor /= np.exp(np.log(factor).mean())
        scales = [
            (convolution.input[1], 1 / factor[:, None, None, None]),
            (convolution.input[2], 1 / factor),
            (reader.input[1], factor[None, :, None, None]),
        ]
        # the out-of-distribution detector reads the same channels
        if gains := gains_of(equal, relu.output[0]):
            scales.append((gains, factor[None, :, None, None]))
        for name, by in scales:
            scaled = (numpy_helper.to_array(weights[name]) * by).astype(np.float32)
            weights[name].CopyFrom(numpy_helper.from_array(scaled, name))
    return equal


def _channel_ranges(
    model: onnx.ModelProto, values: list[str], batches: Iterable[npt.NDArray[np.uint8]]
) -> dict[str, npt.NDArray[np.float64]]:
    """For each named value [N, C, h, w] of the graph the upper end of every channel, float64 [C]."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    for name in values:
        watched.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    found: dict[str, npt.NDArray[np.float64]] = {}
    for batch in batches:
        for name, value in zip(values, session.run(values, {"image": batch}), strict=True):
            highest = np.quantile(value, QUANTILE, axis=(0, 2, 3))
            found[name] = np.maximum(found.get(name, highest), highest)
    return found
