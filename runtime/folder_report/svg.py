"""The parts that every picture of folders is drawn with: page, words, and names of the rows."""

import textwrap
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from runtime.folder_report.shown import ShownFolder, cut
from runtime.version import NOTICE

# px; a name takes some 7 a letter at 13 px
ROW, TOP, NAMES, AXIS, RIGHT = 26, 92, 300, 460, 210
_LINE, _LINE_LETTERS = 18, 130
WIDTH = NAMES + AXIS + RIGHT
_LETTERS = 40
# Okabe and Ito's, which the colour-blind tell apart; contrast to white at least 4.5 for words
INK, FAINT, GRID, BLUE, VERMILION = "#1b1b1b", "#5c5c5c", "#d9d9d9", "#0072b2", "#d55e00"


def page(title: str, warnings: Sequence[str], body: Sequence[str], notes: Sequence[str], notes_top: int) -> bytes:
    """An SVG file.

    Args:
        title: of the picture.
        warnings: lines that have to be read with it, below the title.
        body: SVG elements of the picture itself.
        notes: sentences at the bottom, before the notice.
        notes_top: baseline of the first of them, px.
    """
    foot = [line for note in (*notes, NOTICE) for line in textwrap.wrap(note, _LINE_LETTERS)]
    height = notes_top + _LINE * (len(foot) - 1) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="13" role="img">',
        f"<title>{_text(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        words(20, 34, title, size=18, weight=600),
        *(words(20, 58 + 20 * number, line, colour=VERMILION, weight=600) for number, line in enumerate(warnings)),
        # letters may be wider than expected; no name may run into the plot
        f'<clipPath id="names"><rect width="{NAMES - 8}" height="{height}"/></clipPath>',
        *body,
        *(words(20, notes_top + _LINE * number, line, colour=FAINT, size=12) for number, line in enumerate(foot)),
        "</svg>",
    ]
    return "\n".join(lines).encode("utf-8", errors="backslashreplace")


def row_words(row: ShownFolder, top: int, figures: str) -> Iterator[str]:
    """The words of a row: the folder's name on the left, its figures and number of scored images on the right."""
    baseline = top + ROW / 2 + 4
    indent = 14 * min(row.depth, 8)
    fitting = cut(row.name, _LETTERS - indent // 7)
    yield words(20 + indent, baseline, fitting, weight=600 if row.depth == 0 else 400, title=row.name)
    yield words(NAMES + AXIS + 24, baseline, figures)
    yield words(WIDTH - 20, baseline, str(row.figures.scored), anchor="end", colour=FAINT)


def words(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    colour: str = INK,
    size: int = 13,
    weight: int = 400,
    title: str | None = None,
) -> str:
    """A line of text; `title` is shown on hovering, and keeps the text within the column of names."""
    tip, clip = ("", "") if title is None else (f"<title>{_text(title)}</title>", ' clip-path="url(#names)"')
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}" '
        f'font-weight="{weight}"{clip}>{_text(text)}{tip}</text>'
    )


def _text(text: str) -> str:
    """Text that any XML may hold; surrogates, of names that are no UTF-8, as in the tables."""
    return escape(text.encode("utf-8", errors="backslashreplace").decode("utf-8"))
