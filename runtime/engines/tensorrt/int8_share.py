"""How much of the arithmetic runs in INT8, by the engine's own list of what it executes.

Q/DQ nodes ask for INT8; whether a convolution then runs in it is the library's choice. The list names for each of
the engine's layers the types of what it reads, and the nodes of the ONNX file that it does. Weights are, by library
and kind of layer, among `Constants`, among `Inputs`, or a word of their own.
"""

import re
from collections.abc import Mapping
from typing import Any

from runtime.engines.tensorrt.plan import IMAGE, parse_model

# `tensorrt` names the type within a description of the layout; \b keeps UInt8 out
_INT8 = re.compile(r"Datatype: [^,\]}]*\bInt8\b")
_INT8_WEIGHTS = re.compile(r'Weights: \{"Type": "Int8"')
# a generated kernel does what is left of a convolution, such as its scale, and names it as the convolution does
_POINTWISE = "LayerType: kgen,"
_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")


def int8_share(layers: str, work: Mapping[str, int]) -> float:
    """Share (0 to 1) of the convolutions' multiply-accumulates whose image and weights both are INT8.

    What the list does not name counts as not INT8.

    Args:
        layers: the engine's layers, one a line, as `EngineInspector` gives them in the format ONELINE of a plan built
            with DETAILED verbosity.
        work: multiply-accumulates by the convolution's name, see `convolution_work`.
    """
    in_int8: set[str] = set()
    # no other separator of lines: TensorRT puts one of those that splitlines() knows between the nodes
    for line in layers.split("\n"):
        reads, _, rest = line.partition(", Outputs: [")
        tensors = len(_INT8.findall(reads)) + len(_INT8_WEIGHTS.findall(rest))
        if tensors >= 2 and _POINTWISE not in reads:
            in_int8.update(_NODE.findall(line))
    total = sum(work.values())
    return sum(count for name, count in work.items() if name in in_int8) / total if total else 0.0


def convolution_work(trt: Any, model: bytes, side_px: int) -> dict[str, int]:
    """Multiply-accumulates of each convolution of the model on one frame of `side_px` x `side_px` pixels.

    Raises:
        CheckFailed: the library does not take the model.
    """
    parsed = parse_model(trt, model)
    network = parsed.network
    image = next(tensor for tensor in map(network.get_input, range(network.num_inputs)) if tensor.name == IMAGE)
    # with a fixed input every shape behind it is known
    image.shape = (1, 1, side_px, side_px)
    work: dict[str, int] = {}
    for layer in map(network.get_layer, range(network.num_layers)):
        if layer.type != trt.LayerType.CONVOLUTION:
            continue
        channels_in = layer.get_input(0).shape[1]
        _, channels_out, height, width = layer.get_output(0).shape
        # the binding's way to look at a layer as what it is
        layer.__class__ = trt.IConvolutionLayer
        kernel_height, kernel_width = layer.kernel_size_nd
        per_pixel = channels_in // layer.num_groups * channels_out * kernel_height * kernel_width
        work[layer.name] = per_pixel * height * width
    return work
