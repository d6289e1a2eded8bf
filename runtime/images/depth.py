"""Depth of grey: which stored levels are black and white."""

import msgspec


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
