"""The grid that pixels were sampled on: whether its two sides make one scale."""

import math

# narrower than the range in which scores hold, and wider than what rounding does to a told resolution
_SQUARE_WITHIN = 0.02
_NOT_SQUARE = "scale: the pixels are not square, and a model knows no others"


def scale_of_grid(x_um: float, y_um: float) -> tuple[float | None, tuple[str, ...]]:
    """µm per pixel of a grid of square pixels; None, and what is to be said of it, where its sides differ by over 2 %.

    Args:
        x_um, y_um: µm from one pixel to the next across and down, positive.
    """
    if abs(x_um / y_um - 1) > _SQUARE_WITHIN:
        return None, (_NOT_SQUARE,)
    return math.sqrt(x_um * y_um), ()
