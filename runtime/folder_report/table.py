"""Folders as a table: for a person at a terminal, and for a spreadsheet."""

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from runtime.csv_text import csv_of
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
from runtime.result import share_in_words

# columns of a terminal below which the plot is left out; from there on long names make room for a small one
_PLOT_FROM, _NARROWEST_NAME, _WIDEST_NAME = 80, 12, 44
_WIDEST_CLASS = 24
_NARROWEST_PLOT, _WIDEST_PLOT, _NARROWEST_LEGEND = 9, 41, 40
# what stands for a letter that an encoding lacks, so that columns stay below each other
_PLAIN = {"─": "-", "●": "o", "·": ".", "–": "-", "…": "~", "µ": "u"}


def to_lines(folders: Sequence[FolderFigures], grades: range, width: int, encoding: str = "utf-8") -> Iterator[str]:
    """A line a folder: its name below the one above, images scored and not, mean, 95 % interval, the same as a plot; of
    grades without an order the class with the most area, its share and the share's interval.

    Args:
        folders: as `fold` gives them.
        grades: the numbers of the grades, from one end of the plot to the other.
        width: of the terminal, in characters.
        encoding: of the terminal or pipe; pipes under Windows know few letters.
    """
    plain = str.maketrans({letter: other for letter, other in _PLAIN.items() if not _known(letter, encoding)})
    classes = folders[0].areas is not None
    for line in _class_lines(folders, width) if classes else _lines(folders, grades, width):
        yield line.translate(plain)


def _known(letter: str, encoding: str) -> bool:
    return bool(letter.encode(encoding, errors="ignore"))


def _lines(folders: Sequence[FolderFigures], grades: range, width: int) -> Iterator[str]:
    rows = shown(folders)
    names = [f"{'  ' * row.depth}{row.name}" for row in rows]
    head = ("folder", f"{'scored':>6}  {'not':>4}  {'mean':>4}  {'95 %':<11}  {'worst':>5}")
    room = width - len(head[1]) - 2
    longest = min(_WIDEST_NAME, max(map(cell_len, names)))
    plot = _plot_width(room - 2, longest, grades) if width >= _PLOT_FROM else 0
    most = max(_NARROWEST_NAME, room - (plot + 2 if plot else 0))
    wide = max(len("folder"), min(most, longest))
    axis = f"  {_axis(grades, plot)}" if plot else ""
    yield f"{head[0]:<{wide}}  {head[1]}{axis}".rstrip()
    for row, name in zip(rows, names, strict=True):
        drawn = f"  {_drawn(row.figures, grades, plot)}" if plot else ""
        yield f"{set_cell_size(cut(name, wide), wide)}  {_figures(row.figures)}{drawn}".rstrip()
    yield from _legend(folders, width)


def _class_lines(folders: Sequence[FolderFigures], width: int) -> Iterator[str]:
    rows = shown(folders)
    found = [leading_class(row.figures, _WIDEST_CLASS) for row in rows]
    name_wide = max(len("most area"), *(cell_len(each.name) for each in found if each))
    head = f"{'scored':>6}  {'not':>4}  {set_cell_size('most area', name_wide)}  {'share':>9}  95 %"
    yield from _folder_column(
        rows,
        head,
        [
            f"{row.figures.scored:>6}  {_not_scored(row.figures):>4}  "
            + (
                f"{set_cell_size(each.name, name_wide)}  {each.share:>9}  {each.interval or '–'}"
                if each
                else f"{set_cell_size('–', name_wide)}  {'–':>9}  –"
            )
            for row, each in zip(rows, found, strict=True)
        ],
        width,
    )
    yield ""
    yield from textwrap.wrap(f"not: withheld, failed or waiting. {ABOUT_AREAS}", max(width, _NARROWEST_LEGEND))
    areas = folders[0].areas or {}
    in_all = ", ".join(
        f"{one_line(name)} {share_in_words(area)}"
        for name, area in sorted(areas.items(), key=lambda item: -item[1])
        if area
    )
    if in_all:
        yield from textwrap.wrap(f"all: {in_all}", max(width, _NARROWEST_LEGEND))


def _folder_column(rows: Sequence[ShownFolder], head: str, figures: Sequence[str], width: int) -> Iterator[str]:
    """Figures behind the folders' names, each set in below the one above."""
    names = [f"{'  ' * row.depth}{row.name}" for row in rows]
    room = max(_NARROWEST_NAME, width - max(cell_len(line) for line in (head, *figures)) - 2)
    wide = max(len("folder"), min(room, _WIDEST_NAME, max(map(cell_len, names))))
    yield f"{'folder':<{wide}}  {head}"
    for name, line in zip(names, figures, strict=True):
        yield f"{set_cell_size(cut(name, wide), wide)}  {line}".rstrip()


def _not_scored(folder: FolderFigures) -> int:
    return folder.withheld + folder.failed + folder.waiting


def _plot_width(room: int, longest: int, grades: range) -> int:
    """Characters for the plot, as many from each grade to the next; 0 where names would have too few beside it."""
    least = max(_NARROWEST_PLOT, len(grades))
    if len(grades) < 2 or room - least < _NARROWEST_NAME:
        return 0
    plot = max(least, min(_WIDEST_PLOT, room - longest))
    steps = len(grades) - 1
    return (plot - 1) // steps * steps + 1


def _figures(folder: FolderFigures) -> str:
    mean = "–" if folder.mean is None else f"{folder.mean:.2f}"
    interval = "–" if folder.ci95 is None else f"{folder.ci95[0]:.2f}–{folder.ci95[1]:.2f}"
    worst = "–" if folder.worst is None else f"{folder.worst.mean:.2f}"
    return f"{folder.scored:>6}  {_not_scored(folder):>4}  {mean:>4}  {interval:<11}  {worst:>5}"


def _axis(grades: range, plot: int) -> str:
    """The grades above the plot, each over its place."""
    line = [" "] * plot
    for grade in grades:
        line[_place(grade, grades, plot)] = str(grade)[-1]
    return "".join(line)


def _drawn(folder: FolderFigures, grades: range, plot: int) -> str:
    line = ["·" if place in {_place(g, grades, plot) for g in grades} else " " for place in range(plot)]
    if folder.ci95 is not None:
        first, last = (_place(end, grades, plot) for end in folder.ci95)
        line[first : last + 1] = "─" * (last + 1 - first)
    if folder.mean is not None:
        line[_place(folder.mean, grades, plot)] = "●"
    return "".join(line)


def _place(grade: float, grades: range, plot: int) -> int:
    return round(place_on_axis(grade, grades) * (plot - 1))


def _legend(folders: Sequence[FolderFigures], width: int) -> Iterator[str]:
    yield ""
    about = f"not: withheld, failed or waiting. {ABOUT_INTERVALS} worst: highest mean grade of a region."
    yield from textwrap.wrap(about, max(width, _NARROWEST_LEGEND))
    worst = folders[0].worst
    if worst is not None:
        of = "" if worst.slice is None else f", slice {worst.slice + 1}"
        yield (
            f"worst region of all: {worst.mean:.2f} in {one_line(worst.image.as_posix())}{of}, "
            f"{worst.size_um:.0f} µm wide around x {worst.x_um:.0f} µm, y {worst.y_um:.0f} µm"
        )


def to_csv(folders: Sequence[FolderFigures]) -> bytes:
    """One line a folder, with a header; UTF-8.

    The columns: `folder`, `level` (0: all), `scored`, `withheld`, `failed`, `waiting` (numbers of images), `mean`,
    `ci95_low`, `ci95_high` (grades), `sampled` (`folders` or `images`) and `units` (how many of them), `worst_mean`
    (grade), `worst_image`, `worst_slice` (counted from 1), `worst_x_um`, `worst_y_um`, `worst_size_um`, `models` (how
    many the scored images are of) and `synthetic` (whether any of these was trained on synthetic images). Where grades
    have no order, `grade_name` (the class with the most area) and `area_<class>` (mean share of the area, a column a
    class) stand in the place of `mean`, the interval is of the largest share, and no column `worst_...` is there.
    Bytes of names that are no UTF-8 are escaped as \\udcXX.
    """
    classes = list(folders[0].areas or ()) if folders[0].areas is not None else None
    return csv_of(list(_record(None, classes)), (_record(folder, classes) for folder in folders))


def _record(folder: FolderFigures | None, classes: Sequence[str] | None) -> dict[str, object]:
    """A line's columns; those of no folder tell the header."""
    low, high = (folder and (folder.ci95 or folder.area_ci95)) or (None, None)
    worst = folder and folder.worst
    areas = (folder and folder.areas) or {}
    mean: dict[str, object] = {"mean": folder and folder.mean}
    if classes is not None:
        mean = {"grade_name": folder and folder.leading, **{f"area_{name}": areas.get(name) for name in classes}}
    found: dict[str, object] = {
        "folder": folder and folder.path.as_posix(),
        "level": folder and folder.level,
        "scored": folder and folder.scored,
        "withheld": folder and folder.withheld,
        "failed": folder and folder.failed,
        "waiting": folder and folder.waiting,
        **mean,
        "ci95_low": low,
        "ci95_high": high,
        "sampled": folder and folder.unit,
        "units": folder and folder.units,
        "worst_mean": worst and worst.mean,
        "worst_image": worst and worst.image.as_posix(),
        "worst_slice": None if not worst or worst.slice is None else worst.slice + 1,
        "worst_x_um": worst and worst.x_um,
        "worst_y_um": worst and worst.y_um,
        "worst_size_um": worst and worst.size_um,
        "models": folder and folder.models,
        "synthetic": folder and folder.synthetic,
    }
    return found if classes is None else {key: value for key, value in found.items() if not key.startswith("worst_")}
