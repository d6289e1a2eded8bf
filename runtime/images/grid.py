"""The grid that pixels were sampled on: whether its two sides make one scale."""

import math

from runtime.images.plausible import UM_PER_PX

# narrower than the range in which scores hold, and wider than what rounding does to a told resolution
_SQUARE_WITHIN = 0.02
_NOT_SQUARE = "scale: the pixels are not square, and a model knows no others"


def scale_of_grid(x_um: float, y_um: float) -> tuple[float | None, tuple[str, ...]]:
    """µm per pixel of a grid of square pixels; None, and why it is none that could be used, where there is no such.

    Args:
        x_um, y_um: µm from one pixel to the next across and down, as they are told: any number.
    """
    for side in (x_um, y_um):
        if not UM_PER_PX.holds(side):
            return None, (UM_PER_PX.objection("scale", side, next_step="give --um-per-px"),)
    if abs(x_um / y_um - 1) > _SQUARE_WITHIN:
        return None, (_NOT_SQUARE,)
    return math.sqrt(x_um * y_um), ()
