"""Folders as a picture, as SVG: mean and interval of each on one axis of grades, or the area of each class."""

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len

from runtime.errors import one_line
from runtime.folder_report.folders import FolderFigures
from runtime.folder_report.shown import (
    ABOUT_AREAS,
    ABOUT_INTERVALS,
    ShownFolder,
    cut,
    leading_class,
    place_on_axis,
    shown,
)
from runtime.folder_report.svg import (
    AXIS,
    BLUE,
    FAINT,
    GRID,
    NAMES,
    ROW,
    TOP,
    VERMILION,
    WIDTH,
    page,
    row_words,
    words,
)
from runtime.overlay.palette import class_colour

# letters of a class's name in the key, and of the leading class beside its bar
_KEY_LETTERS, _LEADING_LETTERS = 24, 12


def to_svg(
    folders: Sequence[FolderFigures], grades: range, warnings: Sequence[str], quantity: str | None = None
) -> bytes:
    """A picture with a row a folder: mean, 95 % interval, worst region, number of images.

    Of grades without an order it shows each class's share of the area instead.

    Args:
        folders: as `fold` gives them.
        grades: the numbers of the grades, from one end of the axis to the other.
        warnings: lines that have to be read with it, such as that the model is synthetic-trained.
        quantity: what the score is called; None where that is unknown.
    """
    classes = folders[0].areas
    top = TOP + 20 * len(warnings)
    rows = shown(folders)
    if classes is not None:
        return _areas(rows, classes, top, warnings)
    foot = top + ROW * len(rows)
    body = list(_axis(grades, top, foot))
    for number, row in enumerate(rows):
        body += _row(row, grades, top + ROW * number)
    body += [
        words(NAMES + left, foot + 20, text, colour=colour, size=12)
        for left, text, colour in (
            (0, "● mean", BLUE),
            (64, "▬ 95 % interval", BLUE),
            (174, "◇ worst region", VERMILION),
        )
    ]
    title = "Mean grade by folder" if quantity is None else f"{quantity}: mean grade by folder"
    return page(title, warnings, body, [ABOUT_INTERVALS], foot + 44)


def _axis(grades: range, top: int, foot: int) -> Iterator[str]:
    for grade in grades:
        x = _x(grade, grades)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 8}" y2="{foot}" stroke="{GRID}"/>'
        yield words(x, top - 14, str(grade), anchor="middle", colour=FAINT)
    yield from _headings("mean (95 %)", top)


def _headings(figures: str, top: int) -> Iterator[str]:
    yield words(NAMES + AXIS + 24, top - 14, figures, colour=FAINT)
    yield words(WIDTH - 20, top - 14, "scored", anchor="end", colour=FAINT)


def _row(row: ShownFolder, grades: range, top: int) -> Iterator[str]:
    folder = row.figures
    middle = top + ROW / 2
    if folder.ci95 is not None:
        low, high = (_x(end, grades) for end in folder.ci95)
        yield (
            f'<rect x="{low:.1f}" y="{middle - 3:.1f}" width="{max(high - low, 1):.1f}" height="6" rx="3" '
            f'fill="{BLUE}" fill-opacity="0.35"/>'
        )
    if folder.worst is not None:
        x = _x(folder.worst.mean, grades)
        yield f'<path d="M{x:.1f} {middle - 5:.1f}l5 5-5 5-5-5z" fill="none" stroke="{VERMILION}" stroke-width="1.5"/>'
    if folder.mean is not None:
        yield f'<circle cx="{_x(folder.mean, grades):.1f}" cy="{middle:.1f}" r="5" fill="{BLUE}"/>'
    interval = "" if folder.ci95 is None else f" ({folder.ci95[0]:.2f}–{folder.ci95[1]:.2f})"
    mean = "–" if folder.mean is None else f"{folder.mean:.2f}{interval}"
    yield from row_words(row, top, mean)


def _x(grade: float, grades: range) -> float:
    return NAMES + AXIS * place_on_axis(grade, grades)


def _areas(rows: Sequence[ShownFolder], classes: Mapping[str, float], top: int, warnings: Sequence[str]) -> bytes:
    """A bar a folder, divided among the classes."""
    colours = {name: "#{:02x}{:02x}{:02x}".format(*class_colour(index)) for index, name in enumerate(classes)}
    key = [name for name, area in classes.items() if area]
    columns = 3
    key_lines = max(1, -(-len(key) // columns))
    foot = top + ROW * len(rows)
    body = list(_headings("most area (95 %)", top))
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = NAMES + AXIS * share
        body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 8}" y2="{foot}" stroke="{GRID}"/>')
        body.append(words(x, top - 14, f"{share:.0%}", anchor="middle", colour=FAINT))
    for number, row in enumerate(rows):
        body += _area_row(row, colours, top + ROW * number)
    for number, name in enumerate(key):
        x, y = NAMES + AXIS * (number % columns) / columns, foot + 20 + 18 * (number // columns)
        body.append(f'<rect x="{x:.1f}" y="{y - 10}" width="12" height="12" fill="{colours[name]}"/>')
        body.append(words(x + 18, y, cut(one_line(name), _KEY_LETTERS), size=12))
    return page("Share of the area by folder", warnings, body, [ABOUT_AREAS], foot + 26 + 18 * key_lines)


def _area_row(row: ShownFolder, colours: Mapping[str, str], top: int) -> Iterator[str]:
    left = 0.0
    for name, area in (row.figures.areas or {}).items():
        if area:
            yield (
                f'<rect x="{NAMES + AXIS * left:.2f}" y="{top + 5}" width="{AXIS * area:.2f}" height="{ROW - 10}" '
                f'fill="{colours[name]}"/>'
            )
        left += area
    leading = leading_class(row.figures, _LEADING_LETTERS)
    figures = "–" if leading is None else f"{leading.name} {leading.share}"
    if leading is not None and leading.interval and cell_len(figures) + len(leading.interval) < 24:
        figures += f" ({leading.interval})"
    yield from row_words(row, top, figures)
