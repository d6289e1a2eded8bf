"""What tells a reader of the overlay how to read it: colour bar and scale bar."""

import math
import re
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from runtime.overlay.lettering import Style, legible, text_width, wrap, write
from runtime.overlay.tint import COLOUR_MAP, blend

# a grey level, not a colour: np.full of a tuple takes a hundred times as long
BACKGROUND = 26
WORDS = (235, 235, 235)
TITLE, KEY = "expected grade", "not scored"


def lowest_bar(unit: float) -> int:
    """The smallest height in pixels in which a colour bar can be read."""
    return round(200 * unit)


# the images of a folder share one bar, and its words cost as much as all the others
@lru_cache(maxsize=8)
def colour_bar(grades: tuple[str, ...], height: int, unit: float) -> npt.NDArray[np.uint8]:
    """The panel right of the picture: each grade's name beside its colour.

    A colour is shown as it looks over tissue, from dark tissue at the bar's left to bright at its right.

    Args:
        grades: names of the grades, lowest first; two or more.
        height: of the panel in pixels, at least `lowest_bar(unit)`.
        unit: pixels of one design pixel.

    Returns:
        uint8 [height, W, 3], BGR, read-only.
    """
    pad, thick, tick = round(14 * unit), round(30 * unit), round(7 * unit)
    style = Style(round(17 * unit), 400, WORDS)
    top, bottom = pad + round(2 * style.line_px), height - pad - round(2.2 * style.line_px)
    highest = len(grades) - 1
    gap = (bottom - top) / highest
    # where there is no room for every name, some are left out, never the first or the last
    every = math.ceil(style.line_px / gap)
    lines_each = min(3, max(1, int(gap / style.line_px)))
    labels = {
        grade: wrap(_label(grade, grades[grade]), style, round(230 * unit), lines_each)
        for grade in (*range(0, highest + 1 - every, every), highest)
    }
    words_left = pad + thick + 2 * tick
    words_width = max(text_width(line, style) for lines in ([KEY], *labels.values()) for line in lines)
    width = max(words_left + words_width, pad + text_width(TITLE, style)) + pad

    panel = np.full((height, width, 3), BACKGROUND, np.uint8)
    write(panel, TITLE, pad, pad + style.size, style)
    levels = np.linspace(255, 0, bottom - top + 1).round().astype(np.uint8)
    colours = cv2.applyColorMap(np.repeat(levels[:, None], thick, axis=1), COLOUR_MAP)
    tissue = np.linspace(20, 200, thick).round().astype(np.uint8)[None, :, None]
    greys = np.ascontiguousarray(np.broadcast_to(tissue, colours.shape))
    panel[top : bottom + 1, pad : pad + thick] = blend(colours, greys)
    for grade, lines in labels.items():
        y = round(bottom - grade * gap)
        cv2.line(panel, (pad + thick, y), (pad + thick + tick, y), WORDS, max(1, round(unit)))
        first = y + round(0.36 * style.size) - (len(lines) - 1) * style.line_px // 2
        for number, line in enumerate(lines):
            write(panel, line, words_left, first + number * style.line_px, style)

    swatch = np.s_[height - pad - style.size : height - pad, pad : pad + thick]
    panel[swatch] = greys[: style.size]
    write(panel, KEY, words_left, height - pad - round(0.14 * style.size), style)
    panel.setflags(write=False)
    return panel


def scale_bar(canvas: npt.NDArray[np.uint8], picture_width: int, um_per_px: float | None, unit: float) -> None:
    """Draw the scale bar over a dark plate in the lower left corner of `canvas` (uint8 [H, W, 3], BGR).

    Args:
        canvas: drawn into; its lower left corner is the picture's.
        picture_width: in pixels; the bar is about a fifth of it.
        um_per_px: of the canvas; None says "scale unknown" in the bar's place.
        unit: pixels of one design pixel.
    """
    style = Style(round(17 * unit), 500, WORDS)
    margin, pad, thick = round(14 * unit), round(9 * unit), round(5 * unit)
    length, words = 0, "scale unknown"
    if um_per_px is not None:
        micrometres = round_length(picture_width * um_per_px / 5)
        length, words = max(1, round(micrometres / um_per_px)), f"{micrometres:g} µm"
    words_width = text_width(words, style)
    inner = max(length, words_width)

    bottom = canvas.shape[0] - margin
    plate_top = bottom - 2 * pad - style.size - (thick + pad if length else 0)
    canvas[plate_top:bottom, margin : margin + inner + 2 * pad] = BACKGROUND
    left = margin + pad + (inner - words_width) // 2
    write(canvas, words, left, plate_top + pad + round(0.86 * style.size), style)
    if length:
        left = margin + pad + (inner - length) // 2
        canvas[bottom - pad - thick : bottom - pad, left : left + length] = 255


def round_length(wanted: float) -> float:
    """The length of the form 1, 2 or 5 times a power of ten that is nearest to `wanted` by ratio."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return min((step * power for step in (1, 2, 5, 10)), key=lambda length: abs(math.log(length / wanted)))


def _label(grade: int, name: str) -> str:
    """The name, led by its number: the title's mean is a number, and must be found on the bar."""
    shown = legible(name)
    return shown if re.match(rf"{grade}(?!\d)", shown) else f"{grade}  {shown}".rstrip()
