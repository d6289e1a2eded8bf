"""What the graph costs and where its features end; half precision where TensorRT needs it and nowhere else."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from export.graph import (
    convolution_costs,
    feature_convolutions,
    feature_nodes,
    gains_of,
    int8_share,
    pooled_features,
    to_half,
)


@pytest.fixture(scope="module")
def graph(graphs) -> onnx.ModelProto:
    return onnx.load_from_string(graphs[8])


def test_the_features_end_before_the_energy_pooling(graph):
    assert [node.op_type for node in feature_nodes(graph)] == ["Cast", "Conv", "Relu", "Conv", "Relu"]
    assert feature_convolutions(graph) == ("node_conv2d", "node_conv2d_1")


def test_features_of_several_layers_are_found_with_the_gains_of_their_channels(deep_graph):
    assert [node.op_type for node in feature_nodes(deep_graph)] == ["Cast", *["Conv", "Relu"] * 3]
    pooled = pooled_features(deep_graph)
    assert len(pooled) == 2
    shapes = {tensor.name: tuple(tensor.dims) for tensor in deep_graph.graph.initializer}
    gains = {gains_of(deep_graph, features) for features in pooled}
    assert sorted(shapes[name] for name in gains) == [(1, 16, 1, 1), (1, 32, 1, 1)]
    assert gains_of(deep_graph, "image") is None


def test_costs_are_those_of_unpadded_convolutions_on_one_image(graph):
    costs = convolution_costs(graph, 64)
    # 4x4 over 64 px in steps of 2 leaves 31; 3x3 in steps of 2 leaves 15; at 8 px from cell to cell 5x5 cells
    assert costs.pop("node_conv2d") == 31 * 31 * 16 * 16
    assert costs.pop("node_conv2d_1") == 15 * 15 * 16 * 16 * 9
    # the head, 16 to 16 to 3 channels, and the detector's projection to 32 and score of 16
    assert sorted(costs.values()) == sorted([25 * 16 * 16, 25 * 16 * 3, 25 * 16 * 32, 25 * 16])


def test_costs_leave_the_graph_as_it_is(graph):
    before = graph.SerializeToString()
    convolution_costs(graph, 64)
    to_half(graph)
    assert graph.SerializeToString() == before


def test_a_float_graph_has_no_share_in_int8(graph):
    assert int8_share(graph, 64) == 0


def test_half_precision_is_in_the_features_alone(graph):
    half = to_half(graph)
    weights = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    features = {name for node in feature_nodes(graph) if node.op_type == "Conv" for name in node.input[1:]}
    assert {name for name, kind in weights.items() if kind == onnx.TensorProto.FLOAT16} == features
    casts = [onnx.helper.get_node_attr_value(node, "to") for node in half.graph.node if node.op_type == "Cast"]
    assert casts == [onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT]
    assert {value.type.tensor_type.elem_type for value in half.graph.output} == {onnx.TensorProto.FLOAT}


def test_half_precision_scores_nearly_as_float_does(graph, graphs):
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 70, 64), np.uint8)
    wanted, found = (
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"image": images})
        for model in (graphs[8], to_half(graph).SerializeToString())
    )
    assert 0 < np.abs(wanted[0] - found[0]).max() < 0.01
    np.testing.assert_allclose(found[1], wanted[1], rtol=0.01)


def test_every_pooled_layer_of_a_half_graph_comes_back_to_float(deep_graph, deep):
    half = to_half(deep_graph)
    casts = [onnx.helper.get_node_attr_value(node, "to") for node in half.graph.node if node.op_type == "Cast"]
    assert sorted(casts) == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16]
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 70, 64), np.uint8)
    wanted = deep.answers(images)
    session = onnxruntime.InferenceSession(half.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"image": images})[1], wanted[1], rtol=0.02, atol=0.02)


def test_weights_are_rounded_to_half_and_not_cut(graph):
    half = {tensor.name: numpy_helper.to_array(tensor) for tensor in to_half(graph).graph.initializer}
    for tensor in graph.graph.initializer:
        whole = numpy_helper.to_array(tensor)
        np.testing.assert_allclose(half[tensor.name].astype(whole.dtype), whole, rtol=1e-3, atol=1e-6)
