"""The distance between two answers: in grades where these have an order, else in probability."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.gate import Probabilities, expected_shift, total_variation


@dataclass(frozen=True)
class Distance:
    """A distance between two answers to the same image.

    Attributes:
        unit: `grades` or `probability`.
        of: from two arrays float32 [N, K] of probabilities to float64 [N].
    """

    unit: str
    of: Callable[[Probabilities, Probabilities], npt.NDArray[np.float64]]

    @staticmethod
    def between(*, ordered: bool) -> "Distance":
        """The distance for grades with or without an order."""
        return Distance("grades", expected_shift) if ordered else Distance("probability", total_variation)
