"""The shipped model at half its stride: its pooling takes every window then, not every other."""

import onnx
from msgspec.structs import replace

from runtime.bundle import Bundle
from runtime.bundle_files import FP32_MODEL
from runtime.dense_map import Geometry
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.errors import InflamapError

POOLING = "AveragePool"


def at_half_stride(bundle: Bundle, *, threads: int) -> tuple[OnnxRuntimeEngine, Geometry]:
    """Return the engine over the changed graph, and its geometry.

    Raises:
        InflamapError: the graph does not pool with even strides.
    """
    model = onnx.ModelProto.FromString(bundle.read_file(FP32_MODEL))
    # means of groups of features that now lie twice as densely: windows over them take every other
    denser: set[str] = set()
    halved = 0
    for node in model.graph.node:
        if node.op_type != POOLING:
            continue
        strides = _attribute(node, "strides")
        if node.input[0] in denser:
            denser.update(node.output)
            kernel = _attribute(node, "kernel_shape").ints
            node.attribute.append(onnx.helper.make_attribute("dilations", [2 if side > 1 else 1 for side in kernel]))
        elif all(stride > 1 for stride in strides.ints):
            denser.update(node.output)
        if any(stride % 2 and stride > 1 for stride in strides.ints):
            raise InflamapError("the pooling of the model", seen=f"strides {list(strides.ints)}", wanted="even strides")
        halved += sum(stride > 1 for stride in strides.ints)
        strides.ints[:] = [max(1, stride // 2) for stride in strides.ints]
    if not halved:
        raise InflamapError("the pooling of the model", seen="no stride above 1", wanted="one on each side")
    # what the file says of its outputs' shapes holds no more
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    engine = OnnxRuntimeEngine(model.SerializeToString(), name="onnxruntime-fp32", precision="fp32", threads=threads)
    return engine, replace(bundle.geometry, stride_px=bundle.geometry.stride_px // 2)


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    found: onnx.AttributeProto = next(attribute for attribute in node.attribute if attribute.name == name)
    return found
