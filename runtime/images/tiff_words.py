"""What a TIFF tells of its images beside their pixels, by its descriptions and its tags."""

import math
from typing import Any

from runtime.images.grid import scale_of_grid
from runtime.images.imagej import is_imagej, read_imagej
from runtime.images.ome import is_ome, read_ome
from runtime.images.plausible import to_number
from runtime.images.told import Told

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _MAX_SAMPLE_VALUE = 282, 283, 296, 281
# µm of the units inch and centimetre; the third, none, tells nothing
_UNITS = {2: 25_400.0, 3: 10_000.0}
# coarser is a resolution for printing: 72 dpi are 353 µm/px, 300 are 85, and a microscope's pixel is below a cell
_COARSEST_UM = 10.0
# no printer's, nor what stands for none: a pixel of an inch
_COARSEST_PRINT_UM = 25_400.0


def told_by(page: Any, pages: int) -> Told:
    """What the file tells, by OME-XML, else by ImageJ, else by TIFF's own tags.

    Args:
        page: tifffile's first page.
        pages: how many images the file holds.

    Raises:
        NeverAnImage: OME-XML that is damaged or hostile.
    """
    description = page.description
    resolution = _resolution(page)
    if is_ome(description):
        return read_ome(description, pages)
    if is_imagej(description):
        return read_imagej(description, pages, resolution)
    scale, objections = _scale(resolution, page.tags.valueof(_RESOLUTION_UNIT, default=2))
    return Told("tiff", scale, _bits(page.tags.valueof(_MAX_SAMPLE_VALUE)), (), objections)


def _resolution(page: Any) -> tuple[float, float] | None:
    """Pixels a unit, across and down, any numbers; None where the file tells none."""
    across, down = (page.tags.valueof(tag) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
    return None if across is None or down is None else (_ratio(across), _ratio(down))


def _ratio(told: Any) -> float:
    """The number of a rational, NaN where it is none."""
    if not isinstance(told, tuple):
        return to_number(told)
    if len(told) != 2:
        return math.nan
    numerator, denominator = map(to_number, told)
    return numerator / denominator if denominator else math.nan


def _scale(resolution: tuple[float, float] | None, unit: Any) -> tuple[float | None, tuple[str, ...]]:
    length = _UNITS.get(int(unit)) if isinstance(unit, int) else None
    if resolution is None or length is None:
        return None, ()
    across, down = (length / number if number else math.inf for number in resolution)
    if _COARSEST_UM < max(across, down) <= _COARSEST_PRINT_UM and min(across, down) > 0:
        return None, ()
    return scale_of_grid(across, down)


def _bits(highest: Any) -> int | None:
    """Bits that MaxSampleValue tells: all levels that so many hold, from 8 bits on; other values are a histogram's."""
    values = set(highest) if isinstance(highest, tuple) else {highest}
    highest = values.pop() if len(values) == 1 else None
    if not isinstance(highest, int) or highest < 255 or (highest + 1) & highest:
        return None
    return int(math.log2(highest + 1))
