"""Where a DICOM image was taken: µm per pixel, and how deep in the skin. Attributes as PS3.3 defines them."""

import math
from collections.abc import Sequence

from runtime.images.dicom_dataset import Dataset
from runtime.images.grid import scale_of_grid
from runtime.images.plausible import depth_um
from runtime.images.told import Depths

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
    found = {spacing for item in measures if (spacing := _spacing(item, "PixelSpacing")) is not None}
    if len(found) > 1:
        return None, ("scale: the frames tell different ones",)
    spacing = (
        found.pop()
        if found
        else _spacing(dataset, "PixelSpacing") or _spacing(dataset, "NominalScannedPixelSpacing") or _field(dataset)
    )
    if spacing is None:
        return None, ()
    return scale_of_grid(spacing[1] * _UM, spacing[0] * _UM)


def depths_um(dataset: Dataset, each: Sequence[Dataset], frames: int) -> Depths:
    """Depth below the surface of the tissue of each frame, in µm.

    Image Acquisition Depth (mm) is of the image; the frames of a stack each tell theirs by Z Offset in Slide
    Coordinate System (µm, from the surface of the window), which is taken for it where it differs among them.

    Args:
        dataset: of the image.
        each: functional groups frame by frame, where there are any.
        frames: how many there are.
    """
    if frames == 1:
        whole = dataset.number("ImageAcquisitionDepth")
        return _plausible([None if whole is None else whole * _UM])
    offsets: list[float | None] = [None] * frames
    for number, group in enumerate(each):
        for place in group.items("PlanePositionSlideSequence"):
            offsets[number] = place.number("ZOffsetInSlideCoordinateSystem")
    if len(set(offsets)) == 1:
        return Depths((None,) * frames)
    return _plausible([None if offset is None else abs(offset) for offset in offsets])


def _plausible(told_um: Sequence[float | None]) -> Depths:
    found = [(None, ()) if told is None else depth_um(told) for told in told_um]
    # one is enough
    objections = [objection for _, objected in found for objection in objected][:1]
    return Depths(tuple(z_um for z_um, _ in found), tuple(objections))


def _field(dataset: Dataset) -> tuple[float, float] | None:
    """(rows, columns) mm per pixel by the imaged field."""
    sizes = [dataset.number(f"ImagedVolume{side}") for side in ("Height", "Width")]
    pixels = [dataset.number(f"TotalPixelMatrix{side}") or dataset.number(side) for side in ("Rows", "Columns")]
    rows, columns = (size / number if size and number else size for size, number in zip(sizes, pixels, strict=True))
    return None if rows is None or columns is None else (rows, columns)


def _spacing(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    """(rows, columns) in mm as they are told, any numbers; None where they are not."""
    numbers = dataset.numbers(keyword)
    if not numbers:
        return None
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (math.nan, math.nan)
