"""Golden frames: few images that every engine must answer as the trained network does, wherever it is loaded."""

import math
from decimal import ROUND_CEILING, Decimal

import numpy as np
import numpy.typing as npt

from export.onnx_graph import PARITY
from runtime.bundle_arrays import GoldenFrames
from runtime.engines import Engine
from runtime.errors import CheckFailed
from runtime.gate_set import shuffled
from runtime.golden import golden_difference
from runtime.manifest import MOST_TOLERANCE

# engines round at other places than the file's letter does, and are allowed so many times its own difference
ALLOWANCE = 2.0
# and no less than this: (in probability, in unfamiliarity); a difference below changes no grade that was not open
LEAST = {"fp32": (PARITY, PARITY), "fp16": (2e-3, 1e-2), "int8": (2e-2, 5e-2)}


def golden_images(patches: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Two frames of two by two patches: several cells, seams included, and every grey level that is usual.

    The last patch is shuffled to what is no skin, so that an engine that shows everything is found by it.

    Args:
        patches: uint8 [N, P, P], at least one.

    Returns:
        uint8 [2, 1, 2 P, 2 P].
    """
    chosen = patches[np.linspace(0, len(patches) - 1, 8).astype(int)]
    chosen[-1] = shuffled(chosen[-1:])[0]
    side = patches.shape[1]
    quads = chosen.reshape(2, 2, 2, side, side)
    frames: npt.NDArray[np.uint8] = quads.transpose(0, 1, 3, 2, 4).reshape(2, 1, 2 * side, 2 * side)
    return frames


def tolerances(file: Engine, golden: GoldenFrames, unfamiliar: float) -> tuple[float, float]:
    """How far an engine that runs a file may be from the golden outputs, in probability and in unfamiliarity.

    Args:
        file: the file run exactly, not the engine that will be held to it; it has passed the gate.
        golden: the golden frames.
        unfamiliar: the unfamiliarity above which a cell is withheld.

    Raises:
        CheckFailed: the network would show no cell of the golden frames.
    """
    apart = golden_difference(file.run(golden.frames), golden, unfamiliar)
    if not math.isfinite(apart.probability):
        raise CheckFailed(
            "the golden frames show nothing",
            seen="every cell of them is unfamiliar to the trained network",
            wanted="patches of the validation part that it would show",
            next_step="train again, on more patches",
        )
    least = LEAST[file.precision]
    probability, unfamiliarity = (
        min(MOST_TOLERANCE, max(floor, _rounded_up(ALLOWANCE * value)))
        for floor, value in zip(least, (apart.probability, apart.unfamiliarity), strict=True)
    )
    return probability, unfamiliarity


def _rounded_up(value: float) -> float:
    """To two digits, for a person reads it."""
    if value <= 0:
        return 0.0
    unit = Decimal(10) ** (Decimal(value).adjusted() - 1)
    return float(Decimal(value).quantize(unit, ROUND_CEILING))
