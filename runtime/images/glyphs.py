"""Lines of text in an even strip, cut into glyphs."""

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

# columns and rows that a glyph's grey levels are brought to
GRID = (12, 18)
# text is this much brighter or darker than its ground, in grey levels
_LEAST_CONTRAST = 50
# of the text's contrast: ink from the first on; anything from the second on that touches no ink is dirt or a thin
# stroke that was lost, and makes its place unreadable
_INK, _TRACE = 0.5, 0.3
# capitals are at least so high, in px: below that their strokes run together; marks smaller than this share of it are
# points and strokes
_LOWEST_PX = 9
# the rows of a caption hold some sixty characters; grain holds thousands of marks
_MOST_MARKS = 200
_SMALL = 0.36


class Glyph(msgspec.Struct, frozen=True):
    """One mark of a line.

    Attributes:
        char: what it is where its shape alone tells: `.`, `,`, `-`, `:`, `=`, or `?` where it cannot be read; empty for
            those to be looked up.
        grid: float32 [rows · columns of `GRID`], its grey levels, 0 ground and 1 ink.
        shape: float32 [3]: width, height, and how high its middle stands above the line, in cap heights.
        gap: ground before it, in cap heights; 0 before the first.
    """

    char: str
    grid: npt.NDArray[np.float32]
    shape: npt.NDArray[np.float32]
    gap: float


class _Box(msgspec.Struct):
    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


def find_lines(strip: npt.NDArray[np.uint8]) -> list[list[Glyph]]:
    """The lines of a strip from the top, each glyph by glyph from the left.

    Args:
        strip: uint8 [H, W], text of one brightness on an even ground.
    """
    ground = float(np.median(strip))
    contrast = np.abs(strip.astype(np.float32) - ground)
    full = float(np.quantile(contrast, 0.998))
    if full < _LEAST_CONTRAST:
        return []
    ink = np.minimum(contrast / full, 1.0)
    boxes = _boxes(ink >= _INK)
    if len(boxes) > _MOST_MARKS:
        return []
    traces = [box for box in _boxes(ink >= _TRACE) if ink[box.top : box.bottom, box.left : box.right].max() < _INK]
    lines = []
    for top, bottom in _rows(ink >= _INK):
        line = sorted((box for box in boxes if top <= box.top and box.bottom <= bottom), key=lambda box: box.left)
        lost = [box for box in traces if box.top < bottom and top < box.bottom]
        lines.append(_glyphs(_stacked(line), lost, ink))
    return [line for line in lines if line]


def _boxes(mask: npt.NDArray[np.bool_]) -> list[_Box]:
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sides = stats[1:count, :4].tolist()
    return [_Box(left, top, left + width, top + height) for left, top, width, height in sides]


def _rows(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, behind the last) of each run of rows with ink that is high enough for a line of text."""
    filled = np.concatenate([[False], mask.any(axis=1), [False]])
    edges = np.flatnonzero(filled[1:] != filled[:-1])
    return [
        (int(top), int(bottom))
        for top, bottom in zip(edges[::2], edges[1::2], strict=True)
        if bottom - top >= _LOWEST_PX
    ]


def _stacked(boxes: list[_Box]) -> list[_Box]:
    """Boxes one above the other are one glyph: those of a colon, of an equals sign, of an i."""
    found: list[_Box] = []
    for box in boxes:
        last = found[-1] if found else None
        if last is not None and min(last.right, box.right) - max(last.left, box.left) > 0.5 * min(
            last.width, box.width
        ):
            found[-1] = _Box(
                min(last.left, box.left),
                min(last.top, box.top),
                max(last.right, box.right),
                max(last.bottom, box.bottom),
            )
        else:
            found.append(box)
    return found


def _glyphs(boxes: list[_Box], lost: list[_Box], ink: npt.NDArray[np.float32]) -> list[Glyph]:
    # most of a caption is digits and capitals, which stand on the line and end at the cap height
    high = [box for box in boxes if box.height >= 0.5 * max(each.height for each in boxes)]
    cap = float(np.median([box.height for box in high]))
    bottoms = [box.bottom for box in high if abs(box.height - cap) <= 0.15 * cap]
    if cap < _LOWEST_PX or not bottoms:
        return []
    base = float(np.median(bottoms))
    found, end = [], None
    for box in boxes:
        gap = 0.0 if end is None else (box.left - end) / cap
        # a stroke too faint for ink, before the glyph or within it
        start = box.left if end is None else end
        is_lost = any(trace.left < box.right and start <= trace.right for trace in lost)
        found.append(_glyph(box, base, cap, ink, gap=gap, is_lost=is_lost))
        end = box.right
    return found


def _glyph(box: _Box, base: float, cap: float, ink: npt.NDArray[np.float32], *, gap: float, is_lost: bool) -> Glyph:
    # a row and a column more: the fainter edges of its strokes
    top, left = max(0, box.top - 1), max(0, box.left - 1)
    seen = ink[top : box.bottom + 1, left : box.right + 1]
    grid = cv2.resize(seen, GRID, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    width, height = box.width / cap, box.height / cap
    middle = (base - (box.top + box.bottom) / 2) / cap
    char = "?" if is_lost else _by_shape(ink[box.top : box.bottom, box.left : box.right], width, height, middle)
    return Glyph(char, grid, np.array([width, height, middle], np.float32), gap)


def _by_shape(seen: npt.NDArray[np.float32], width: float, height: float, middle: float) -> str:
    """The marks that are told by where they are and how large."""
    rows = np.flatnonzero((seen >= _INK).any(axis=1))
    blank = len(seen) - len(rows)
    if blank:
        # two parts, one above the other
        parts = 1 + int((np.diff(rows) > 1).sum())
        if parts != 2 or not 0.2 < middle < 0.65:
            return "?"
        return ":" if width <= _SMALL else "=" if height < 0.75 else "?"
    if width <= _SMALL and height <= 0.5 and middle < 0.25:
        # a point stands on the line, a comma goes below it
        return "." if middle > height / 2 - 0.1 else ","
    if height <= 0.28 and width >= 1.4 * height and 0.2 < middle < 0.7:
        return "-"
    return "" if height > 0.45 else "?"
