"""The ONNX file: what every engine relies on, and that it scores as the trained network does."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from export.onnx_graph import PARITY, check_parity
from runtime.errors import CheckFailed
from trainer.network import load_network


@pytest.fixture
def model(graphs) -> onnx.ModelProto:
    return onnx.load_from_string(graphs[8])


@pytest.fixture(scope="module")
def sessions(graphs) -> dict[int, onnxruntime.InferenceSession]:
    return {
        stride: onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        for stride, graph in graphs.items()
    }


def images(count: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(height * 100 + width).integers(0, 256, (count, 1, height, width), np.uint8)


def sides(value: onnx.ValueInfoProto) -> list[str | int]:
    return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]


# what the file is


def test_inputs_and_outputs_are_those_of_the_contract(model):
    [image] = model.graph.input
    probabilities, unfamiliarity = model.graph.output
    assert (image.name, probabilities.name, unfamiliarity.name) == ("image", "probabilities", "unfamiliarity")
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert probabilities.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert unfamiliarity.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert sides(image) == ["N", 1, "H", "W"]
    assert sides(probabilities) == ["N", 3, "h", "w"]
    assert sides(unfamiliarity) == ["N", "h", "w"]


def test_the_file_is_whole_and_valid(model):
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", 20)}
    assert not model.functions


def remarks(message: Any) -> list[str]:
    """Names of all fields that may hold remarks of the exporter, wherever they are not empty."""
    found = []
    for field, value in message.ListFields():
        if field.name in {"doc_string", "metadata_props"}:
            found += [field.name] if value else []
        elif field.type == field.TYPE_MESSAGE:
            for part in value if field.is_repeated else [value]:
                found += remarks(part)
    return found


def test_nothing_tells_of_the_machine_it_was_made_on(model):
    assert remarks(model) == []
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    assert [trace for trace in ("/", ".py", "torch.") if trace in str(model)] == []


def test_normalisation_and_batch_norm_are_folded_into_the_convolutions(model):
    nodes = list(model.graph.node)
    kinds = [node.op_type for node in nodes]
    assert kinds[:2] == ["Cast", "Conv"]
    assert "BatchNormalization" not in kinds
    assert kinds[:5] == ["Cast", "Conv", "Relu", "Conv", "Relu"]
    assert nodes[1].input[0] == nodes[0].output[0]
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert weights[nodes[1].input[1]].shape == (16, 1, 4, 4)


def test_making_it_leaves_the_network_as_it_was(finished, graphs):
    assert graphs
    before = load_network(finished.folder).state_dict()
    for name, weight in finished.network.state_dict().items():
        assert torch.equal(weight, before[name])
    assert not isinstance(finished.network.normalisation, torch.nn.Identity)


# what it computes


@pytest.mark.parametrize("stride_px", [8, 16])
@given(count=st.integers(1, 3), height=st.integers(32, 72), width=st.integers(32, 72))
def test_any_number_of_frames_of_any_size_is_scored_as_the_network_does(
    models, sessions, stride_px, count, height, width
):
    frames = images(count, height, width)
    probabilities, unfamiliarity = sessions[stride_px].run(["probabilities", "unfamiliarity"], {"image": frames})
    assert probabilities.shape == (count, 3, (height - 32) // stride_px + 1, (width - 32) // stride_px + 1)
    assert probabilities.dtype == unfamiliarity.dtype == np.float32
    wanted = models[stride_px].answers(frames)
    np.testing.assert_allclose(probabilities, wanted[0], atol=1e-5)
    np.testing.assert_allclose(unfamiliarity, wanted[1], rtol=1e-4)


def test_a_map_cell_is_the_score_of_the_patch_below_it(sessions):
    frame = images(1, 63, 55)
    whole, strange = sessions[8].run(None, {"image": frame})
    patches = np.stack([frame[0, :, y : y + 32, x : x + 32] for y in range(0, 32, 8) for x in range(0, 24, 8)])
    alone, strange_alone = sessions[8].run(None, {"image": patches})
    np.testing.assert_allclose(whole[0].reshape(3, -1).T, alone[:, :, 0, 0], atol=1e-5)
    np.testing.assert_allclose(strange.ravel(), strange_alone.ravel(), rtol=1e-4)


# the check


def tampered(graph: bytes, operation: str, which: int, value: float) -> bytes:
    """Return the graph with `value` added to all that an operation takes, the `which`th of its kind."""
    model = onnx.load_from_string(graph)
    name = [node.input[1] for node in model.graph.node if node.op_type == operation][which]
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    numbers = numpy_helper.to_array(tensor).copy()
    numbers.flat[: 1 if operation == "Conv" else None] += value
    tensor.CopyFrom(numpy_helper.from_array(numbers, name))
    return bytes(model.SerializeToString())


def test_an_honest_graph_passes_with_its_differences(models, graphs):
    parity = check_parity(models[8], graphs[8], images(5, 32, 32), images(2, 64, 64))
    assert 0 <= max(parity.patches, parity.frames, parity.unfamiliarity) <= PARITY


@pytest.mark.parametrize(
    ("operation", "which", "value", "said"),
    [
        ("Conv", 0, 1e-3, "probabilities differ by .* on patches.*"),
        ("Conv", 3, 0.5, "probabilities differ by .* on patches.*"),
        ("Conv", 3, float("nan"), ".*nan on frames.*"),
        ("Mul", 0, 5.0, "probabilities differ by .*e-0.*; unfamiliarity by .* of it"),
    ],
    ids=["convolution", "head", "not a number", "unfamiliarity alone"],
)
def test_a_graph_that_scores_otherwise_fails(models, graphs, operation, which, value, said):
    graph = tampered(graphs[8], operation, which, value)
    with pytest.raises(CheckFailed, match=f"does not score as the trained network does; seen: {said}; wanted: at most"):
        check_parity(models[8], graph, images(5, 32, 32), images(2, 64, 64))


def test_a_graph_of_another_stride_fails(models, graphs):
    with pytest.raises(CheckFailed, match="inf on frames"):
        check_parity(models[8], graphs[16], images(5, 32, 32), images(2, 64, 64))
