"""The overlay as a whole: what goes where."""

import math
from collections.abc import Sequence

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry
from runtime.errors import InflamapError
from runtime.images.scale import LONGEST_SHOWN
from runtime.overlay.legend import BACKGROUND, WORDS, colour_bar, lowest_bar, scale_bar
from runtime.overlay.lettering import Style, fit, legible, text_width, wrap, write
from runtime.overlay.tint import mapped_area, outline, tint

# narrower pictures are enlarged: a header needs this much for its words
NARROWEST = 480
# At 90 the speckle survives and a noisy 1000x1000 overlay takes a few ms; as level-1 PNG it takes 73.
JPEG_QUALITY = 90

AMBER, BLACK, FAINT = (0, 191, 255), (16, 16, 16), (165, 165, 165)
# between the slices of a stack
GAP = 8
USE = "Research use only"
REASON_LINES = 6


class OverlayText(msgspec.Struct, frozen=True):
    """The words on an overlay. What is too long is wrapped, then cut with `…`.

    Attributes:
        title: the result in a word, such as "Inflammation 2.4  (grade 2)" or "Withheld".
        reasons: why the image, or a part of it, was withheld.
        footer: where it comes from: file name, model, engine.
        warning: drawn on an amber plate above all else; None when there is nothing to warn of.
    """

    title: str
    reasons: tuple[str, ...]
    footer: str
    warning: str | None = None


class Slice(msgspec.Struct, frozen=True):
    """One image of a stack, to be drawn.

    Attributes:
        grey: uint8 [H, W].
        expected: float32 [h, w], expected grade, NaN where withheld; None when there is no map.
        z_um: its depth below the surface of the skin, where that is known.
    """

    grey: npt.NDArray[np.uint8]
    expected: npt.NDArray[np.float32] | None
    z_um: float | None = None


def draw_overlay(
    grey: npt.NDArray[np.uint8],
    um_per_px: float | None,
    grades: tuple[str, ...],
    expected: npt.NDArray[np.float32] | None,
    geometry: Geometry | None,
    text: OverlayText,
) -> npt.NDArray[np.uint8]:
    """Draw the map over its frame, with all that is needed to read it.

    The picture is the lower left corner of the overlay. Sides longer than 2000 px are reduced to that; a
    width below 480 px is enlarged by a whole factor, without smoothing. A cell is the stride x stride square
    around its patch's centre, colours run smoothly between cells; withheld cells and the border, which no
    cell speaks for, stay grey.

    Args:
        grey: uint8 [H, W], the frame at its own scale, any size from 1x1.
        um_per_px: sampling of `grey`; None when unknown: the map is then laid out as if it were the model's.
        grades: names of the K grades, lowest first.
        expected: float32 [h, w], expected grade 0 to K - 1, NaN where withheld; None when there is no map.
        geometry: of `expected`; None when there is no map.
        text: the words.

    Returns:
        uint8 [H2, W2, 3], BGR.
    """
    shown = _shown(grey)
    down, across = shown.shape[0] / grey.shape[0], shown.shape[1] / grey.shape[1]
    picture = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
    if expected is None or geometry is None:
        return _put_together(picture, None if um_per_px is None else um_per_px / across, (), text)
    frame_px = 1.0 if um_per_px is None else geometry.um_per_px / um_per_px
    _put_map(picture, expected, len(grades), geometry, (frame_px * down, frame_px * across))
    return _put_together(picture, None if um_per_px is None else um_per_px / across, grades, text)


def draw_slices(
    slices: Sequence[Slice],
    um_per_px: float | None,
    grades: tuple[str, ...],
    geometry: Geometry,
    text: OverlayText,
) -> npt.NDArray[np.uint8]:
    """Draw the slices of a stack side by side, each with its map, its number and its depth, row by row.

    Args:
        slices: all of one size.
        um_per_px: their sampling; None when unknown.
        grades: names of the K grades, lowest first.
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
        if each.expected is not None:
            _put_map(seen, each.expected, len(grades), geometry, (frame_px * down, frame_px * across))
        depth = "" if each.z_um is None else f" · z {each.z_um:g} µm"
        label = f"{number}{depth}" if each.expected is not None else f"{number}{depth} withheld"
        plate = number_style.line_px, min(tile[1], text_width(label, number_style) + number_style.size)
        seen[: plate[0], : plate[1]] = BACKGROUND
        write(seen, label, number_style.size // 2, number_style.size, number_style)
        top, left = number // columns * (tile[0] + GAP), number % columns * (tile[1] + GAP)
        sheet[top : top + tile[0], left : left + tile[1]] = seen
    mapped = grades if any(each.expected is not None for each in slices) else ()
    return _put_together(sheet, None if um_per_px is None else um_per_px / across, mapped, text)


def _put_map(
    picture: npt.NDArray[np.uint8],
    expected: npt.NDArray[np.float32],
    grades: int,
    geometry: Geometry,
    scale: tuple[float, float],
) -> None:
    """Colour the picture by a map; `scale`: its pixels (down, across) for one of the model's."""
    rows, columns = expected.shape
    area = mapped_area((rows, columns), geometry, scale)
    tint(picture, expected, grades - 1, area)
    outline(picture, area, max(1, round(_unit(picture))))


def _unit(picture: npt.NDArray[np.uint8]) -> float:
    """Words grow with the picture, as it will be shown reduced; a flat strip leaves them less room."""
    height, width = picture.shape[:2]
    smaller: int = min(width, 2 * height)
    return min(2.0, max(0.75, smaller / 1000))


def _put_together(
    picture: npt.NDArray[np.uint8], um_per_px: float | None, grades: tuple[str, ...], text: OverlayText
) -> npt.NDArray[np.uint8]:
    """The picture (uint8 [H, W, 3]) with words, scale bar and, where there are grades, their colours."""
    height, width = picture.shape[:2]
    unit = _unit(picture)
    panel = np.empty((height, 0, 3), np.uint8)
    if grades:
        panel = colour_bar(grades, max(height, lowest_bar(unit)), unit)
    canvas_width = max(NARROWEST, width + panel.shape[1])
    header = _header(text, canvas_width, unit)
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


def _header(text: OverlayText, width: int, unit: float) -> npt.NDArray[np.uint8]:
    """The strip above the picture: uint8 [H, width, 3], BGR."""
    pad = round(14 * unit)
    inside = width - 2 * pad
    warning_style = Style(round(20 * unit), 700, BLACK)
    title_style = Style(round(34 * unit), 600, (255, 255, 255))
    reason_style = Style(round(19 * unit), 400, WORDS)
    footer_style = Style(round(16 * unit), 400, FAINT)

    warning = wrap(legible(text.warning or ""), warning_style, inside, 3)
    footer_inside = inside - text_width(USE, footer_style) - 2 * pad
    lines = [
        (fit(legible(text.title), title_style, inside), title_style),
        *((line, reason_style) for line in _reason_lines(text.reasons, reason_style, inside)),
        *((line, footer_style) for line in wrap(legible(text.footer), footer_style, footer_inside, 2)),
    ]
    plate = len(warning) * warning_style.line_px + pad if warning else 0
    height = plate + sum(style.line_px for _, style in lines) + pad
    header = np.full((height, width, 3), BACKGROUND, np.uint8)
    header[:plate] = AMBER
    y = pad // 2
    for line in warning:
        write(header, line, pad, y + warning_style.size, warning_style)
        y += warning_style.line_px
    y = plate + pad // 2
    for line, style in lines:
        write(header, line, pad, y + style.size, style)
        y += style.line_px
    # on the footer's last line
    baseline = y - footer_style.line_px + footer_style.size
    write(header, USE, width - pad - text_width(USE, footer_style), baseline, footer_style)
    return header


def _reason_lines(reasons: tuple[str, ...], style: Style, width: int) -> list[str]:
    """The reasons, two lines each at most; where they are too many, how many more there are."""
    lines: list[str] = []
    for number, reason in enumerate(reasons):
        broken = wrap(legible(reason), style, width, 2)
        left = len(reasons) - number
        if len(lines) + len(broken) + (left > 1) > REASON_LINES:
            return [*lines, f"… and {left} more in score.json"]
        lines += broken
    return lines
