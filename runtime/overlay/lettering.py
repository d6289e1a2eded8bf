"""Words that fit: measuring, cutting, wrapping and writing text with OpenCV's built-in font."""

from bisect import bisect_right
from functools import cache
from typing import Any

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

# names of files can be thousands of characters; no line shows more than this
LONGEST_TEXT = 1000


class Style(msgspec.Struct, frozen=True):
    """How a line looks: `size` in pixels (height above the baseline), `weight` 100 to 900, `colour` BGR."""

    size: int
    weight: int
    colour: tuple[int, int, int]

    @property
    def line_px(self) -> int:
        """Distance from one baseline to the next."""
        return round(self.size * 1.35)


def prepare_lettering() -> None:
    """Unpack the font; whatever comes first would wait for it else."""
    text_width(" ", Style(20, 400, (0, 0, 0)))


def legible(text: str) -> str:
    """The text as it can be drawn: one line, no control characters, no lone surrogates.

    OpenCV 5.0 ends the process (segmentation fault) when handed a lone surrogate, which is what Python makes
    of every byte of a file name that is not UTF-8.
    """
    return "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_TEXT]).strip()


def text_width(text: str, style: Style) -> int:
    """Width in pixels of `text` on one line."""
    left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _face(), style.size, style.weight)
    return int(left + width)


def fit(text: str, style: Style, width: int) -> str:
    """The text, or as much of its beginning as fits `width` pixels together with `…`."""
    if text_width(text, style) <= width:
        return text
    return text[: _fitting(text, style, width, "…")].rstrip() + "…"


def shorten(text: str, style: Style, width: int) -> str:
    """The text, or as much of its beginning and its end as fits `width` pixels with `…` between them."""
    if text_width(text, style) <= width:
        return text

    def cut(kept: int) -> str:
        return f"{text[: (kept + 1) // 2].rstrip()}…{text[len(text) - kept // 2 :].lstrip()}"

    lengths = range(len(text))
    return cut(max(0, bisect_right(lengths, width, key=lambda kept: text_width(cut(kept), style)) - 1))


def wrap(text: str, style: Style, width: int, lines: int) -> list[str]:
    """The text in at most `lines` lines of `width` pixels, broken between words where there are any; the last
    one is cut with `…`."""
    broken: list[str] = []
    rest = text
    while len(broken) < lines - 1 and text_width(rest, style) > width:
        end = _fitting(rest, style, width)
        space = rest.rfind(" ", 0, end + 1)
        end = space if space > 0 else max(end, 1)
        broken.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*broken, fit(rest, style, width)] if rest else broken


def write(image: npt.NDArray[np.uint8], text: str, left: int, baseline: int, style: Style) -> None:
    """Draw one line into `image` (uint8 [H, W, 3], BGR), from column `left`, standing on row `baseline`."""
    cv2.putText(image, text, (left, baseline), style.colour, _face(), style.size, style.weight)


def _fitting(text: str, style: Style, width: int, end: str = "") -> int:
    """How many characters of the beginning fit, `end` after them."""
    lengths = range(len(text) + 1)
    return max(0, bisect_right(lengths, width, key=lambda n: text_width(text[:n] + end, style)) - 1)


@cache
def _face() -> Any:
    return cv2.FontFace("sans")
