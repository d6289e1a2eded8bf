"""What the words in a TIFF tell of its images: scale, depth of grey, depth in the skin."""

import msgspec

from runtime.images.plausible import STEP_UM, to_number

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
        bits: significant bits of a grey level, as they are told: any number.
    """

    source: str
    um_per_px: float | None = None
    bits: float | None = None
    z_um: tuple[float | None, ...] = ()
    objections: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Depths(msgspec.Struct, frozen=True):
    """Depth of each plane in µm, None where it is not told; with what is to be said of it."""

    z_um: tuple[float | None, ...]
    objections: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


STEP_ALONE = "depth counted from the stack's first slice: the file tells the step from one to the next alone"


def in_um(length: object, unit: str) -> float | None:
    """A length in µm as it is told, any number; None where none is told, or the unit is none of length."""
    factor = _UM.get(unit.strip())
    return None if length is None or factor is None else to_number(length) * factor


def by_steps(step_um: float | None, slices: list[int | None]) -> "Depths":
    """Depth of each plane by its place in a stack and the step between slices, and the note that this needs.

    Args:
        step_um: as it is told, any number; None where it is not.
        slices: of each plane the number of its slice, None where it is not told.
    """
    if step_um is None or len({number for number in slices if number is not None}) < 2:
        return Depths((None,) * len(slices))
    if not STEP_UM.holds(step_um):
        return Depths((None,) * len(slices), (STEP_UM.objection("depth", step_um, of="a step from slice to slice"),))
    return Depths(tuple(None if number is None else number * step_um for number in slices), (), (STEP_ALONE,))


def against_channels(number: int) -> tuple[str, ...]:
    """What is to be said of an image of several channels; nothing of one."""
    return (f"channels: {number}, and nothing says which one is the skin's reflectance",) if number > 1 else ()
