"""The grid that pixels were sampled on: whether its two sides make one scale."""

import math

# narrower than the range in which scores hold, and wider than what rounding does to a told resolution
_SQUARE_WITHIN = 0.02
NOT_SQUARE = "scale: the pixels are not square, and a model knows no others"


def square_um(x_um: float, y_um: float) -> float | None:
    """µm per pixel of a grid of square pixels; None where its two sides differ by more than 2 %.

    Args:
        x_um, y_um: µm from one pixel to the next across and down, positive.
    """
    return math.sqrt(x_um * y_um) if abs(x_um / y_um - 1) <= _SQUARE_WITHIN else None
