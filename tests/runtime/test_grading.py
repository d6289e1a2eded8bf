"""How grades are read: values of cells, and what a score may be called."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.dense_map import Geometry, InflammationMap
from runtime.grading import MAX_QUANTITY_LENGTH, Grading, check_quantity

NAMES = ("healthy", "eczematous", "psoriatic")


def found() -> InflammationMap:
    probabilities = np.array([[0.5, 0.1], [0.0, 0.3], [0.5, 0.6]], np.float32).reshape(3, 1, 2)
    return InflammationMap(probabilities, np.zeros((1, 2), np.float32), Geometry(32, 8, 0.5))


def test_ordered_cells_hold_their_expected_grade_and_others_their_class() -> None:
    np.testing.assert_allclose(Grading(NAMES).cell_values(found()), [[1.0, 1.5]], atol=1e-6)
    values = Grading(NAMES, ordered=False).cell_values(found())
    # between the first class and the last there is no middle one
    np.testing.assert_array_equal(values, [[0, 2]])
    assert values.dtype == np.float32


@pytest.mark.parametrize("quantity", ["", " x", "x ", "a\nb", "x" * (MAX_QUANTITY_LENGTH + 1), "\x1b[31m", "b\udcff"])
def test_quantity_that_does_not_fit_a_title_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match=r"quantity .*, wanted one line of 1 to 40 printable characters"):
        check_quantity(quantity)


@given(st.text(max_size=60))
def test_quantity_that_is_taken_is_one_printable_line(quantity: str) -> None:
    try:
        check_quantity(quantity)
    except ValueError:
        return
    assert quantity.isprintable()
    assert len(quantity.splitlines()) == 1
    assert 0 < len(quantity.strip()) == len(quantity) <= MAX_QUANTITY_LENGTH
