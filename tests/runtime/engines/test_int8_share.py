"""INT8 is counted where it is computed: over the kernels that an engine executed, not over the file's wishes."""

from importlib.util import find_spec

import numpy as np
import pytest

from export.ood_detector import DIRECTIONS, HIDDEN
from runtime.bundle import DEFAULT_BUNDLE
from runtime.bundle_files import FP32_MODEL, INT8_MODEL
from runtime.engines.int8_share import Kernel, Operand, int8_share
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.engines.openvino_cpu import OpenVinoEngine
from runtime.errors import CheckFailed
from trainer.network import NetworkConfig

ENGINES = pytest.mark.parametrize(
    "engine_class",
    [
        OnnxRuntimeEngine,
        pytest.param(
            OpenVinoEngine,
            marks=pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed"),
        ),
    ],
)
EngineClass = type[OnnxRuntimeEngine] | type[OpenVinoEngine]


def opened(engine_class: EngineClass, file: str, precision: str) -> OnnxRuntimeEngine | OpenVinoEngine:
    return engine_class((DEFAULT_BUNDLE / file).read_bytes(), name="engine", precision=precision, threads=1)


def share_of_the_body(height: int, width: int) -> float:
    """What the shipped model's INT8 file asks for: all convolutions but the first and those of the head."""
    config = NetworkConfig()
    sides, channels, accumulates = (height, width), 1, []
    for kernel, stride, to in zip(config.kernels, config.strides, config.widths, strict=True):
        sides = ((sides[0] - kernel) // stride + 1, (sides[1] - kernel) // stride + 1)
        accumulates.append(sides[0] * sides[1] * to * channels * kernel**2)
        channels = to
    cells = ((height - config.patch_px) // 16 + 1) * ((width - config.patch_px) // 16 + 1)
    # the classifier's two layers, and the detector's projections and score
    head = channels * config.hidden + config.hidden * len(config.grades)
    detector = sum(config.widths[1:]) * (DIRECTIONS + HIDDEN) + HIDDEN
    return sum(accumulates[1:]) / (sum(accumulates) + cells * (head + detector))


# kernels may pad the five grades and the detector's one score to whole registers, and take its gains for a convolution
PADDING = 0.004


@ENGINES
@pytest.mark.parametrize("shape", [(1, 1, 128, 128), (2, 1, 251, 402)])
def test_share_is_that_of_the_body(engine_class: EngineClass, shape: tuple[int, ...]) -> None:
    engine = opened(engine_class, INT8_MODEL, "int8")
    engine.run(np.zeros(shape, np.uint8))
    assert engine.int8_share() == pytest.approx(share_of_the_body(*shape[2:]), abs=PADDING)
    assert engine.int8_share() > 0.85


@ENGINES
def test_share_is_that_of_the_largest_image_so_far(engine_class: EngineClass) -> None:
    engine = opened(engine_class, INT8_MODEL, "int8")
    for side, largest in ((128, 128), (400, 400), (300, 400)):
        engine.run(np.zeros((1, 1, side, side), np.uint8))
        assert engine.int8_share() == pytest.approx(share_of_the_body(largest, largest), abs=PADDING)
    # so that a patch's share is not taken for a frame's
    assert share_of_the_body(128, 128) - share_of_the_body(400, 400) > 0.008


@ENGINES
def test_float_file_that_calls_itself_int8_is_seen(engine_class: EngineClass) -> None:
    engine = opened(engine_class, FP32_MODEL, "int8")
    engine.run(np.zeros((1, 1, 128, 128), np.uint8))
    assert engine.int8_share() == 0


@ENGINES
def test_float_engine_has_no_share(engine_class: EngineClass) -> None:
    assert opened(engine_class, FP32_MODEL, "fp32").int8_share() is None


@ENGINES
def test_share_is_refused_before_the_first_image(engine_class: EngineClass) -> None:
    with pytest.raises(CheckFailed, match=r"cannot be told; seen: no image that ran; next: run one"):
        opened(engine_class, INT8_MODEL, "int8").int8_share()


SCALES = (Operand("float", ()), Operand("uint8", ()))
DATA, WEIGHTS = Operand("uint8", (1, 9, 9, 4)), Operand("int8", (8, 4, 3, 3))
# 7 · 7 · 8 outputs of 36 products each
INTEGER = Kernel("QLinearConv", (DATA, *SCALES, WEIGHTS, Operand("float", (8,))), (1, 7, 7, 8))


def in_float(kernel: Kernel, *factors: int) -> Kernel:
    """The kernel with some of its inputs, all unless told, in float."""
    inputs = [
        Operand("float", operand.shape) if not factors or at in factors else operand
        for at, operand in enumerate(kernel.inputs)
    ]
    return Kernel(kernel.kind, tuple(inputs), kernel.output)


@pytest.mark.parametrize(
    ("kernel", "accumulates"),
    [
        (INTEGER, 7 * 7 * 8 * 36),
        (Kernel("Conv", (Operand("int8", (2, 6, 9, 9)), Operand("int8", (6, 1, 3, 3))), (2, 6, 7, 7)), 2 * 6 * 49 * 9),
        # OpenVINO's grouped weights: groups, outputs and inputs of a group, kernel
        (
            Kernel("Convolution", (Operand("u8", (1, 6, 9, 9)), Operand("i8", (3, 2, 2, 3, 3))), (1, 6, 7, 7)),
            6 * 49 * 2 * 9,
        ),
        (Kernel("MatMulInteger", (Operand("uint8", (5, 7)), Operand("int8", (7, 3))), (5, 3)), 5 * 3 * 7),
        (Kernel("FullyConnected", (Operand("u8", (5, 7)), Operand("i8", (3, 7))), (5, 3)), 5 * 3 * 7),
    ],
    ids=["scales before weights", "groups", "OpenVINO's groups", "matrices", "fully connected"],
)
def test_accumulates_are_counted(kernel: Kernel, accumulates: int) -> None:
    other = in_float(INTEGER)
    assert int8_share([kernel, other]) == accumulates / (accumulates + 7 * 7 * 8 * 36)


def test_integer_weights_alone_are_no_integer_arithmetic() -> None:
    assert int8_share([in_float(INTEGER, 0)]) == 0
    assert int8_share([in_float(INTEGER, 3)]) == 0


def test_what_is_neither_convolution_nor_matrix_product_counts_nothing() -> None:
    others = [Kernel(kind, (DATA, DATA), DATA.shape) for kind in ("Convert", "QLinearAdd", "Pooling")]
    assert int8_share([*others, INTEGER]) == 1
    with pytest.raises(CheckFailed, match="no convolution or matrix product that ran"):
        int8_share(others)


def test_kernel_that_hides_its_weights_is_not_guessed_at() -> None:
    with pytest.raises(
        CheckFailed, match=r"QLinearConv does not name its data and weights; seen: uint8 \[1, 9, 9, 4\]"
    ):
        int8_share([Kernel("QLinearConv", (DATA, *SCALES), (1, 7, 7, 8))])
