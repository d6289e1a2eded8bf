"""Where a DICOM image was taken: µm per pixel, and how deep in the skin. Attributes as PS3.3 defines them."""

import math
from collections.abc import Sequence
from typing import Any

from runtime.images.dicom_dataset import Dataset
from runtime.images.grid import scale_of_grid

_UM = 1000.0


def scale_um(dataset: Dataset, each: Sequence[Dataset]) -> tuple[float | None, tuple[str, ...]]:
    """µm per pixel, None where nothing tells it, and why it is none that could be used.

    Pixel Spacing (mm, rows before columns) of the functional groups comes first, then that of the image, then the
    field's size over the number of pixels.

    Args:
        dataset: of the image.
        each: functional groups frame by frame, where there are any.
    """
    groups = [*dataset.items("SharedFunctionalGroupsSequence"), *each]
    measures = [item for group in groups for item in group.items("PixelMeasuresSequence")]
    found = {spacing for item in measures if (spacing := _pair(item.get("PixelSpacing"))) is not None}
    if len(found) > 1:
        return None, ("scale: the frames tell different ones",)
    spacing = (
        found.pop()
        if found
        else _pair(dataset.get("PixelSpacing")) or _pair(dataset.get("NominalScannedPixelSpacing")) or _field(dataset)
    )
    if spacing is None:
        return None, ()
    return scale_of_grid(spacing[1] * _UM, spacing[0] * _UM)


def depths_um(dataset: Dataset, each: Sequence[Dataset], frames: int) -> tuple[float | None, ...]:
    """Depth below the surface of the tissue of each frame, in µm.

    Image Acquisition Depth (mm) is of the image; the frames of a stack each tell theirs by Z Offset in Slide
    Coordinate System (µm, from the surface of the window), which is taken for it where it differs among them.

    Args:
        dataset: of the image.
        each: functional groups frame by frame, where there are any.
        frames: how many there are.
    """
    whole = _number(dataset.get("ImageAcquisitionDepth"))
    if frames == 1:
        return (None if whole is None else whole * _UM,)
    offsets: list[float | None] = [None] * frames
    for number, group in enumerate(each):
        for place in group.items("PlanePositionSlideSequence"):
            offsets[number] = _number(place.get("ZOffsetInSlideCoordinateSystem"))
    if len(set(offsets)) == 1:
        return (None,) * frames
    return tuple(None if offset is None else abs(offset) for offset in offsets)


def _field(dataset: Dataset) -> tuple[float, float] | None:
    """(rows, columns) mm per pixel by the imaged field."""
    sizes = [_number(dataset.get(f"ImagedVolume{side}")) for side in ("Height", "Width")]
    pixels = [_number(dataset.get(f"TotalPixelMatrix{side}") or dataset.get(side)) for side in ("Rows", "Columns")]
    if None in sizes or None in pixels:
        return None
    return _pair([size / number for size, number in zip(sizes, pixels, strict=True) if size and number])


def _pair(value: Any) -> tuple[float, float] | None:
    """Two positive numbers; None for anything else."""
    try:
        rows, columns = (float(part) for part in value)
    except (TypeError, ValueError):
        return None
    return (rows, columns) if all(math.isfinite(part) and part > 0 for part in (rows, columns)) else None


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None
