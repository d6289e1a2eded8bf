"""The text that VivaScope burns into the rows below an exported frame: where the stage stood, and how deep it looked.

No example is public and the font is not known, so glyphs are compared with those of several fonts, and what is not read
with certainty is not read: a wrong depth would be worse than none.
"""

import functools
import math
import re
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.images.glyphs import Glyph, find_lines
from runtime.images.plausible import CAPTION_DEPTH_UM, CAPTION_PLACE_MM
from runtime.images.vivascope import NO_CAPTION, Caption

GLYPHS_FILE = Path(__file__).with_name("caption_glyphs.npz")
# a glyph is read when the mean difference from the nearest template is below the first, and the next character's
# nearest is further by the second; chosen by fonts that no template is of, see tests/runtime/images/test_caption.py
_FARTHEST, _MARGIN = 0.17, 0.025
# of a glyph's width and height, in cap heights, against the mean difference of its grey levels
_SHAPE_WEIGHT = 0.35
_UM = {"um": 1.0, "µm": 1.0, "mm": 1000.0}
# a label, its number, its unit, and then the next label, or the end of the line
_FIELD = (
    r"{label}[:=]?(?P<number>[+-]?\d{{1,4}}(?:[.,]\d{{1,4}})?)(?P<unit>\(?(?:mm|um|µm)\)?)?,?(?=[XYZ][:=]?[+-]?\d|$)"
)
# a wider gap, in cap heights, is none within a number, even where all characters are as wide as another
_WIDEST_GAP = 0.85


def read_caption(rows: npt.NDArray[np.uint8]) -> Caption:
    """Reads `X`, `Y` and `Z` with their numbers, in any order, anywhere in one line.

    Args:
        rows: uint8 [H, W], the rows below the tissue, text on an even ground, darker or brighter than it.
    """
    lines = [_Line.read(line) for line in find_lines(rows)]
    # a label that stands twice is likely something else, which may have cut a number short
    if any(sum(line.text.count(label) for line in lines) > 1 for label in "XYZ"):
        return NO_CAPTION
    x_um, y_um = (_field(lines, label, default="mm") for label in "XY")
    z_um = _field(lines, "Z", default="um")
    x_mm, y_mm = (um / 1000 if um is not None else math.nan for um in (x_um, y_um))
    return Caption(
        x_mm if CAPTION_PLACE_MM.holds(x_mm) else None,
        y_mm if CAPTION_PLACE_MM.holds(y_mm) else None,
        z_um if z_um is not None and CAPTION_DEPTH_UM.holds(z_um) else None,
    )


class _Line(msgspec.Struct, frozen=True):
    """A line's characters without spaces, `?` for each that is not read, and the gap before each in cap heights."""

    text: str
    gaps: tuple[float, ...]

    @staticmethod
    def read(glyphs: list[Glyph]) -> "_Line":
        return _Line("".join(each.char or _nearest(each) for each in glyphs), tuple(each.gap for each in glyphs))


def _field(lines: list[_Line], label: str, *, default: str) -> float | None:
    """µm of a label that stands once, followed by a number that is read whole; None otherwise."""
    fields = [(line, found) for line in lines for found in re.finditer(_FIELD.format(label=label), line.text)]
    if len(fields) != 1:
        return None
    line, found = fields[0]
    first, end = found.span("number")
    if max(line.gaps[first + 1 : end], default=0.0) > _WIDEST_GAP:
        return None
    unit = (found["unit"] or default).strip("()")
    return float(found["number"].replace(",", ".")) * _UM[unit]


def _nearest(glyph: Glyph) -> str:
    """The character whose template is nearest, `?` where none is near, or two are about as near."""
    chars, grids, shapes = _templates()
    differences = np.abs(grids - glyph.grid).mean(axis=1)
    differences += _SHAPE_WEIGHT * np.abs(shapes - glyph.shape).sum(axis=1)
    best = int(differences.argmin())
    others = differences[chars != chars[best]]
    if differences[best] > _FARTHEST or others.min() - differences[best] < _MARGIN:
        return "?"
    return str(chars[best])


@functools.cache
def _templates() -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Characters [N], their grids float32 [N, H · W] in 0 to 1, and their shapes [N, 3] as in `Glyph`."""
    with np.load(GLYPHS_FILE) as file:
        grids = file["grids"].reshape(len(file["grids"]), -1).astype(np.float32) / 255
        return np.asarray(list(str(file["chars"]))), grids, file["shapes"].astype(np.float32)
