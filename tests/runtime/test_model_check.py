"""A model that holds nothing but ONNX's own operators and its own weights passes; nothing else does, and nothing hangs.

The folder of attacks shows each refusal; here are the shipped models and bytes of any kind.
"""

import contextlib

import numpy as np
import onnx
import pytest
from forgery import changed_model
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.bundle_files import FP32_MODEL
from runtime.errors import BundleError
from runtime.model_check import DOMAINS, OPERATORS, OPSETS, check_model

unhurried = settings(deadline=None)
SHIPPED = (DEFAULT_BUNDLE / FP32_MODEL).read_bytes()


def model_of(*nodes: onnx.NodeProto, opset: int = 20) -> bytes:
    """A small model, of whose nodes nothing is asked."""
    weights = [numpy_helper.from_array(np.arange(6, dtype=np.float32), "weights")]
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Relu", ["image"], ["probabilities"])],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1])],
        weights,
    )
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString())


SMALL = model_of(
    helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones(2, np.float32), "value")),
    helper.make_node(
        "If",
        ["c"],
        ["probabilities"],
        then_branch=helper.make_graph([helper.make_node("Relu", ["image"], ["x"])], "then", [], []),
        else_branch=helper.make_graph([helper.make_node("Abs", ["image"], ["x"])], "else", [], []),
    ),
)


def test_every_shipped_model_passes() -> None:
    bundle = open_bundle(DEFAULT_BUNDLE)
    assert bundle.manifest.model_files()
    for name in bundle.manifest.model_files():
        check_model(bundle.read_file(name), name)


@pytest.mark.parametrize("opset", OPSETS)
def test_small_models_pass(opset: int) -> None:
    check_model(model_of(opset=opset), "small.onnx")
    check_model(SMALL, "small.onnx")


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_onnx_goes_by_two_names(domain: str) -> None:
    def rename(model: onnx.ModelProto) -> None:
        model.opset_import[0].domain = domain
        for node in model.graph.node:
            node.domain = domain

    check_model(changed_model(SHIPPED, rename), FP32_MODEL)


@pytest.mark.parametrize("opset", OPSETS)
def test_every_operator_is_one_that_onnx_has(opset: int) -> None:
    assert [name for name in OPERATORS if not onnx.defs.has(name, opset, "")] == []


def test_notes_and_names_of_any_language_pass() -> None:
    def note(model: onnx.ModelProto) -> None:
        model.doc_string = "皮膚 ß 🙂"
        model.metadata_props.add(key="made", value="by hand")
        model.graph.node[0].name = "第一"

    check_model(changed_model(SHIPPED, note), FP32_MODEL)


def test_error_names_file_what_was_seen_and_what_to_do() -> None:
    foreign = model_of(helper.make_node("Run", ["image"], ["probabilities"], domain="evil.example"))
    with pytest.raises(
        BundleError,
        match=r"^some\.onnx: refused; seen: operator Run of the domain 'evil\.example'; "
        r"wanted: ONNX's own; next: do not use this bundle",
    ):
        check_model(foreign, "some.onnx")


def passes_or_is_refused(model: bytes) -> None:
    with contextlib.suppress(BundleError):
        check_model(model, "some.onnx")


@unhurried
@given(st.binary(max_size=300))
@example(b"")
@example(b"\x08\x0a")
@example(b"\x08\x0a:\x00")
def test_random_bytes_raise_nothing_but_bundle_errors(data: bytes) -> None:
    passes_or_is_refused(data)


@unhurried
@given(
    model=st.sampled_from([SMALL, SHIPPED]),
    # where the structure is, rather than the weights
    places=st.dictionaries(st.integers(0, 9999), st.integers(0, 255), min_size=1, max_size=20),
    inserted=st.binary(max_size=20),
    cut=st.floats(0, 1) | st.just(1.0),
)
def test_mutated_models_raise_nothing_but_bundle_errors(
    model: bytes, places: dict[int, int], inserted: bytes, cut: float
) -> None:
    mutated = bytearray(model)
    for place, value in places.items():
        mutated[place % len(mutated)] = value
    at = next(iter(places)) % len(mutated)
    mutated[at:at] = inserted
    passes_or_is_refused(bytes(mutated[: int(cut * len(mutated))]))
