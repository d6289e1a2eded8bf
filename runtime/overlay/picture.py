"""The overlay as a whole: what goes where."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry
from runtime.errors import InflamapError
from runtime.overlay.legend import BACKGROUND, WORDS, colour_bar, lowest_bar, scale_bar
from runtime.overlay.lettering import Style, fit, legible, text_width, wrap, write
from runtime.overlay.tint import mapped_area, outline, tint

# a screen's worth; a mosaic of 256 Mpx is for the map file
LONGEST_SIDE = 2000
# narrower pictures are enlarged: a header needs this much for its words
NARROWEST = 480
# At 90 the speckle survives and a noisy 1000x1000 overlay takes a few ms; as level-1 PNG it takes 73.
JPEG_QUALITY = 90

AMBER, BLACK, FAINT = (0, 191, 255), (16, 16, 16), (165, 165, 165)
USE = "Research use only"
REASON_LINES = 6


@dataclass(frozen=True)
class OverlayText:
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
    height, width = shown.shape
    down, across = height / grey.shape[0], width / grey.shape[1]
    # words grow with the picture, as it will be shown reduced; a flat strip leaves them less room
    unit = min(2.0, max(0.75, min(width, 2 * height) / 1000))
    picture = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
    panel = np.empty((height, 0, 3), np.uint8)
    if expected is not None and geometry is not None:
        frame_px = 1.0 if um_per_px is None else geometry.um_per_px / um_per_px
        rows, columns = expected.shape
        area = mapped_area((rows, columns), geometry, (frame_px * down, frame_px * across))
        tint(picture, expected, len(grades) - 1, area)
        outline(picture, area, max(1, round(unit)))
        panel = colour_bar(grades, max(height, lowest_bar(unit)), unit)

    canvas_width = max(NARROWEST, width + panel.shape[1])
    header = _header(text, canvas_width, unit)
    body = max(height, panel.shape[0])
    canvas = np.full((header.shape[0] + body, canvas_width, 3), BACKGROUND, np.uint8)
    canvas[: header.shape[0]] = header
    canvas[header.shape[0] :, canvas_width - panel.shape[1] :] = panel
    canvas[-height:, :width] = picture
    scale_bar(canvas, width, None if um_per_px is None else um_per_px / across, unit)
    return canvas


def encode_overlay(image: npt.NDArray[np.uint8]) -> bytes:
    """The overlay (uint8 [H, W, 3], BGR) as a JPEG file.

    Raises:
        InflamapError: the image cannot be encoded.
    """
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise InflamapError("overlay cannot be encoded as JPEG", seen=image.shape)
    encoded: bytes = data.tobytes()
    return encoded


def _shown(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The frame at the size it is drawn."""
    height, width = grey.shape
    longest = max(height, width)
    if longest > LONGEST_SIDE:
        size = [max(1, round(side * LONGEST_SIDE / longest)) for side in (width, height)]
        reduced: npt.NDArray[np.uint8] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        return reduced
    factor = min(math.ceil(NARROWEST / width), LONGEST_SIDE // longest)
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
