"""Multiply-accumulates of a model file's convolutions, by the shapes that ONNX infers."""

import math

import onnx
from onnx import shape_inference


def convolution_macs(model: bytes, height: int, width: int) -> int:
    """Of one grey image of so many pixels."""
    graph = onnx.ModelProto.FromString(model)
    for dimension, size in zip(graph.graph.input[0].type.tensor_type.shape.dim, (1, 1, height, width), strict=True):
        dimension.dim_value = size
    for output in graph.graph.output:
        output.type.tensor_type.ClearField("shape")
    del graph.graph.value_info[:]
    inferred = shape_inference.infer_shapes(graph, strict_mode=True, data_prop=True).graph
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.output)
    }
    weights = {tensor.name: list(tensor.dims) for tensor in inferred.initializer}
    return sum(
        math.prod(shapes[node.output[0]]) * math.prod(weights[node.input[1]][1:])
        for node in inferred.node
        if node.op_type == "Conv"
    )
