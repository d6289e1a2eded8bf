"""The shipped FP16 and INT8 models become plans with the real library, where there is no GPU: parsing and building."""

import importlib
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from runtime.bundle import DEFAULT_BUNDLE
from runtime.dense_map import Geometry
from runtime.engines.tensorrt import plan as plan_module
from runtime.engines.tensorrt.int8_share import convolution_work, int8_share
from runtime.engines.tensorrt.messages import Messages, messages_of
from runtime.engines.tensorrt.plan import (
    IMAGE,
    PROBABILITIES,
    UNFAMILIARITY,
    Profile,
    build_plan,
    parse_model,
    profile_of,
)
from runtime.errors import CheckFailed, EngineMissing

PROFILE = profile_of(Geometry(128, 16, 0.5))


@pytest.fixture(scope="module")
def trt() -> Any:
    # the library itself: it comes with the `dev` extra, and nothing here is skipped for want of it
    return importlib.import_module("tensorrt_rtx")


@pytest.fixture
def listed(trt: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the builder prints of the layers it made: what the engine's inspector gives where there is a GPU."""
    texts: list[str] = []

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, _level: Any, text: str) -> None:
            if text.startswith("Layers:"):
                texts.append(text)

    messages = Messages(Logger(), deque(), deque())
    monkeypatch.setattr(plan_module, "messages_of", lambda _trt: messages)
    return texts


def test_model_is_read_with_the_bundles_inputs_and_outputs(
    trt: Any, model_bytes: Callable[[str], bytes], precision: str
) -> None:
    parsed = parse_model(trt, model_bytes(precision))
    network = parsed.network
    tensors = [network.get_input(0), *map(network.get_output, range(network.num_outputs))]
    assert {tensor.name: (tuple(tensor.shape), tensor.dtype) for tensor in tensors} == {
        IMAGE: ((-1, 1, -1, -1), trt.uint8),
        PROBABILITIES: ((-1, 5, -1, -1), trt.float32),
        UNFAMILIARITY: ((-1, -1, -1), trt.float32),
    }
    assert network.num_inputs == 1
    # so that a type in the file is a type in the plan
    assert network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def test_fp16_is_in_the_graphs_types(trt: Any, model_bytes: Callable[[str], bytes]) -> None:
    network = parse_model(trt, model_bytes("fp16")).network
    layers = list(map(network.get_layer, range(network.num_layers)))
    convolutions = [layer for layer in layers if layer.type == trt.LayerType.CONVOLUTION]
    halves = [layer for layer in convolutions if layer.get_input(0).dtype == trt.float16]
    assert len(halves) >= 5


@pytest.mark.parametrize("compute_capability", [None, "7.5", "8.6", "12.0"])
def test_plan_is_built_without_a_gpu(
    trt: Any, model_bytes: Callable[[str], bytes], precision: str, compute_capability: str | None
) -> None:
    plan = build_plan(trt, model_bytes(precision), profile=PROFILE, compute_capability=compute_capability)
    assert len(plan) > 100_000
    assert messages_of(trt).errors == []


def test_convolutions_of_the_int8_plan_run_in_int8(
    trt: Any, model_bytes: Callable[[str], bytes], listed: list[str]
) -> None:
    model = model_bytes("int8")
    build_plan(trt, model, profile=PROFILE, compute_capability="8.9")
    work = convolution_work(trt, model, PROFILE.usual[2])
    # all but the 1x1 head and the unfamiliarity, which stay in float
    share = int8_share(listed[0], work)
    assert 0.9 < share < 1
    quantized = [name for name in work if int8_share(listed[0], {name: 1})]
    assert len(quantized) == 5


def test_no_convolution_of_the_fp16_plan_runs_in_int8(
    trt: Any, model_bytes: Callable[[str], bytes], listed: list[str]
) -> None:
    model = model_bytes("fp16")
    build_plan(trt, model, profile=PROFILE)
    assert int8_share(listed[0], convolution_work(trt, model, 992)) == 0
    assert listed[0].count("Datatype: Half") > 10


def test_work_is_counted_in_multiply_accumulates(trt: Any, model_bytes: Callable[[str], bytes]) -> None:
    work = convolution_work(trt, model_bytes("int8"), 992)
    # the first layer: 16 kernels of 4x4 px on one channel, stride 2
    assert next(iter(work.values())) == 16 * 4 * 4 * 495 * 495
    assert work == convolution_work(trt, model_bytes("fp16"), 992)


def test_share_of_a_list_in_the_words_of_the_full_package() -> None:
    """As `tensorrt` writes it, after NVIDIA's documentation of the engine inspector; not run here."""
    layers = (
        "Name: a + relu, LayerType: CaskConvolution, Inputs: [ { Name: x, Location: Device, Dimensions: [1,16,9,9], "
        "Format/Datatype: Thirty-two wide channel vectorized row major Int8 format }], Outputs: [ { Name: y, "
        'Format/Datatype: Half }], ParameterType: Convolution, Weights: {"Type": "Int8", "Count": 9}, '
        "Metadata: [ONNX Layer: weight_q]\x1e[ONNX Layer: a]\x1e[ONNX Layer: relu]\n"
        "Name: b, LayerType: CaskConvolution, Inputs: [ { Name: y, Format/Datatype: Half }], Outputs: [ { Name: z, "
        'Format/Datatype: Int8 }], ParameterType: Convolution, Weights: {"Type": "Half", "Count": 9}, '
        "Metadata: [ONNX Layer: b]\n"
        "Name: c, LayerType: Cast, Inputs: [ { Name: image, Format/Datatype: UInt8 }], Outputs: [ { Name: z, "
        'Format/Datatype: Int8 }], Weights: {"Type": "Int8", "Count": 9}, Metadata: [ONNX Layer: c]'
    )
    assert int8_share(layers, {"a": 3, "b": 1, "c": 1, "not listed": 1}) == 0.5
    assert int8_share("", {"a": 3}) == 0
    assert int8_share(layers, {}) == 0


def myelin(kind: str, node: str, *types: str) -> str:
    """A layer as `tensorrt` lists those that Myelin compiles: weights are inputs like any other."""
    inputs = ", ".join(f"{{ Name: __mye{index}, Format/Datatype: {name} }}" for index, name in enumerate(types))
    return (
        f"Name: {node}_myl0_1, LayerType: {kind}, Inputs: [ {inputs}], Outputs: [ {{ Name: y, Format/Datatype: Int8 }}]"
        f", TacticName: , StreamId: 0, Metadata: [ONNX Layer: {node}.weight_q]\x1e[ONNX Layer: {node}]"
    )


def test_weights_among_the_inputs_are_weights() -> None:
    """After layers that users of `tensorrt` 10 published; not run here."""
    layers = [
        myelin("correlation", "weights first", "Int8", "Int8", "Float"),
        myelin("correlation", "image alone", "Int8", "Half"),
        myelin("correlation", "neither", "UInt8", "Half"),
        # a kernel of what is left of the convolution: scale, sum with another branch, rounding
        myelin("kgen", "pointwise", "Int8", "Int8"),
    ]
    work = {"weights first": 5, "image alone": 1, "neither": 1, "pointwise": 3}
    assert int8_share("\n".join(layers), work) == 0.5


def test_file_for_the_cpu_is_refused_with_the_parsers_reason(trt: Any) -> None:
    cpu = (DEFAULT_BUNDLE / "model.int8.onnx").read_bytes()
    with pytest.raises(CheckFailed, match=r"tensorrt_rtx .* cannot read the model; seen: .*Int32") as raised:
        parse_model(trt, cpu)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_model_are_refused(trt: Any) -> None:
    with pytest.raises(CheckFailed, match=r"cannot read the model; seen: .*Failed to parse the ONNX model"):
        parse_model(trt, b"no model")


def test_profile_that_the_model_cannot_take_is_refused(trt: Any, model_bytes: Callable[[str], bytes]) -> None:
    small = Profile((1, 1, 64, 64), (1, 1, 64, 64), (1, 1, 64, 64))
    with pytest.raises(CheckFailed, match=r"cannot build the model; seen: .*node_avg_pool2d"):
        build_plan(trt, model_bytes("fp16"), profile=small)


def test_gpu_that_the_library_does_not_know_is_named(trt: Any, model_bytes: Callable[[str], bytes]) -> None:
    with pytest.raises(EngineMissing, match=r"no code for this GPU; seen: compute capability 9\.0; wanted: .*12\.0"):
        build_plan(trt, model_bytes("fp16"), profile=PROFILE, compute_capability="9.0")


def test_names_that_only_running_needs_are_there(trt: Any) -> None:
    """What an engine calls on a GPU, by name, in the library itself."""
    assert callable(trt.Runtime.deserialize_cuda_engine)
    for name in ("create_execution_context", "create_runtime_config", "create_engine_inspector", "get_tensor_name"):
        assert callable(getattr(trt.ICudaEngine, name))
    for name in ("create_runtime_cache", "set_runtime_cache"):
        assert callable(getattr(trt.IRuntimeConfig, name))
    for name in ("serialize", "deserialize"):
        assert callable(getattr(trt.IRuntimeCache, name))
    for name in ("set_input_shape", "set_tensor_address", "get_tensor_shape", "execute_async_v3"):
        assert callable(getattr(trt.IExecutionContext, name))
    assert hasattr(trt.ICudaEngine, "num_io_tensors")
    assert hasattr(trt.IRuntimeConfig, "dynamic_shapes_kernel_specialization_strategy")
    assert trt.DynamicShapesKernelSpecializationStrategy.EAGER is not None
    assert trt.LayerInformationFormat.ONELINE is not None
    assert callable(trt.EngineInspector.get_engine_information)
