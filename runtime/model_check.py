"""What an ONNX file must not hold, whoever made it: anything that leads out of it or brings code of its own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runtime.errors import BundleError

if TYPE_CHECKING:
    import onnx

# the operators that every engine knows; others come with a library that would have to be loaded
DOMAINS = frozenset({"", "ai.onnx"})
OPSETS = range(18, 22)
# what networks of convolutions come to when they are exported, quantised or not, in every one of these sets
OPERATORS = frozenset(
    [
        *("Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape"),
        *("Conv", "DequantizeLinear", "Div", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Gather", "Gemm"),
        *("GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity", "If", "LeakyRelu", "Log", "LogSoftmax"),
        *("MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "PRelu", "Pad", "Pow", "QuantizeLinear", "Range"),
        *("Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape"),
        *("Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Tile"),
        *("Transpose", "Unsqueeze", "Where"),
    ]
)
# of a TensorProto's data_location
_EXTERNAL = 1
# ModelProto's first field, `ir_version`, which every exporter writes first; no text begins so
FIRST_BYTE = b"\x08"
# of onnxruntime's and TensorFlow Lite's own formats, which an engine goes by before it takes bytes for ONNX
OTHER_FORMATS = frozenset({b"ORTM", b"TFL3"})
NEXT_STEP = "do not use this bundle; export the run again"


def check_model(model: bytes, file: str) -> None:
    """Refuse a model that refers to other files, needs operators of other domains or defines its own.

    Engines tell formats by the first bytes, and a file can be two things at once; what was checked is what must run.

    Args:
        model: the ONNX file's bytes.
        file: its name, for the message.

    Raises:
        BundleError: it does, or is no ONNX model.
    """
    found = _parse(model, file)
    for what, there in (("graphs for training it", found.training_info), ("functions of its own", found.functions)):
        if there:
            _refuse(file, f"{len(there)} {what}", "none")
    for domain, version in ((opset.domain, opset.version) for opset in found.opset_import):
        if domain not in DOMAINS:
            _refuse(file, f"operators of the domain {domain!r}", "ONNX's own")
        if version not in OPSETS:
            _refuse(file, f"operator set {version}", f"{OPSETS.start} to {OPSETS.stop - 1}")
    for node in _nodes(found.graph):
        if node.domain not in DOMAINS:
            _refuse(file, f"operator {node.op_type} of the domain {node.domain!r}", "ONNX's own")
        # an engine may look for a plug-in by the name of an operator that ONNX does not have
        if node.op_type not in OPERATORS:
            _refuse(file, f"operator {node.op_type!r}", "one that texture networks are exported with")
    for tensor in _tensors(found.graph):
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            where = {entry.key: entry.value for entry in tensor.external_data}.get("location", "an unnamed place")
            _refuse(file, f"weights of {tensor.name!r} in another file, {where!r}", "one file that holds all weights")


def _parse(model: bytes, file: str) -> "onnx.ModelProto":
    """The model as protobuf, where that is what every engine will take it for."""
    from google.protobuf.message import DecodeError

    from runtime.onnx_parts import onnx_part

    try:
        found: onnx.ModelProto = onnx_part("onnx_ml_pb2").ModelProto.FromString(model)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{file}: not an ONNX model", seen=str(error), next_step=NEXT_STEP) from error
    if not found.HasField("graph") or not found.graph.node:
        raise BundleError(f"{file}: not an ONNX model", seen="no graph", next_step=NEXT_STEP)
    if not model.startswith(FIRST_BYTE) or model[4:8] in OTHER_FORMATS:
        _refuse(file, f"a file that begins with {model[:8]!r}", "one that no engine can take for another format")
    if not _is_text(found):
        # onnxruntime cannot tell of it, and prints on stdout instead
        _refuse(file, "names that are no text", "UTF-8")
    return found


def _refuse(file: str, seen: str, wanted: str) -> None:
    raise BundleError(f"{file}: refused", seen=seen, wanted=wanted, next_step=NEXT_STEP)


def _is_text(message: Any) -> bool:
    """Whether every string in a protobuf message is one; where it is not UTF-8, its bytes are given."""
    for field, value in message.ListFields():
        if field.type not in {field.TYPE_STRING, field.TYPE_MESSAGE}:
            continue
        single = isinstance(value, str | bytes) or hasattr(value, "ListFields")
        for one in [value] if single else value:
            if field.type == field.TYPE_STRING and isinstance(one, bytes):
                return False
            if field.type == field.TYPE_MESSAGE and not _is_text(one):
                return False
    return True


def _nodes(graph: "onnx.GraphProto") -> "Iterator[onnx.NodeProto]":
    """Every node, those of graphs within nodes too."""
    for node in graph.node:
        yield node
        for inner in _inner_graphs(node):
            yield from _nodes(inner)


def _inner_graphs(node: "onnx.NodeProto") -> "Iterator[onnx.GraphProto]":
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tensors(graph: "onnx.GraphProto") -> "Iterator[onnx.TensorProto]":
    """Every tensor that holds or refers to values, wherever the format allows one."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (
                *([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []),
                *attribute.sparse_tensors,
            ):
                yield from (sparse.values, sparse.indices)
        for inner in _inner_graphs(node):
            yield from _tensors(inner)
