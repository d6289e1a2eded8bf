"""The overlay as a whole: what goes where."""

import math
from collections.abc import Sequence

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry
from runtime.errors import InflamapError
from runtime.grading import Grading
from runtime.images.scale import LONGEST_SHOWN
from runtime.overlay.header import OverlayText, draw_header
from runtime.overlay.legend import BACKGROUND, class_list, colour_bar, lowest_bar, scale_bar
from runtime.overlay.lettering import Style, text_width, write
from runtime.overlay.tint import mapped_area, outline, tint, tint_classes

# narrower pictures are enlarged: a header needs this much for its words
NARROWEST = 480
# At 90 the speckle survives and a noisy 1000x1000 overlay takes a few ms; as level-1 PNG it takes 73.
JPEG_QUALITY = 90

# between the slices of a stack
GAP = 8
Values = npt.NDArray[np.float32]


class Slice(msgspec.Struct, frozen=True):
    """One image of a stack, to be drawn.

    Attributes:
        grey: uint8 [H, W].
        values: float32 [h, w], see `Grading.cell_values`, NaN where withheld; None when there is no map.
        z_um: its depth below the surface of the skin, where that is known.
    """

    grey: npt.NDArray[np.uint8]
    values: Values | None
    z_um: float | None = None


def draw_overlay(
    grey: npt.NDArray[np.uint8],
    um_per_px: float | None,
    grading: Grading,
    values: Values | None,
    geometry: Geometry | None,
    text: OverlayText,
) -> npt.NDArray[np.uint8]:
    """Draw the map over its frame, with all that is needed to read it.

    The picture is the lower left corner of the overlay. Sides longer than 2000 px are reduced to that; a
    width below 480 px is enlarged by a whole factor, without smoothing. A cell is the stride x stride square
    around its patch's centre, colours of ordered grades run smoothly between cells; withheld cells and the border,
    which no cell speaks for, stay grey.

    Args:
        grey: uint8 [H, W], the frame at its own scale, any size from 1x1.
        um_per_px: sampling of `grey`; None when unknown: the map is then laid out as if it were the model's.
        grading: how the grades are read.
        values: float32 [h, w], see `Grading.cell_values`, NaN where withheld; None when there is no map.
        geometry: of `values`; None when there is no map.
        text: the words.

    Returns:
        uint8 [H2, W2, 3], BGR.
    """
    shown = _shown(grey)
    down, across = shown.shape[0] / grey.shape[0], shown.shape[1] / grey.shape[1]
    picture = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
    shown_um = None if um_per_px is None else um_per_px / across
    if values is None or geometry is None:
        return _put_together(picture, shown_um, grading, (), text)
    frame_px = 1.0 if um_per_px is None else geometry.um_per_px / um_per_px
    _put_map(picture, values, grading, geometry, (frame_px * down, frame_px * across))
    return _put_together(picture, shown_um, grading, (values,), text)


def draw_slices(
    slices: Sequence[Slice],
    um_per_px: float | None,
    grading: Grading,
    geometry: Geometry,
    text: OverlayText,
) -> npt.NDArray[np.uint8]:
    """Draw the slices of a stack side by side, each with its map, its number from 1 and its depth, row by row.

    Args:
        slices: all of one size.
        um_per_px: their sampling; None when unknown.
        grading: how the grades are read.
        geometry: of the maps.
        text: the words above.

    Returns:
        uint8 [H, W, 3], BGR, with sides of about 2000 px at most.
    """
    height, width = slices[0].grey.shape
    columns = min(len(slices), max(1, math.ceil(math.sqrt(len(slices) * height / width))))
    rows = math.ceil(len(slices) / columns)
    factor = min(1.0, LONGEST_SHOWN / max(columns * (width + GAP), rows * (height + GAP)))
    tile = max(1, round(height * factor)), max(1, round(width * factor))
    down, across = tile[0] / height, tile[1] / width
    sheet = np.full((rows * (tile[0] + GAP) - GAP, columns * (tile[1] + GAP) - GAP, 3), BACKGROUND, np.uint8)
    frame_px = 1.0 if um_per_px is None else geometry.um_per_px / um_per_px
    number_style = Style(max(10, round(0.06 * tile[0])), 600, (255, 255, 255))
    for number, each in enumerate(slices):
        shown = cv2.resize(each.grey, tile[::-1], interpolation=cv2.INTER_AREA)
        seen = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
        if each.values is not None:
            _put_map(seen, each.values, grading, geometry, (frame_px * down, frame_px * across))
        depth = "" if each.z_um is None else f" · z {each.z_um:g} µm"
        label = f"{number + 1}{depth}{' withheld' if each.values is None else ''}"
        plate = number_style.line_px, min(tile[1], text_width(label, number_style) + number_style.size)
        seen[: plate[0], : plate[1]] = BACKGROUND
        write(seen, label, number_style.size // 2, number_style.size, number_style)
        top, left = number // columns * (tile[0] + GAP), number % columns * (tile[1] + GAP)
        sheet[top : top + tile[0], left : left + tile[1]] = seen
    maps = [each.values for each in slices if each.values is not None]
    return _put_together(sheet, None if um_per_px is None else um_per_px / across, grading, maps, text)


def _put_map(
    picture: npt.NDArray[np.uint8],
    values: Values,
    grading: Grading,
    geometry: Geometry,
    scale: tuple[float, float],
) -> None:
    """Colour the picture by a map; `scale`: its pixels (down, across) for one of the model's."""
    rows, columns = values.shape
    area = mapped_area((rows, columns), geometry, scale)
    if grading.ordered:
        tint(picture, values - np.float32(grading.lowest), len(grading.names) - 1, area)
    else:
        tint_classes(picture, values, area)
    outline(picture, area, max(1, round(_unit(picture))))


def _unit(picture: npt.NDArray[np.uint8]) -> float:
    """Words grow with the picture, as it will be shown reduced; a flat strip leaves them less room."""
    height, width = picture.shape[:2]
    smaller: int = min(width, 2 * height)
    return min(2.0, max(0.75, smaller / 1000))


def _put_together(
    picture: npt.NDArray[np.uint8],
    um_per_px: float | None,
    grading: Grading,
    maps: Sequence[Values],
    text: OverlayText,
) -> npt.NDArray[np.uint8]:
    """The picture (uint8 [H, W, 3]) with words, scale bar and, where there are maps, what their colours mean."""
    height, width = picture.shape[:2]
    unit = _unit(picture)
    panel = _legend(grading, maps, height, unit) if maps else np.empty((height, 0, 3), np.uint8)
    canvas_width = max(NARROWEST, width + panel.shape[1])
    header = draw_header(text, canvas_width, unit)
    body = max(height, panel.shape[0])
    canvas = np.empty((header.shape[0] + body, canvas_width, 3), np.uint8)
    canvas[: header.shape[0]] = header
    # only what nothing else covers: to fill a picture first costs as much as to draw it
    canvas[header.shape[0] : -height] = BACKGROUND
    canvas[header.shape[0] :, width:] = BACKGROUND
    canvas[header.shape[0] :, canvas_width - panel.shape[1] :] = panel
    canvas[-height:, :width] = picture
    scale_bar(canvas, width, um_per_px, unit)
    return canvas


def _legend(grading: Grading, maps: Sequence[Values], height: int, unit: float) -> npt.NDArray[np.uint8]:
    if grading.ordered:
        return colour_bar(grading.names, max(height, lowest_bar(unit)), unit)
    cells = np.concatenate([values[~np.isnan(values)] for values in maps]).astype(np.intp)
    counts = np.bincount(cells)
    areas = {int(index): float(counts[index] / cells.size) for index in np.flatnonzero(counts)}
    return class_list(grading.names, areas, height, unit)


def encode_jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    """A picture (uint8 [H, W, 3], BGR, or [H, W], grey) as a JPEG file.

    Raises:
        InflamapError: the image cannot be encoded.
    """
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise InflamapError("a picture cannot be encoded as JPEG", seen=image.shape)
    encoded: bytes = data.tobytes()
    return encoded


def _shown(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The frame at the size it is drawn."""
    height, width = grey.shape
    longest = max(height, width)
    if longest > LONGEST_SHOWN:
        size = [max(1, round(side * LONGEST_SHOWN / longest)) for side in (width, height)]
        reduced: npt.NDArray[np.uint8] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        return reduced
    factor = min(math.ceil(NARROWEST / width), LONGEST_SHOWN // longest)
    return grey.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else np.ascontiguousarray(grey)
