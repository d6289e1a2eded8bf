"""What the words in a TIFF tell of its images: scale, depth of grey, depth in the skin."""

import math

import msgspec

# the standard's and what people write; of a length in this unit how many µm
_UM = {
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "\\u00B5m": 1.0,
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "in": 25_400.0,
    "inch": 25_400.0,
}


class Told(msgspec.Struct, frozen=True):
    """What one of a file's descriptions tells; the fields are `Decoded`'s of the same name.

    Attributes:
        source: `ome`, `imagej` or `tiff`.
        bits: significant bits of a grey level.
    """

    source: str
    um_per_px: float | None = None
    bits: int | None = None
    z_um: tuple[float | None, ...] = ()
    objections: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


STEP_ALONE = "depth counted from the stack's first slice: the file tells the step from one to the next alone"


def in_um(length: object, unit: str) -> float | None:
    """A length in µm; None where it is no positive number, or the unit is none of length."""
    try:
        found = float(str(length)) * _UM[unit.strip()]
    except (KeyError, ValueError):
        return None
    return found if math.isfinite(found) and found > 0 else None


def by_steps(step_um: float | None, slices: list[int | None]) -> tuple[tuple[float | None, ...], tuple[str, ...]]:
    """Depth of each plane by its place in a stack and the step between slices, and the note that this needs."""
    if step_um is None or len({number for number in slices if number is not None}) < 2:
        return (None,) * len(slices), ()
    return tuple(None if number is None else number * step_um for number in slices), (STEP_ALONE,)


def against_channels(number: int) -> tuple[str, ...]:
    """What is to be said of an image of several channels; nothing of one."""
    return (f"channels: {number}, and nothing says which one is the skin's reflectance",) if number > 1 else ()
