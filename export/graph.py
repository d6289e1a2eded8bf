"""What export needs to know of the exported graph: where its features are, and what they cost."""

import math

import onnx
from onnx import numpy_helper, shape_inference

# what comes before pooling over patches costs nearly everything; what comes after is few numbers and stays in float
POOLING = "AveragePool"


def feature_nodes(model: onnx.ModelProto) -> tuple[onnx.NodeProto, ...]:
    """Return the nodes that make the features, which are averaged over patches, in the order they run in."""
    needed = pooled_features(model)
    found = []
    for node in reversed(model.graph.node):
        if node.op_type != POOLING and needed & set(node.output):
            needed |= set(node.input)
            found.append(node)
    return tuple(reversed(found))


def pooled_features(model: onnx.ModelProto) -> set[str]:
    """Return the names of the values that are averaged over patches: one for each layer that is looked at."""
    pooling = [node for node in model.graph.node if node.op_type == POOLING]
    pooled = {output for node in pooling for output in node.output}
    return {node.input[0] for node in pooling} - pooled


def gains_of(model: onnx.ModelProto, features: str) -> str | None:
    """Return the name of the initializer that the channels of pooled features are multiplied by; None where none is.

    Args:
        model: the float graph.
        features: name of the value before pooling.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    values = {features}
    for node in model.graph.node:
        if node.op_type == POOLING and node.input[0] in values:
            values |= set(node.output)
        if node.op_type == "Mul" and values & set(node.input) and (gains := constants & set(node.input)):
            return str(gains.pop())
    return None


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
    """Return the graph with its features in half precision, by casts before and after them and weights to match.

    TensorRT 11 builds strongly typed networks only: half precision comes from the graph. Pooling, head and
    out-of-distribution detector stay in float.
    """
    half = onnx.ModelProto()
    half.CopyFrom(model)
    nodes = feature_nodes(half)
    weights = {name for node in nodes if node.op_type == "Conv" for name in node.input[1:]}
    for tensor in half.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float16"), tensor.name))
    assert nodes[0].op_type == "Cast", "the graph begins with the image's cast from uint8"
    next(attribute for attribute in nodes[0].attribute if attribute.name == "to").i = onnx.TensorProto.FLOAT16
    for features in sorted(pooled_features(half)):
        name = f"{features}_to_float"
        for node in half.graph.node:
            if node.op_type == POOLING and node.input[0] == features:
                node.input[0] = name
        place = next(place for place, node in enumerate(half.graph.node) if features in node.output)
        back = onnx.helper.make_node("Cast", [features], [name], name, to=onnx.TensorProto.FLOAT)
        half.graph.node.insert(place + 1, back)
    onnx.checker.check_model(half, full_check=True)
    return half
