"""Places are spread over the whole list, none twice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.evenly import evenly


@given(count=st.integers(1, 500), most=st.integers(2, 500))
def test_places_are_spread_over_the_whole_list(count: int, most: int) -> None:
    places = evenly(count, most)
    assert len(places) == min(count, most)
    assert (places[0], places[-1]) == (0, count - 1)
    steps = np.diff(places)
    assert (steps > 0).all()
    assert steps.size == 0 or steps.max() - steps.min() <= 1
