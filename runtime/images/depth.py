"""Depth of grey: which stored levels are black and white."""

from typing import Any

import msgspec
import numpy as np

# how each objection begins that a user lifts by saying which levels are black and white
DEPTH_UNKNOWN = "depth of grey unknown"


class Held(msgspec.Struct, frozen=True):
    """How a file's levels are held as pixels, of which a small one is dark, whatever the file means by it.

    Attributes:
        at_zero: the pixel that stored level 0 becomes.
        turned: a stored level is the darker the larger it is.
    """

    at_zero: float = 0.0
    turned: bool = False

    def black_and_white(self, low: float, high: float) -> tuple[float, float]:
        """Return the pixels that are black and white, by the lowest and the highest stored level that count."""
        if self.turned:
            return self.at_zero - high, self.at_zero - low
        return self.at_zero + low, self.at_zero + high


AS_STORED = Held()


class GreyDepth(msgspec.Struct, frozen=True):
    """Stored level v means grey (v - black) · 255 / (white - black), in 8-bit levels.

    Attributes:
        black, white: the two levels; never taken from the frame's own histogram, which would make every exposure
            look alike.
        bits: significant bits of an integer level; None for floating point.
        source: what says so: `dicom`, `ome`, `tiff`, `option`, or `type` (the pixels' type alone).
    """

    black: float
    white: float
    bits: int | None
    source: str

    @staticmethod
    def of_bits(bits: int, source: str) -> "GreyDepth":
        """All levels that so many bits can hold, from 0."""
        return GreyDepth(0.0, float(2**bits - 1), bits, source)


EIGHT_BIT = GreyDepth.of_bits(8, "type")


def bits_unknown(kind: "np.dtype[Any]", highest: int) -> str:
    """Return the objection to levels of a type of which nothing tells how many bits are used."""
    return (
        f"{DEPTH_UNKNOWN}: {8 * kind.itemsize}-bit file with no level above {highest}, "
        "and nothing says how many bits are used; give --grey-range"
    )
