"""The strip above the picture: warning, where the image comes from, result, reasons, file and model."""

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.overlay.legend import BACKGROUND, WORDS
from runtime.overlay.lettering import Style, fit, legible, shorten, text_width, wrap, write

AMBER, BLACK, FAINT, WHITE = (0, 191, 255), (16, 16, 16), (165, 165, 165), (255, 255, 255)
USE = "Research use only"
REASON_LINES = 6
PLACE_LINES = 3
# deeper paths lose folders from their middle: patients stand near the beginning, sites near the end
MOST_FOLDERS = 12
_BETWEEN_FOLDERS, _LEFT_OUT = " / ", "…"


class OverlayText(msgspec.Struct, frozen=True):
    """The words on an overlay. Words that do not fit are wrapped, then shortened with `…`.

    Attributes:
        title: the result in a few words, such as "Inflammation 2.4 · grade mild" or "Withheld".
        reasons: why the image, or a part of it, was withheld.
        footer: file name, model, engine.
        warning: drawn on an amber plate above everything else; None where there is none.
        folders: names of the folders that hold the image, the outermost first.
        taken: when the image was taken, drawn after the folders; may be empty.
    """

    title: str
    reasons: tuple[str, ...]
    footer: str
    warning: str | None = None
    folders: tuple[str, ...] = ()
    taken: str = ""


def draw_header(text: OverlayText, width: int, unit: float) -> npt.NDArray[np.uint8]:
    """Draw the strip: uint8 [H, width, 3], BGR. `unit`: pixels of one design pixel."""
    pad = round(14 * unit)
    inside = width - 2 * pad
    warning_style = Style(round(20 * unit), 700, BLACK)
    place_style = Style(round(22 * unit), 600, WORDS)
    title_style = Style(round(34 * unit), 600, WHITE)
    reason_style = Style(round(19 * unit), 400, WORDS)
    footer_style = Style(round(16 * unit), 400, FAINT)

    warning = wrap(legible(text.warning or ""), warning_style, inside, 3)
    footer_inside = inside - text_width(USE, footer_style) - 2 * pad
    lines = [
        *((line, place_style) for line in place_lines(text.folders, text.taken, place_style, inside)),
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


def place_lines(folders: tuple[str, ...], taken: str, style: Style, width: int) -> list[str]:
    """The folders from the outermost on, then the date, in as few lines as hold them.

    Where they need more than `PLACE_LINES` lines, first each long name loses its middle, then folders are left out from
    the middle of the path: beginning and end, of names and of the path, tell patient and site.

    Args:
        folders: names of any length.
        taken: never shortened.
        style: of the lines.
        width: of a line in pixels.
    """
    names = [name for name in map(legible, folders) if name]
    if len(names) > MOST_FOLDERS:
        half = MOST_FOLDERS // 2
        names = [*names[:half], _LEFT_OUT, *names[-half:]]
    room = width - text_width(_BETWEEN_FOLDERS.rstrip(), style)
    for share in (1, 0.5, 0.3):
        shown = [shorten(name, style, round(room * share)) for name in names]
        lines = _in_lines(shown, taken, style, width)
        if len(lines) <= PLACE_LINES:
            return lines
    while len(lines) > PLACE_LINES and len(shown) > 3:
        middle = len(shown) // 2
        shown = [*shown[: middle - 1], _LEFT_OUT, *shown[middle + 1 :]]
        lines = _in_lines(shown, taken, style, width)
    return lines


def _in_lines(names: list[str], taken: str, style: Style, width: int) -> list[str]:
    lines: list[str] = []
    for number, name in enumerate(names):
        last = number == len(names) - 1
        joined = f"{lines[-1]}{_BETWEEN_FOLDERS}{name}" if lines else name
        if text_width(joined if last else joined + _BETWEEN_FOLDERS.rstrip(), style) <= width or not lines:
            lines[-1:] = [joined]
        else:
            lines[-1] += _BETWEEN_FOLDERS.rstrip()
            lines.append(name)
    if taken:
        joined = f"{lines[-1]}   {taken}" if lines else taken
        if lines and text_width(joined, style) > width:
            lines.append(taken)
        else:
            lines[-1:] = [joined]
    return lines


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
