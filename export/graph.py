"""What export needs to know of the exported graph: where its features are, and what they cost."""

import math

import onnx
from onnx import numpy_helper, shape_inference

# the energy pooling: what comes before it costs nearly everything, what comes after is few numbers and stays in float
POOLING = "AveragePool"


def feature_nodes(model: onnx.ModelProto) -> tuple[onnx.NodeProto, ...]:
    """The nodes before the energy pooling, in the order they run in."""
    nodes = list(model.graph.node)
    first = next((place for place, node in enumerate(nodes) if node.op_type == POOLING), len(nodes))
    return tuple(nodes[:first])


def feature_convolutions(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the convolutions that make the features, first to last."""
    return tuple(node.name for node in feature_nodes(model) if node.op_type == "Conv")


def convolution_costs(model: onnx.ModelProto, side_px: int) -> dict[str, int]:
    """Multiply-accumulates of every convolution, by its node's name, for one square image.

    Args:
        model: the exported graph, quantised or not.
        side_px: the image's side.
    """
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    for side, value in zip(sized.graph.input[0].type.tensor_type.shape.dim, (1, 1, side_px, side_px), strict=True):
        side.dim_value = value
    # they are named for any size
    for output in sized.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(sized, strict_mode=True, data_prop=True).graph
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.output)
    }
    shapes |= {tensor.name: list(tensor.dims) for tensor in inferred.initializer}
    return {
        node.name: math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        for node in inferred.node
        if node.op_type == "Conv"
    }


def int8_share(model: onnx.ModelProto, side_px: int) -> float:
    """Share of the multiply-accumulates whose convolution takes eight-bit values and eight-bit weights."""
    costs = convolution_costs(model, side_px)
    dequantised = {output for node in model.graph.node if node.op_type == "DequantizeLinear" for output in node.output}
    inside = sum(
        costs[node.name] for node in model.graph.node if node.op_type == "Conv" and set(node.input[:2]) <= dequantised
    )
    return inside / sum(costs.values())


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The features in half precision, by casts before and after them and weights to match.

    TensorRT 11 builds strongly typed networks only: half precision comes from the graph. Pooling, head and
    unfamiliarity stay in float.
    """
    half = onnx.ModelProto()
    half.CopyFrom(model)
    nodes = feature_nodes(half)
    weights = {name for node in nodes if node.op_type == "Conv" for name in node.input[1:]}
    for tensor in half.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), tensor.name))
    first, features = nodes[0], nodes[-1].output[0]
    assert first.op_type == "Cast", "the graph begins with the image's cast from uint8"
    next(attribute for attribute in first.attribute if attribute.name == "to").i = onnx.TensorProto.FLOAT16
    name = f"{features}_half"
    nodes[-1].output[0] = name
    back = onnx.helper.make_node("Cast", [name], [features], f"{features}_to_float", to=onnx.TensorProto.FLOAT)
    half.graph.node.insert(len(nodes), back)
    onnx.checker.check_model(half, full_check=True)
    return half
