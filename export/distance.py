"""How far a model's answers move: in grades where these have an order, else in probability."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.float32]


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


def expected_shift(first: Probabilities, second: Probabilities) -> npt.NDArray[np.float64]:
    """Absolute difference of the expected grades, 0 to K - 1."""
    shift: npt.NDArray[np.float64] = np.abs((second.astype(np.float64) - first) @ np.arange(first.shape[1]))
    return shift


def total_variation(first: Probabilities, second: Probabilities) -> npt.NDArray[np.float64]:
    """Probability that moved to other classes, 0 to 1: moved to the neighbouring grade, so much shifts the expected
    grade too, so that limits in grades hold for it."""
    moved: npt.NDArray[np.float64] = np.abs(second.astype(np.float64) - first).sum(axis=1) / 2
    return moved
