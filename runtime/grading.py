"""The meaning of a model's grades: their names, whether they have an order, and the name of the score."""

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.dense_map import InflammationMap
from runtime.grade_names import lowest_grade
from runtime.result import DEFAULT_QUANTITY

# an overlay's title must hold it beside the score
MAX_QUANTITY_LENGTH = 40


class Grading(msgspec.Struct, frozen=True):
    """The meaning of a model's grades.

    Attributes:
        names: of the K grades; lowest first where they are ordered.
        ordered: whether neighbouring grades are nearer to each other than distant ones. Where they are not, means and
            distances of grades mean nothing: a score is the class with the most area.
        quantity: what an ordered score is called, such as "Inflammation".
    """

    names: tuple[str, ...]
    ordered: bool = True
    quantity: str = DEFAULT_QUANTITY

    @property
    def lowest(self) -> int:
        """The number of the lowest grade, from which scores are counted: 1 where the grades are named 1 to 5.

        0 where the names are not consecutive whole numbers, and for classes without an order, whose numbers are
        indices.
        """
        return lowest_grade(self.names) if self.ordered else 0

    def cell_values(self, found: InflammationMap) -> npt.NDArray[np.float32]:
        """Return the value of each cell, float32 [h, w]: its expected grade, `lowest` to `lowest` + K - 1, or without
        order the index of its most probable class."""
        return found.expected_grade() + self.lowest if self.ordered else found.grade().astype(np.float32)


def check_quantity(quantity: str) -> None:
    """Require a quantity that fits an overlay's title.

    Raises:
        ValueError: it is empty, too long, not printable on one line, or begins or ends with a space.
    """
    if not (0 < len(quantity) <= MAX_QUANTITY_LENGTH and quantity.isprintable() and quantity == quantity.strip()):
        raise ValueError(
            f"quantity {quantity[: 2 * MAX_QUANTITY_LENGTH]!r}, wanted one line of 1 to {MAX_QUANTITY_LENGTH} "
            "printable characters without spaces around it"
        )
