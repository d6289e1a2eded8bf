"""The shipped model at half its stride: its pooling takes every window then, not every other."""

import onnx
from msgspec.structs import replace

from runtime.bundle import Bundle
from runtime.bundle_files import FP32_MODEL
from runtime.dense_map import Geometry
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.errors import InflamapError


def at_half_stride(bundle: Bundle, *, threads: int) -> tuple[OnnxRuntimeEngine, Geometry]:
    """The engine over the changed graph, and its geometry.

    Raises:
        InflamapError: the graph does not pool with a stride of 2.
    """
    model = onnx.ModelProto.FromString(bundle.read_file(FP32_MODEL))
    halved = 0
    for node in model.graph.node:
        if node.op_type == "AveragePool":
            for attribute in node.attribute:
                if attribute.name == "strides" and 2 in attribute.ints:
                    attribute.ints[:] = [1, 1]
                    halved += 1
    if halved != 2:
        raise InflamapError(
            "the pooling of the model", seen=f"{halved} poolings with a stride of 2", wanted="one a side"
        )
    # what the file says of its outputs' shapes holds no more
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    engine = OnnxRuntimeEngine(model.SerializeToString(), name="onnxruntime-fp32", precision="fp32", threads=threads)
    return engine, replace(bundle.geometry, stride_px=bundle.geometry.stride_px // 2)
