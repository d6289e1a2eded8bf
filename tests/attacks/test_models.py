"""Models that would read other files, bring code of their own, or be another model than the one that was checked.

Whoever makes them has brought the hashes in `bundle.json` up to date.
"""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from forgery import Forgery
from onnx import TensorProto, helper, numpy_helper

from runtime.bundle_files import FP32_MODEL, INT8_MODEL

Refusal = Callable[..., str]
RefusalByScore = Callable[[Forgery], tuple[int, str]]
Change = Callable[[onnx.ModelProto], None]


def external(location: str) -> onnx.TensorProto:
    """A tensor whose values are in another file."""
    tensor = onnx.TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def if_node(inner: onnx.GraphProto) -> onnx.NodeProto:
    """A node with a graph in each of its branches."""
    empty = helper.make_graph([helper.make_node("Identity", ["image"], ["no"])], "no", [], [])
    return helper.make_node("If", ["image"], ["unused"], then_branch=empty, else_branch=inner)


def graph_of(*nodes: onnx.NodeProto, weights: onnx.TensorProto | None = None) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "inner", [], [], [weights] if weights else [])


IDENTITY = helper.make_node("Identity", ["image"], ["same"])


@pytest.mark.parametrize(
    "location", ["../../secret", "/etc/hostname", "weights.bin", "C:\\secret", "*/_ORT_MEM_ADDR_/*", "file:///secret"]
)
@pytest.mark.parametrize("engine", ["onnxruntime-fp32", "onnxruntime-int8", "openvino-fp32", "tensorrt-fp16"])
def test_weights_in_another_file(location: str, engine: str, forgery: Forgery, refusal: Refusal) -> None:
    (forgery.folder.parent / "secret").write_bytes(bytes(2**16))
    files = {"onnxruntime-int8": INT8_MODEL, "tensorrt-fp16": "model.fp16.trt.onnx"}

    def move(model: onnx.ModelProto) -> None:
        moved = model.graph.initializer[0]
        moved.ClearField("raw_data")
        moved.data_location = TensorProto.EXTERNAL
        moved.external_data.add(key="location", value=location)

    forgery.change_model(move, files.get(engine, FP32_MODEL))
    assert f"in another file, {location!r}; wanted: one file that holds all weights" in refusal(forgery, engine)


def test_weights_in_another_file_end_the_command(forgery: Forgery, refusal_by_score: RefusalByScore) -> None:
    forgery.change_model(lambda model: model.graph.initializer.append(external("../../secret")))
    code, line = refusal_by_score(forgery)
    assert code == 2
    assert "in another file, '../../secret'" in line


def values_and_reference(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="../../secret")


def reference_without_a_place(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def sparse(values: onnx.TensorProto, indices: onnx.TensorProto) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=values, indices=indices, dims=[9])


ONE = numpy_helper.from_array(np.ones(1, np.float32), "one")
HIDDEN: dict[str, Change] = {
    "beside values in the file": values_and_reference,
    "no place told": reference_without_a_place,
    "in a Constant": lambda model: model.graph.node.append(
        helper.make_node("Constant", [], ["c"], value=external("../../secret"))
    ),
    "in an attribute's list": lambda model: model.graph.node.append(
        helper.make_node("Constant", [], ["c"], values=[ONE, external("../../secret")])
    ),
    "in a branch of an If": lambda model: model.graph.node.append(
        if_node(graph_of(IDENTITY, weights=external("../../secret")))
    ),
    "in a Constant in a branch of a branch": lambda model: model.graph.node.append(
        if_node(graph_of(if_node(graph_of(helper.make_node("Constant", [], ["c"], value=external("../../secret"))))))
    ),
    "in a sparse initializer's values": lambda model: model.graph.sparse_initializer.append(
        sparse(external("../../secret"), ONE)
    ),
    "in a sparse initializer's indices": lambda model: model.graph.sparse_initializer.append(
        sparse(ONE, external("../../secret"))
    ),
    "in a sparse Constant": lambda model: model.graph.node.append(
        helper.make_node("Constant", [], ["c"], sparse_value=sparse(external("../../secret"), ONE))
    ),
    "in a list of sparse tensors": lambda model: model.graph.node.append(
        helper.make_node("Constant", [], ["c"], values=[sparse(ONE, external("../../secret"))])
    ),
}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_weights_in_another_file_hidden(hidden: str, forgery: Forgery, refusal: Refusal) -> None:
    assert "in another file, " in refusal(forgery.change_model(HIDDEN[hidden]))


def a_graph_of_lists(model: onnx.ModelProto) -> None:
    node = model.graph.node.add(op_type="Identity", name="odd")
    node.attribute.add(name="graphs", type=onnx.AttributeProto.GRAPHS).graphs.append(
        graph_of(helper.make_node("Run", [], ["x"], domain="evil.example"))
    )


FOREIGN: dict[str, tuple[Change, str]] = {
    "an operator of its own domain": (
        lambda model: model.graph.node.append(helper.make_node("Run", ["image"], ["x"], domain="evil.example")),
        "operator Run of the domain 'evil.example'",
    ),
    "an operator of one engine alone": (
        lambda model: model.graph.node.append(helper.make_node("Gelu", ["image"], ["x"], domain="com.microsoft")),
        "operator Gelu of the domain 'com.microsoft'",
    ),
    "a plug-in that passes for ONNX's own": (
        lambda model: model.graph.node.append(helper.make_node("EvilPlugin_TRT", ["image"], ["x"])),
        "operator 'EvilPlugin_TRT'",
    ),
    "a plug-in in a branch": (
        lambda model: model.graph.node.append(
            if_node(graph_of(helper.make_node("EvilPlugin_TRT", ["image"], ["x"], domain="ai.onnx")))
        ),
        "operator 'EvilPlugin_TRT'",
    ),
    "an operator of a later set": (
        lambda model: model.graph.node.append(helper.make_node("TensorScatter", ["image"], ["x"])),
        "operator 'TensorScatter'; wanted: one that texture networks are exported with",
    ),
    "an operator of its own domain in a branch": (
        lambda model: model.graph.node.append(
            if_node(graph_of(helper.make_node("Run", ["image"], ["x"], domain="evil.example")))
        ),
        "operator Run of the domain 'evil.example'",
    ),
    "an operator of its own domain in a list of graphs": (a_graph_of_lists, "of the domain 'evil.example'"),
    "a domain that no operator uses": (
        lambda model: model.opset_import.append(helper.make_opsetid("evil.example", 1)),
        "operators of the domain 'evil.example'",
    ),
    "a domain that looks like ONNX's": (
        lambda model: model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 5)),
        "operators of the domain 'ai.onnx.ml'",
    ),
    "functions of its own": (
        lambda model: model.functions.append(
            helper.make_function(
                "", "Conv", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], [helper.make_opsetid("", 20)]
            )
        ),
        "1 functions of its own",
    ),
    "graphs for training": (
        lambda model: model.training_info.add().initialization.CopyFrom(graph_of(weights=external("../../secret"))),
        "graphs for training it",
    ),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_code_from_elsewhere(foreign: str, forgery: Forgery, refusal: Refusal) -> None:
    change, said = FOREIGN[foreign]
    line = refusal(forgery.change_model(change))
    assert f"{FP32_MODEL}: refused; seen: " in line
    assert said in line


def test_code_from_elsewhere_ends_the_command(forgery: Forgery, refusal_by_score: RefusalByScore) -> None:
    code, line = refusal_by_score(forgery.change_model(FOREIGN["an operator of its own domain"][0]))
    assert code == 2
    assert "evil.example" in line


def test_domain_that_is_no_text(forgery: Forgery, refusal: Refusal) -> None:
    forgery.change_model(FOREIGN["an operator of its own domain"][0])
    forgery.put_listed(FP32_MODEL, forgery.read(FP32_MODEL).replace(b"evil.example", b"\xff\x1b[2J\r\nevils"))
    assert "seen: names that are no text" in refusal(forgery)


@pytest.mark.parametrize("name", [b"Conv", b"probabilities", b"pytorch"])
def test_name_that_is_no_text(
    name: bytes, forgery: Forgery, refusal: Refusal, refusal_by_score: RefusalByScore
) -> None:
    """onnxruntime would print on stdout, where a JSON document may be expected."""
    forgery.put_listed(FP32_MODEL, forgery.read(FP32_MODEL).replace(name, b"\xff" * len(name)))
    assert "seen: names that are no text" in refusal(forgery)
    assert refusal_by_score(forgery)[0] == 2


@pytest.mark.parametrize("version", [-1, 0, 1, 17, 22, 2**40])
def test_operator_set_that_was_not_exported(version: int, forgery: Forgery, refusal: Refusal) -> None:
    def declare(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = version

    assert f"operator set {version}; wanted: 18 to 21" in refusal(forgery.change_model(declare))


def test_no_operator_set(forgery: Forgery, refusal: Refusal) -> None:
    assert refusal(forgery.change_model(lambda model: model.ClearField("opset_import")))


@pytest.mark.parametrize("left", [0, 1, 2, 20, 0.1, 0.5, 0.9, -1000, -1])
def test_truncated_model(left: float, forgery: Forgery, refusal: Refusal) -> None:
    data = forgery.read(FP32_MODEL)
    cut = data[: int(left * len(data))] if isinstance(left, float) else data[:left]
    assert refusal(forgery.put_listed(FP32_MODEL, cut))


def test_truncated_model_ends_the_command(forgery: Forgery, refusal_by_score: RefusalByScore) -> None:
    data = forgery.read(FP32_MODEL)
    code, line = refusal_by_score(forgery.put_listed(FP32_MODEL, data[: len(data) // 2]))
    assert code == 2
    assert "not an ONNX model" in line


@pytest.mark.parametrize(
    "data",
    [
        np.random.default_rng(0).bytes(2**16),
        bytes(2**16),
        b"\x08" * 2**16,
        b"PK\x03\x04" * 99,
        b"ONNX as it is read aloud",
    ],
    ids=["random", "zeros", "eights", "zip", "words"],
)
def test_bytes_that_are_no_model(data: bytes, forgery: Forgery, refusal: Refusal) -> None:
    assert f"{FP32_MODEL}: not an ONNX model" in refusal(forgery.put_listed(FP32_MODEL, data))


def test_graphs_in_graphs_without_end(forgery: Forgery, refusal: Refusal) -> None:
    inner = b""
    for _ in range(3000):
        # attribute 5 of a node is `attribute`, 6 of an attribute `g`, 1 of a graph `node`
        for field in (6, 5, 1):
            inner = bytes([field << 3 | 2]) + varint(len(inner)) + inner
    model = b"\x08\x0a" + bytes([7 << 3 | 2]) + varint(len(inner)) + inner
    assert f"{FP32_MODEL}: not an ONNX model" in refusal(forgery.put_listed(FP32_MODEL, model))


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def onnxruntimes_own(folder: Path) -> bytes:
    """A model in onnxruntime's own format, whose only output is called `evil`."""
    graph = helper.make_graph(
        [helper.make_node("Cast", ["image"], ["evil"], to=TensorProto.FLOAT)],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 1, "H", "W"])],
        [helper.make_tensor_value_info("evil", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10, doc_string="")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return (folder / "model.ort").read_bytes()


def test_model_of_onnxruntimes_own_format(forgery: Forgery, tmp_path: Path, refusal: Refusal) -> None:
    assert f"{FP32_MODEL}: not an ONNX model" in refusal(forgery.put_listed(FP32_MODEL, onnxruntimes_own(tmp_path)))


def test_model_of_onnxruntimes_own_format_that_is_an_onnx_file_too(
    forgery: Forgery, tmp_path: Path, refusal: Refusal
) -> None:
    """The check would see the shipped model, and onnxruntime run the other: it goes by the bytes 4 to 7."""
    other, root = onnxruntimes_own(tmp_path), 0x000D0A08
    # that number is the place of the other's root, and `ir_version` 10 with a fixed32 after it, which takes "ORT";
    # "M" begins another; a text that nobody reads then holds the other model, moved to its new place
    start = root - struct.unpack_from("<I", other)[0] + 8
    head = struct.pack("<I", root) + b"ORTM" + bytes(4)
    doc_string = bytes([6 << 3 | 2]) + varint(start + len(other) - 8 - len(head) - 4)
    both = (head + doc_string).ljust(start, b"\0") + other[8:] + forgery.read(FP32_MODEL)
    assert len(doc_string) == 4
    assert len(onnx.ModelProto.FromString(both).graph.node) > 10
    try:
        session = onnxruntime.InferenceSession(both, providers=["CPUExecutionProvider"])
    except Exception:
        # a version that is more careful, or lays its files out otherwise
        pass
    else:
        assert [output.name for output in session.get_outputs()] == ["evil"]
    line = refusal(forgery.put_listed(FP32_MODEL, both))
    assert "wanted: one that no engine can take for another format" in line


LAYERS = (
    b'--><layers><layer id="0" name="image" type="Parameter" version="opset1"><data shape="?,1,?,?" element_type="u8"/>'
    b'<output><port id="0" precision="U8" names="evil"><dim>-1</dim><dim>1</dim><dim>-1</dim><dim>-1</dim></port>'
    b'</output></layer><layer id="1" name="r" type="Result" version="opset1"><input><port id="0" precision="U8">'
    b"<dim>-1</dim><dim>1</dim><dim>-1</dim><dim>-1</dim></port></input></layer></layers>"
    b'<edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges></net>\0'
)


@pytest.mark.parametrize("engine", ["onnxruntime-fp32", "openvino-fp32"])
def test_model_of_openvinos_own_format_that_is_an_onnx_file_too(
    engine: str, forgery: Forgery, refusal: Refusal
) -> None:
    """A line break and a space before XML are a field of 32 bytes to protobuf."""
    head = b'\n <net name="n" version="11"><!--   b' + varint(len(LAYERS))
    both = head + LAYERS + forgery.read(FP32_MODEL)
    assert len(onnx.ModelProto.FromString(both).graph.node) > 10
    line = refusal(forgery.put_listed(FP32_MODEL, both), engine)
    assert "wanted: one that no engine can take for another format" in line


def other_weights(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 4:
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values[::-1]), tensor.name))


def no_numbers(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 4:
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(values, np.nan), tensor.name))


def other_output(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.output[:] = ["verdict" if name == "probabilities" else name for name in node.output]
    for output in model.graph.output:
        output.name = "verdict" if output.name == "probabilities" else output.name


def one_size_of_image(model: onnx.ModelProto) -> None:
    for dimension in model.graph.input[0].type.tensor_type.shape.dim:
        dimension.dim_value = 1


def unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Teleport"


ANOTHER: dict[str, Change] = {
    "other weights": other_weights,
    "no numbers": no_numbers,
    "another output": other_output,
    "one size of image": one_size_of_image,
    "an operator that does not exist": unknown_operator,
}


@pytest.mark.parametrize("another", ANOTHER)
def test_another_model_in_good_form(
    another: str, forgery: Forgery, refusal: Refusal, refusal_by_score: RefusalByScore
) -> None:
    forgery.change_model(ANOTHER[another])
    assert refusal(forgery)
    assert refusal_by_score(forgery)[0] in {1, 2}
