"""The key of the overlay: colour bar or list of classes, and scale bar."""

import math
import re
from collections.abc import Mapping
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from runtime.grade_names import lowest_grade
from runtime.overlay.lettering import Style, fit, legible, text_width, wrap, write
from runtime.overlay.palette import class_colour
from runtime.overlay.tint import COLOUR_MAP, blend
from runtime.result import share_in_words

# a grey level, not a colour: np.full of a tuple takes a hundred times as long
BACKGROUND = 26
WORDS = (235, 235, 235)
TITLE, KEY = "expected grade", "not scored"
CLASSES_TITLE = "share of the area"
# classes beyond these, those with the least area, are counted in one line
MOST_CLASSES = 24
LABEL_PX = 230


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
    highest, lowest = len(grades) - 1, lowest_grade(grades)
    gap = (bottom - top) / highest
    # where there is no room for every name, some are left out, never the first or the last
    every = math.ceil(style.line_px / gap)
    lines_each = min(3, max(1, int(gap / style.line_px)))
    labels = {
        grade: wrap(_label(lowest + grade, grades[grade]), style, round(LABEL_PX * unit), lines_each)
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

    _write_key(panel, words_left, thick, pad, style)
    panel.setflags(write=False)
    return panel


def class_list(
    names: tuple[str, ...], areas: Mapping[int, float], least_height: int, unit: float
) -> npt.NDArray[np.uint8]:
    """Draw the panel right of the picture for classes without an order: colour, name and area of each on the map.

    Args:
        names: of all classes.
        areas: share of the scored cells by index of each class that has any; at least one.
        least_height: of the panel in pixels.
        unit: pixels of one design pixel.

    Returns:
        uint8 [H, W, 3], BGR, H at least `least_height`.
    """
    pad, thick, gap = round(14 * unit), round(30 * unit), round(7 * unit)
    style = Style(round(17 * unit), 400, WORDS)
    shown = sorted(sorted(areas, key=areas.__getitem__, reverse=True)[:MOST_CLASSES])
    room = round(LABEL_PX * unit)
    shares = {index: share_in_words(areas[index]) for index in shown}
    entries = [(index, [*wrap(legible(names[index]), style, room, 2), shares[index]]) for index in shown]
    if sum(len(lines) for _, lines in entries) * style.line_px + (len(entries) + 6) * style.line_px > least_height:
        # one line each
        room -= max(text_width(f"  {share}", style) for share in shares.values())
        entries = [(index, [f"{fit(legible(names[index]), style, room)}  {shares[index]}"]) for index in shown]
    more = [f"and {len(areas) - len(shown)} more classes"] if len(areas) > len(shown) else []
    words_left = pad + thick + 2 * gap
    words = [KEY, *more, *(line for _, lines in entries for line in lines)]
    width = (
        max(words_left + max(text_width(line, style) for line in words), pad + text_width(CLASSES_TITLE, style)) + pad
    )
    rows = 2 + len(more) + sum(len(lines) for _, lines in entries)
    height = max(least_height, 2 * pad + rows * style.line_px + (len(entries) + 2) * gap)

    panel = np.full((height, width, 3), BACKGROUND, np.uint8)
    write(panel, CLASSES_TITLE, pad, pad + style.size, style)
    tissue = np.linspace(20, 200, thick).round().astype(np.uint8)[None, :, None]
    top = pad + style.line_px + gap
    for index, lines in entries:
        swatch = panel[top : top + len(lines) * style.line_px - gap // 2, pad : pad + thick]
        colours = np.full(swatch.shape, class_colour(index)[::-1], np.uint8)
        swatch[:] = blend(colours, np.ascontiguousarray(np.broadcast_to(tissue, swatch.shape)))
        for line in lines:
            write(panel, line, words_left, top + style.size, style)
            top += style.line_px
        top += gap
    for line in more:
        write(panel, line, pad, top + style.size, style)
    _write_key(panel, words_left, thick, pad, style)
    return panel


def _write_key(panel: npt.NDArray[np.uint8], words_left: int, thick: int, pad: int, style: Style) -> None:
    """Show at the bottom of a panel that cells without colour are not scored."""
    bottom = panel.shape[0] - pad
    panel[bottom - style.size : bottom, pad : pad + thick] = np.linspace(20, 200, thick).round()[None, :, None]
    write(panel, KEY, words_left, bottom - round(0.14 * style.size), style)


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
