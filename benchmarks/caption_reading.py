"""How often captions are read, and whether ever wrongly, by font and height of the capitals.

    python -m benchmarks.caption_reading [--captions N]

Captions are drawn in several forms, with stage positions and depths at random, dark on bright and bright on dark, some
with grain, some as JPEG of quality 75 to 97. Exit code 1 when a value is read that does not stand there.
"""

import argparse
from collections import Counter

import numpy as np

from benchmarks.caption_glyphs import LIBERATION, LIBERATION_FONTS, Draw, of_file
from benchmarks.child_process import exit_with
from benchmarks.microscope_files.captions import KNOWN_FONTS, OTHER_FONTS, draw_said, photographed
from runtime.images.caption import read_caption

# capitals' height in px: from, below
_HEIGHTS = ((9, 12), (12, 16), (16, 21))


def main() -> int:
    """Prints a table, a row a font."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.caption_reading")
    parser.add_argument("--captions", type=int, default=300, help="a font; 300 by default")
    captions = parser.parse_args().captions
    installed = {f"Liberation {name}": LIBERATION / f"Liberation{name}.ttf" for name in LIBERATION_FONTS}
    known = KNOWN_FONTS | {name: of_file(path) for name, path in installed.items() if path.exists()}
    print(f"{'font':24s} {'templates':9s}" + "".join(f"  {low}-{high - 1} px" for low, high in _HEIGHTS) + "  wrong")
    wrong = 0
    for name, draw in (known | OTHER_FONTS).items():
        read, fields = _count(draw, captions)
        wrong += read["wrong"]
        shares = "".join(f"{read[height] / max(1, fields[height]):9.2f}" for height in _HEIGHTS)
        print(f"{name:24s} {'yes' if name in known else 'no':9s}{shares}  {read['wrong']} of {sum(fields.values())}")
    return 1 if wrong else 0


def _count(draw: Draw, captions: int) -> tuple[Counter[object], Counter[object]]:
    """Fields that were read, and all, by the height of the capitals; those read wrongly as `wrong`."""
    rng = np.random.default_rng(captions)
    read: Counter[object] = Counter()
    fields: Counter[object] = Counter()
    for _ in range(captions):
        said, size = draw_said(rng), int(rng.integers(12, 30))
        strip = draw(said.text, size)
        cap = _cap_px(draw, size)
        height = next((each for each in _HEIGHTS if each[0] <= cap < each[1]), None)
        found = read_caption(photographed(strip, rng))
        for got, is_ in ((found.x_mm, said.x_mm), (found.y_mm, said.y_mm), (found.z_um, said.z_um)):
            fields[height] += height is not None
            read[height] += height is not None and got is not None
            read["wrong"] += got is not None and abs(got - is_) > 1e-6
    return read, fields


def _cap_px(draw: Draw, size: int) -> int:
    """Height of a capital."""
    rows = np.flatnonzero((draw("H", size) >= 128).any(axis=1))
    return len(rows)


if __name__ == "__main__":
    exit_with(main)
