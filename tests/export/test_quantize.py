"""Two eight-bit files from one calibration: what each kind of engine can take, and nothing that saturates."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from export.exact_engine import ExactEngine
from export.graph import feature_convolutions, int8_share
from export.quantize import CALIBRATORS, PROCESSOR, TENSORRT, calibrate, default_layers, quantize, share_of
from export.run_files import read_run
from export.run_images import read_part
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.bundle_files import FP32_MODEL, INT8_MODEL, MANIFEST_FILE
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.registry import open_engine
from runtime.errors import CheckFailed


@pytest.fixture(scope="module")
def graph(graphs) -> onnx.ModelProto:
    return onnx.load_from_string(graphs[8])


@pytest.fixture(scope="module")
def trained(finished) -> npt.NDArray[np.uint8]:
    return read_part(read_run(finished.folder), None, finished.geometry, "train", 400).patches[:, None]


@pytest.fixture(scope="module")
def held_out(finished) -> npt.NDArray[np.uint8]:
    return read_part(read_run(finished.folder), None, finished.geometry, "test", 400).patches[:, None]


@pytest.fixture(scope="module")
def ranges(graphs, trained):
    return calibrate(graphs[8], [trained], "percentile")


@pytest.fixture(scope="module")
def quantized(graph, ranges) -> Mapping[str, bytes]:
    """Both files, by name."""
    return {
        recipe.file: quantize(graph, ranges, recipe, default_layers(graph, recipe)) for recipe in (PROCESSOR, TENSORRT)
    }


def initializers(model: onnx.ModelProto) -> dict[str, npt.NDArray[np.generic]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def exact(model: bytes) -> ExactEngine:
    return ExactEngine(model, name="exact", precision="int8", threads=1)


def kernels(model: bytes) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(model, name="onnxruntime-int8", precision="int8", threads=1)


def has_vnni() -> bool:
    """Whether this processor adds four products of eight bits in 32, which cannot saturate."""
    return any(flag in Path("/proc/cpuinfo").read_text() for flag in ("avx512_vnni", "avx_vnni", "asimddp"))


def test_only_the_features_are_quantised(graph, quantized):
    head = {node.name for node in graph.graph.node if node.op_type == "Conv"} - set(feature_convolutions(graph))
    # two of the head, two of the out-of-distribution detector
    assert len(head) == 4
    for content in quantized.values():
        model = onnx.load_from_string(content)
        dequantised = {
            output for node in model.graph.node if node.op_type == "DequantizeLinear" for output in node.output
        }
        inside = {
            node.name for node in model.graph.node if node.op_type == "Conv" and set(node.input[:2]) <= dequantised
        }
        assert inside == set(feature_convolutions(graph))
        assert int8_share(model, 1000) >= 0.8
        assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", 20)}


def test_processors_get_seven_bit_weights_for_each_channel_and_unsigned_activations(quantized):
    model = onnx.load_from_string(quantized["model.int8.onnx"])
    values = initializers(model)
    weights = [array for name, array in values.items() if name.endswith("weight_quantized")]
    assert len(weights) == 2
    for weight in weights:
        assert weight.dtype == np.int8
        assert np.abs(weight.astype(int)).max() <= 64
        # each channel uses what it has
        assert np.abs(weight.astype(int)).reshape(len(weight), -1).max(1).min() >= 63
    assert {array.dtype for name, array in values.items() if "relu" in name and "zero_point" in name} == {
        np.dtype("uint8")
    }
    assert {array.dtype for name, array in values.items() if name.endswith("bias_quantized")} == {np.dtype("int32")}


def test_tensorrt_gets_symmetric_values_alone_and_biases_in_float(quantized):
    model = onnx.load_from_string(quantized["model.int8.trt.onnx"])
    values = initializers(model)
    quantisers = [node for node in model.graph.node if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert quantisers
    for node in quantisers:
        zero = values[node.input[2]]
        assert zero.dtype == np.int8
        assert not zero.any()
    assert not [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT32]
    biases = [array for name, array in values.items() if name.startswith("network.body") and name.endswith("bias")]
    assert {bias.dtype for bias in biases} == {np.dtype("float32")}


def test_an_activation_is_quantised_once_after_its_relu(quantized):
    """Quantised before it too, half of the eight bits would go to what the Relu cuts off."""
    model = onnx.load_from_string(quantized["model.int8.onnx"])
    made_by = {output: node.op_type for node in model.graph.node for output in node.output}
    used_by = {}
    for node in model.graph.node:
        for name in node.input:
            used_by.setdefault(name, set()).add(node.op_type)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"][:2]
    for convolution in convolutions:
        assert used_by[convolution.output[0]] == {"QuantizeLinear"}
        assert made_by[convolution.input[0]] == "DequantizeLinear"
    assert "Relu" not in {made_by[node.input[0]] for node in model.graph.node if node.op_type == "QuantizeLinear"}


def test_the_files_score_nearly_as_float_does(graphs, quantized, held_out):
    wanted = OnnxRuntimeEngine(graphs[8], name="onnxruntime-fp32", precision="fp32", threads=1).run(held_out)
    for content in quantized.values():
        found = exact(content).run(held_out)
        assert np.abs(found.probabilities - wanted.probabilities).mean() < 0.02
        assert (found.probabilities.argmax(1) == wanted.probabilities.argmax(1)).mean() > 0.95


def test_seven_bits_do_not_saturate_on_any_processor(quantized, held_out):
    content = quantized["model.int8.onnx"]
    bright = np.full_like(held_out[:4], 255)
    for images in (held_out, bright):
        # an activation between two of its 256 levels may go to either: rounding, and no more
        np.testing.assert_allclose(
            kernels(content).run(images).probabilities, exact(content).run(images).probabilities, atol=0.02
        )


def test_eight_bits_saturate_where_the_processor_has_no_vnni(graph, ranges, held_out):
    """Why the weights have seven: where this does not differ, the processor has VNNI."""
    layers = feature_convolutions(graph)
    content = quantize(graph, ranges, replace(PROCESSOR, reduce_range=False), layers)
    # skin as this network knows it stays just below; the brightest values are those that do not fit
    images = np.concatenate([held_out, np.full_like(held_out[:4], 255)])
    apart = np.abs(kernels(content).run(images).probabilities - exact(content).run(images).probabilities).max()
    assert apart < 0.02 if has_vnni() else apart > 0.2


def test_a_machine_that_saturates_is_found_when_the_engine_is_loaded(graph, ranges, bundle, tmp_path):
    """By the golden frames, whatever the file's hash says."""
    forged = tmp_path / "bundle"
    shutil.copytree(bundle.folder, forged)
    content = quantize(graph, ranges, replace(PROCESSOR, reduce_range=False), feature_convolutions(graph))
    (forged / INT8_MODEL).write_bytes(content)
    document = json.loads((forged / MANIFEST_FILE).read_text())
    document["files"][INT8_MODEL] = hashlib.sha256(content).hexdigest()
    (forged / MANIFEST_FILE).write_text(json.dumps(document))
    if has_vnni():
        assert open_engine(open_bundle(forged), "onnxruntime-int8", threads=1).name == "onnxruntime-int8"
    else:
        with pytest.raises(CheckFailed, match="onnxruntime-int8 does not reproduce the golden frames"):
            open_engine(open_bundle(forged), "onnxruntime-int8", threads=1)


def test_a_layer_that_is_not_named_stays_in_float(graph, ranges):
    first, second = feature_convolutions(graph)
    model = onnx.load_from_string(quantize(graph, ranges, PROCESSOR, (second,)))
    values = initializers(model)
    assert values["network.body.0.weight"].dtype == np.float32
    assert values["network.body.2.weight_quantized"].dtype == np.int8
    assert int8_share(model, 1000) == pytest.approx(share_of(graph, (second,)), abs=1e-9)
    assert share_of(graph, (first, second)) > share_of(graph, (second,))


def test_the_first_layer_stays_in_float_only_where_enough_is_left_without_it(graph):
    # of the tiny network it is a third of the work
    assert default_layers(graph, PROCESSOR) == feature_convolutions(graph)
    assert share_of(graph, feature_convolutions(graph)[1:]) < 0.8
    large = onnx.load_from_string((DEFAULT_BUNDLE / FP32_MODEL).read_bytes())
    assert default_layers(large, PROCESSOR) == feature_convolutions(large)[1:]
    assert share_of(large, feature_convolutions(large)[1:]) >= 0.8
    assert default_layers(large, TENSORRT) == feature_convolutions(large)


def test_each_calibrator_finds_other_ranges(graphs, trained):
    found = {name: calibrate(graphs[8], [trained], name).data["relu_1"].range_value for name in CALIBRATORS}
    highest = {name: float(np.ravel(pair[1])[0]) for name, pair in found.items()}
    assert highest["entropy"] < highest["percentile"] <= highest["minmax"]


def test_ranges_do_not_depend_on_how_images_are_batched(graphs, trained):
    whole = calibrate(graphs[8], [trained], "minmax")
    parts = calibrate(graphs[8], [trained[:7], trained[7:50], trained[50:]], "minmax")
    for name, found in parts.data.items():
        for ours, theirs in zip(found.range_value, whole.data[name].range_value, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_the_quantizer_keeps_its_steps_to_itself(graph, graphs, trained, capfd):
    quantize(graph, calibrate(graphs[8], [trained[:8]], "percentile"), PROCESSOR, feature_convolutions(graph))
    said = capfd.readouterr()
    assert said.out == said.err == ""
