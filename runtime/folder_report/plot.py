"""Folders as a picture: mean and interval of each on one axis of grades, as SVG."""

import textwrap
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from runtime.folder_report.folders import FolderFigures
from runtime.folder_report.shown import ABOUT_INTERVALS, ShownFolder, cut, shown
from runtime.version import NOTICE

# px; a name takes some 7 a letter at 13 px
_ROW, _TOP, _NAMES, _AXIS, _RIGHT, _BOTTOM = 26, 92, 300, 460, 210, 96
_WIDTH = _NAMES + _AXIS + _RIGHT
_LETTERS = 40
# Okabe and Ito's, which the colour-blind tell apart; contrast to white at least 4.5 for words
_INK, _FAINT, _GRID, _BLUE, _VERMILION = "#1b1b1b", "#5c5c5c", "#d9d9d9", "#0072b2", "#d55e00"


def to_svg(folders: Sequence[FolderFigures], highest: float, warnings: Sequence[str]) -> bytes:
    """A picture with a row a folder: mean, 95 % interval, worst region, number of images.

    Args:
        folders: as `fold` gives them.
        highest: the highest grade, the right end of the axis.
        warnings: lines that have to be read with it, such as that the model is synthetic-trained.
    """
    top = _TOP + 20 * len(warnings)
    rows = shown(folders)
    height = top + _ROW * len(rows) + _BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="13" role="img">',
        f"<title>{_text('Mean inflammation grade by folder')}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _words(20, 34, "Mean inflammation grade by folder", size=18, weight=600),
        *(_words(20, 58 + 20 * number, line, colour=_VERMILION, weight=600) for number, line in enumerate(warnings)),
        # letters may be wider than expected; no name may run into the plot
        f'<clipPath id="names"><rect width="{_NAMES - 8}" height="{height}"/></clipPath>',
        *_axis(highest, top, height),
    ]
    for number, row in enumerate(rows):
        lines += _row(row, highest, top + _ROW * number)
    lines += [
        *(
            _words(_NAMES + left, height - _BOTTOM + 20, text, colour=colour, size=12)
            for left, text, colour in (
                (0, "● mean", _BLUE),
                (64, "▬ 95 % interval", _BLUE),
                (174, "◇ worst region", _VERMILION),
            )
        ),
        *(
            _words(20, height - _BOTTOM + 44 + 18 * number, line, colour=_FAINT, size=12)
            for number, line in enumerate([ABOUT_INTERVALS, *textwrap.wrap(NOTICE, 130)])
        ),
        "</svg>",
    ]
    return "\n".join(lines).encode("utf-8", errors="backslashreplace")


def _axis(highest: float, top: int, height: int) -> Iterator[str]:
    for grade in range(int(highest) + 1):
        x = _x(grade, highest)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 8}" y2="{height - _BOTTOM}" stroke="{_GRID}"/>'
        yield _words(x, top - 14, str(grade), anchor="middle", colour=_FAINT)
    yield _words(_NAMES + _AXIS + 24, top - 14, "mean (95 %)", colour=_FAINT)
    yield _words(_WIDTH - 20, top - 14, "scored", anchor="end", colour=_FAINT)


def _row(row: ShownFolder, highest: float, top: int) -> Iterator[str]:
    folder, name = row.figures, row.name
    middle = top + _ROW / 2
    indent = 14 * min(row.depth, 8)
    fitting = cut(name, _LETTERS - indent // 7)
    yield _words(20 + indent, middle + 4, fitting, weight=600 if row.depth == 0 else 400, title=name)
    if folder.ci95 is not None:
        low, high = (_x(end, highest) for end in folder.ci95)
        yield (
            f'<rect x="{low:.1f}" y="{middle - 3:.1f}" width="{max(high - low, 1):.1f}" height="6" rx="3" '
            f'fill="{_BLUE}" fill-opacity="0.35"/>'
        )
    if folder.worst is not None:
        x = _x(folder.worst.mean, highest)
        yield f'<path d="M{x:.1f} {middle - 5:.1f}l5 5-5 5-5-5z" fill="none" stroke="{_VERMILION}" stroke-width="1.5"/>'
    if folder.mean is not None:
        yield f'<circle cx="{_x(folder.mean, highest):.1f}" cy="{middle:.1f}" r="5" fill="{_BLUE}"/>'
    interval = "" if folder.ci95 is None else f" ({folder.ci95[0]:.2f}–{folder.ci95[1]:.2f})"
    mean = "–" if folder.mean is None else f"{folder.mean:.2f}{interval}"
    yield _words(_NAMES + _AXIS + 24, middle + 4, mean)
    yield _words(_WIDTH - 20, middle + 4, str(folder.scored), anchor="end", colour=_FAINT)


def _x(grade: float, highest: float) -> float:
    return _NAMES + _AXIS * (min(max(grade / highest, 0.0), 1.0) if highest > 0 else 0.0)


def _words(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    colour: str = _INK,
    size: int = 13,
    weight: int = 400,
    title: str | None = None,
) -> str:
    tip, clip = ("", "") if title is None else (f"<title>{_text(title)}</title>", ' clip-path="url(#names)"')
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}" '
        f'font-weight="{weight}"{clip}>{_text(text)}{tip}</text>'
    )


def _text(text: str) -> str:
    """Text that any XML may hold; surrogates, of names that are no UTF-8, as in the tables."""
    return escape(text.encode("utf-8", errors="backslashreplace").decode("utf-8"))
