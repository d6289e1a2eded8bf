"""Makes the templates by which captions are read: characters in several free fonts at several sizes.

    python -m benchmarks.caption_glyphs

needs Pillow and Liberation (`apt-get install fonts-liberation`), which has the shapes of Arial and Courier New, and
DejaVu, which comes with matplotlib and has those of Verdana; OpenCV brings Rubik and Hershey. What is stored is no
font: pictures of 12 x 18 grey levels.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.child_process import exit_with
from runtime.images.caption import GLYPHS_FILE
from runtime.images.glyphs import GRID, find_lines

CHARACTERS = "0123456789+XYZumµ()"
SIZES = (12, 13, 14, 15, 17, 19, 22, 26)
LIBERATION = Path("/usr/share/fonts/truetype/liberation")
LIBERATION_FONTS = ("Sans-Regular", "Sans-Bold", "SansNarrow-Regular", "Mono-Regular")
DEJAVU_FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono")
STRIP = (45, 1000)

Draw = Callable[[str, int], npt.NDArray[np.uint8]]


def main() -> int:
    """Writes the templates beside the reader of captions."""
    chars, grids, shapes = "", [], []
    for char, strip in _pictures():
        lines = find_lines(strip)
        # between two that stand on the line and end at the cap height, so that both are known
        if len(lines) == 1 and len(lines[0]) == 3 and not lines[0][1].char:
            chars += char
            grids.append(np.rint(255 * lines[0][1].grid).astype(np.uint8).reshape(GRID[::-1]))
            shapes.append(lines[0][1].shape)
    np.savez_compressed(GLYPHS_FILE, chars=np.array(chars), grids=np.stack(grids), shapes=np.stack(shapes))
    print(f"{len(chars)} templates, {GLYPHS_FILE.stat().st_size} bytes")
    return 0


def of_file(font: Path | str, *, smooth: bool = True) -> Draw:
    """Draws in a TrueType font, white on black, antialiased or, as Windows did for long, not."""
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    @functools.cache
    def face(size: int) -> PIL.ImageFont.FreeTypeFont:
        return PIL.ImageFont.truetype(str(font), size)

    def draw(text: str, size: int) -> npt.NDArray[np.uint8]:
        image = PIL.Image.new("L", STRIP[::-1])
        pen = PIL.ImageDraw.Draw(image)
        pen.fontmode = "L" if smooth else "1"
        pen.text((8, 4), text, 255, face(size))
        return np.array(image)

    return draw


def of_hershey(font: int) -> Draw:
    """Draws in one of OpenCV's plotter fonts; `size` is about that of a TrueType font."""

    def draw(text: str, size: int) -> npt.NDArray[np.uint8]:
        strip = np.zeros(STRIP, np.uint8)
        cv2.putText(strip, text, (8, 35), font, size / 30, 255, max(1, round(size / 15)), cv2.LINE_AA)
        return strip

    return draw


def in_rubik(text: str, size: int) -> npt.NDArray[np.uint8]:
    """Draws in OpenCV's built-in font."""
    strip = np.zeros(STRIP, np.uint8)
    cv2.putText(strip, text, (8, 35), (255,), cv2.FontFace("sans"), size, 400)
    return strip


def matplotlibs(name: str) -> Path:
    """One of the fonts that come with matplotlib."""
    import matplotlib

    return Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")


def _pictures() -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    draws = [
        *(of_file(LIBERATION / f"Liberation{name}.ttf") for name in LIBERATION_FONTS),
        *(of_file(LIBERATION / f"Liberation{name}.ttf", smooth=False) for name in LIBERATION_FONTS),
        *(of_file(matplotlibs(name)) for name in DEJAVU_FONTS),
        in_rubik,
        of_hershey(cv2.FONT_HERSHEY_SIMPLEX),
    ]
    for draw in draws:
        for size in SIZES:
            # Hershey knows no others
            for char in CHARACTERS if draw is not draws[-1] else CHARACTERS.replace("µ", ""):
                yield char, draw(f"H {char} H", size)


if __name__ == "__main__":
    exit_with(main)
