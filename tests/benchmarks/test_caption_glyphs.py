"""The templates that ship are those that the reader's own cutting of glyphs makes."""

import numpy as np
import pytest

from benchmarks.caption_glyphs import CHARACTERS, SIZES, in_rubik, matplotlibs, of_file
from runtime.images.caption import GLYPHS_FILE
from runtime.images.glyphs import GRID, find_lines


@pytest.mark.parametrize("draw", [of_file(matplotlibs("DejaVuSans")), in_rubik], ids=["DejaVu Sans", "Rubik"])
def test_shipped_templates_are_up_to_date(draw: object) -> None:
    with np.load(GLYPHS_FILE) as file:
        chars, grids = str(file["chars"]), file["grids"]
    assert grids.shape == (len(chars), *GRID[::-1])
    assert set(chars) == set(CHARACTERS)
    for char in "0123456789XYZ":
        (line,) = find_lines(draw(f"H {char} H", SIZES[-1]))  # type: ignore[operator]
        own = grids[np.array(list(chars)) == char].reshape(-1, GRID[0] * GRID[1]) / 255
        assert np.abs(own - line[1].grid).mean(axis=1).min() < 0.003, char
