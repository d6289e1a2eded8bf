"""How much of a model an engine computes in INT8, counted over the kernels that it says it executed.

A file that asks for INT8 is no proof: an engine may keep a layer in float, or dequantise it first, and only be slower.
"""

import math
from collections.abc import Iterable

import msgspec

from runtime.errors import CheckFailed

Shape = tuple[int, ...]
# as onnxruntime and OpenVINO call them
_EIGHT_BIT_INTEGERS = frozenset({"uint8", "int8", "u8", "i8"})
_MATRIX_PRODUCTS = ("MatMul", "Gemm", "FullyConnected")


class Operand(msgspec.Struct, frozen=True):
    """One input of a kernel: its type as the engine names it, and its shape (logical, whatever the memory layout)."""

    dtype: str
    shape: Shape


class Kernel(msgspec.Struct, frozen=True):
    """One kernel that ran.

    Attributes:
        kind: the operation as the engine calls it, for instance `QLinearConv`.
        inputs: data and weights in this order, with scales, zero points and bias anywhere after the data.
        output: shape of the first output.
    """

    kind: str
    inputs: tuple[Operand, ...]
    output: Shape


def int8_share(kernels: Iterable[Kernel]) -> float:
    """Share (0 to 1) of the multiply-accumulates of convolutions and matrix products whose operands are both INT8.

    Raises:
        CheckFailed: the kernels do not tell, or hold neither convolution nor matrix product.
    """
    total = in_int8 = 0
    for kernel in kernels:
        if not is_counted(kernel.kind):
            continue
        data, weights = _factors(kernel)
        # every number of a convolution's output sums over the weights of one output channel ([O, I / groups, h, w],
        # with the groups as one more axis in front in OpenVINO), of a matrix product over the data's last axis
        summed = weights.shape[1 - len(kernel.output) :] if _is_convolution(kernel.kind) else data.shape[-1:]
        accumulates = math.prod(kernel.output) * math.prod(summed)
        total += accumulates
        if {data.dtype, weights.dtype} <= _EIGHT_BIT_INTEGERS:
            in_int8 += accumulates
    if not total:
        raise CheckFailed("the share of INT8 cannot be told", seen="no convolution or matrix product that ran")
    return in_int8 / total


def is_counted(kind: str) -> bool:
    """Whether a kernel's multiply-accumulates count: all that is not a convolution or matrix product is a trifle."""
    return _is_convolution(kind) or any(name in kind for name in _MATRIX_PRODUCTS)


def _is_convolution(kind: str) -> bool:
    return "Conv" in kind and "Convert" not in kind


def _factors(kernel: Kernel) -> tuple[Operand, Operand]:
    """Data and weights; scales and zero points, which may stand between them, have fewer axes."""
    axes = len(kernel.output) if _is_convolution(kernel.kind) else 2
    match [operand for operand in kernel.inputs if len(operand.shape) >= axes]:
        case [data, weights, *_]:
            return data, weights
    raise CheckFailed(
        f"the share of INT8 cannot be told: {kernel.kind} does not name its data and weights",
        seen=", ".join(f"{operand.dtype} {list(operand.shape)}" for operand in kernel.inputs) or "no inputs",
    )
