"""How far an engine is from the golden frames."""

import msgspec
import numpy as np

from runtime.bundle_arrays import GoldenFrames
from runtime.engines.protocol import EngineOutput
from runtime.quality import STRANGE


class GoldenDifference(msgspec.Struct, frozen=True):
    """The largest differences from the golden outputs; infinite where an output has another shape.

    Attributes:
        probability: in the grades' probabilities, of the cells that the trained network would show.
        unfamiliarity: in the unfamiliarity of all cells.
    """

    probability: float
    unfamiliarity: float


def golden_difference(output: EngineOutput, golden: GoldenFrames, unfamiliar: float) -> GoldenDifference:
    """Compare an engine's answers with the trained network's.

    Args:
        output: for the golden frames.
        golden: the frames with the network's own answers. A part of them is no skin: it has to stay withheld, and what
            its grade would be is of no account.
        unfamiliar: the unfamiliarity above which a cell is withheld. From `STRANGE` times that on it is withheld beyond
            doubt, and differences do not count.
    """
    if (output.probabilities.shape, output.unfamiliarity.shape) != (
        golden.probabilities.shape,
        golden.unfamiliarity.shape,
    ):
        return GoldenDifference(float("inf"), float("inf"))
    end_of_doubt = np.float32(STRANGE * unfamiliar)
    doubtful = np.minimum(output.unfamiliarity, end_of_doubt) - np.minimum(golden.unfamiliarity, end_of_doubt)
    apart = np.abs(output.probabilities - golden.probabilities).max(axis=1)
    # where golden frames show nothing, they prove nothing
    shown = apart[~(golden.unfamiliarity > unfamiliar)]
    return GoldenDifference(
        float(shown.max()) if shown.size else float("inf"),
        float(np.abs(doubtful).max()),
    )
