"""What ImageJ writes into the description of a TIFF: lines of `key=value`."""

import math

from runtime.images.grid import scale_of_grid
from runtime.images.told import Told, against_channels, by_steps, in_um

MOST_CHARACTERS = 1 << 20


def is_imagej(description: str) -> bool:
    """Whether a TIFF's description is ImageJ's."""
    return description.startswith("ImageJ=")


def image_count(description: str) -> int:
    """How many images the file holds; more than pages where they lie behind the first one's."""
    return _whole(_fields(description).get("images"), 1)


def read_imagej(description: str, pages: int, px_per_unit: tuple[float, float] | None) -> Told:
    """What ImageJ tells of a file's images.

    Args:
        description: its lines.
        pages: how many images the file holds.
        px_per_unit: X and Y resolution of the TIFF, any numbers, which ImageJ counts in its own `unit`.
    """
    fields = _fields(description)
    unit = fields.get("unit", "")
    objections: tuple[str, ...] = ()
    scale = None
    sides = [in_um(1 / number if number else math.inf, unit) for number in px_per_unit or ()]
    if len(sides) == 2 and sides[0] is not None and sides[1] is not None:
        scale, objections = scale_of_grid(sides[0], sides[1])
    channels, slices = _whole(fields.get("channels"), 1), _whole(fields.get("slices"), 1)
    # channels change first, then slices, then time
    depths = by_steps(
        in_um(fields.get("spacing"), unit), [page // channels % slices if slices > 1 else None for page in range(pages)]
    )
    objections += depths.objections + against_channels(channels)
    return Told("imagej", scale, None, depths.z_um, objections, depths.notes)


def _fields(description: str) -> dict[str, str]:
    lines = (line.partition("=") for line in description[:MOST_CHARACTERS].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _whole(text: str | None, default: int) -> int:
    return max(1, int(text)) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else default
