"""Equalised channels say the same and lose less to eight bits."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from export.equalise import equalise
from export.exact_engine import ExactEngine
from export.quantize import PROCESSOR, calibrate, default_layers, few_at_once, quantize
from export.run_files import read_run
from export.run_images import read_part


@pytest.fixture(scope="module")
def images(finished) -> np.ndarray:
    return read_part(read_run(finished.folder), None, finished.geometry, "train", 60).patches[:, None]


@pytest.fixture(scope="module")
def uneven(graphs) -> onnx.ModelProto:
    """The run's graph with channels of very different sizes, which scores as before."""
    model = onnx.load_from_string(graphs[8])
    first, second = (node for node in model.graph.node if node.name in {"node_conv2d", "node_conv2d_1"})
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    factor = np.geomspace(0.02, 50, 16).astype(np.float32)
    for name, by in (
        (first.input[1], factor[:, None, None, None]),
        (first.input[2], factor),
        (second.input[1], 1 / factor[None, :, None, None]),
    ):
        weights[name].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights[name]) * by, name))
    return model


def run(model: onnx.ModelProto, images: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})


def test_the_function_is_the_same_and_the_graph_that_was_given_too(uneven, images):
    before = uneven.SerializeToString()
    equal = equalise(uneven, few_at_once([images]))
    assert uneven.SerializeToString() == before
    assert equal.SerializeToString() != before
    for found, wanted in zip(run(equal, images), run(uneven, images), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_uneven_channels_lose_less_to_eight_bits(uneven, images):
    wanted, _ = run(uneven, images)

    def loss(graph: onnx.ModelProto) -> float:
        ranges = calibrate(graph.SerializeToString(), [images], "percentile")
        content = quantize(graph, ranges, PROCESSOR, default_layers(graph, PROCESSOR))
        found = ExactEngine(content, name="x", precision="int8", threads=1).run(images)
        return float(np.abs(found.probabilities - wanted).mean())

    assert loss(equalise(uneven, few_at_once([images]))) < 0.5 * loss(uneven)


def test_a_dead_channel_is_left_finite(graphs, images):
    model = onnx.load_from_string(graphs[8])
    first = next(node for node in model.graph.node if node.name == "node_conv2d")
    for tensor in model.graph.initializer:
        if tensor.name in first.input[1:]:
            values = numpy_helper.to_array(tensor).copy()
            values[3] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for found, wanted in zip(run(equalise(model, few_at_once([images])), images), run(model, images), strict=True):
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_the_detector_still_sees_the_channels_of_every_layer_as_they_were(deep, deep_graph):
    images = np.random.default_rng(1).integers(0, 256, (8, 1, 64, 56), np.uint8)
    equal = equalise(deep_graph, few_at_once([images]))
    before, after = (
        {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for model in (deep_graph, equal)
    )
    assert not np.allclose(before["detector.gains.0"], after["detector.gains.0"], rtol=0.01)
    for found, wanted in zip(run(equal, images), deep.answers(images), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
