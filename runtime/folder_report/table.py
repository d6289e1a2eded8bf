"""Folders as a table: for a person at a terminal, and for a spreadsheet."""

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from runtime.csv_text import csv_of
from runtime.errors import one_line
from runtime.folder_report.folders import FolderFigures
from runtime.folder_report.shown import ABOUT_INTERVALS, cut, shown

# columns of a terminal below which the plot is left out; from there on long names make room for a small one
_PLOT_FROM, _NARROWEST_NAME, _WIDEST_NAME = 80, 12, 44
_NARROWEST_PLOT, _WIDEST_PLOT, _NARROWEST_LEGEND = 9, 41, 40
# what stands for a letter that an encoding lacks, so that columns stay below each other
_PLAIN = {"─": "-", "●": "o", "·": ".", "–": "-", "…": "~", "µ": "u"}


def to_lines(folders: Sequence[FolderFigures], highest: float, width: int, encoding: str = "utf-8") -> Iterator[str]:
    """A line a folder: its name below the one above, images scored and not, mean, 95 % interval, the same as a plot.

    Args:
        folders: as `fold` gives them.
        highest: the highest grade, the right end of the plot.
        width: of the terminal, in characters.
        encoding: of the terminal or pipe; pipes under Windows know few letters.
    """
    plain = str.maketrans({letter: other for letter, other in _PLAIN.items() if not _known(letter, encoding)})
    for line in _lines(folders, highest, width):
        yield line.translate(plain)


def _known(letter: str, encoding: str) -> bool:
    return bool(letter.encode(encoding, errors="ignore"))


def _lines(folders: Sequence[FolderFigures], highest: float, width: int) -> Iterator[str]:
    rows = shown(folders)
    names = [f"{'  ' * row.depth}{row.name}" for row in rows]
    head = ("folder", f"{'scored':>6}  {'not':>4}  {'mean':>4}  {'95 %':<11}  {'worst':>5}")
    room = width - len(head[1]) - 2
    longest = min(_WIDEST_NAME, max(map(cell_len, names)))
    plot = _plot_width(room - 2, longest, highest) if width >= _PLOT_FROM else 0
    most = max(_NARROWEST_NAME, room - (plot + 2 if plot else 0))
    wide = max(len("folder"), min(most, longest))
    axis = f"  {_axis(highest, plot)}" if plot else ""
    yield f"{head[0]:<{wide}}  {head[1]}{axis}".rstrip()
    for row, name in zip(rows, names, strict=True):
        drawn = f"  {_drawn(row.figures, highest, plot)}" if plot else ""
        yield f"{set_cell_size(cut(name, wide), wide)}  {_figures(row.figures)}{drawn}".rstrip()
    yield from _legend(folders, width)


def _plot_width(room: int, longest: int, highest: float) -> int:
    """Characters for the plot, as many from each grade to the next; 0 where names would have too few beside it."""
    least = max(_NARROWEST_PLOT, int(highest) + 1)
    if room - least < _NARROWEST_NAME:
        return 0
    plot = max(least, min(_WIDEST_PLOT, room - longest))
    return int((plot - 1) // highest * highest) + 1


def _figures(folder: FolderFigures) -> str:
    left_out = folder.withheld + folder.failed + folder.waiting
    mean = "–" if folder.mean is None else f"{folder.mean:.2f}"
    interval = "–" if folder.ci95 is None else f"{folder.ci95[0]:.2f}–{folder.ci95[1]:.2f}"
    worst = "–" if folder.worst is None else f"{folder.worst.mean:.2f}"
    return f"{folder.scored:>6}  {left_out:>4}  {mean:>4}  {interval:<11}  {worst:>5}"


def _axis(highest: float, plot: int) -> str:
    """The grades above the plot, each over its place."""
    line = [" "] * plot
    for grade in range(int(highest) + 1):
        line[_place(grade, highest, plot)] = str(grade)[-1]
    return "".join(line)


def _drawn(folder: FolderFigures, highest: float, plot: int) -> str:
    line = [
        "·" if place in {_place(g, highest, plot) for g in range(int(highest) + 1)} else " " for place in range(plot)
    ]
    if folder.ci95 is not None:
        first, last = (_place(end, highest, plot) for end in folder.ci95)
        line[first : last + 1] = "─" * (last + 1 - first)
    if folder.mean is not None:
        line[_place(folder.mean, highest, plot)] = "●"
    return "".join(line)


def _place(grade: float, highest: float, plot: int) -> int:
    return round(min(max(grade / highest, 0.0), 1.0) * (plot - 1)) if highest > 0 else 0


def _legend(folders: Sequence[FolderFigures], width: int) -> Iterator[str]:
    yield ""
    about = f"not: withheld, failed or waiting. {ABOUT_INTERVALS} worst: highest mean grade of a region."
    yield from textwrap.wrap(about, max(width, _NARROWEST_LEGEND))
    worst = folders[0].worst
    if worst is not None:
        of = "" if worst.slice is None else f", slice {worst.slice}"
        yield (
            f"worst region of all: {worst.mean:.2f} in {one_line(worst.image.as_posix())}{of}, "
            f"{worst.size_um:.0f} µm wide around x {worst.x_um:.0f} µm, y {worst.y_um:.0f} µm"
        )


def to_csv(folders: Sequence[FolderFigures]) -> bytes:
    """One line a folder, with a header; UTF-8.

    The columns: `folder`, `level` (0: all), `scored`, `withheld`, `failed`, `waiting` (numbers of images), `mean`,
    `ci95_low`, `ci95_high` (grades), `sampled` (`folders` or `images`) and `units` (how many of them), `worst_mean`
    (grade), `worst_image`, `worst_slice`, `worst_x_um`, `worst_y_um`, `worst_size_um`, `models` (how many the scored
    images are of) and `synthetic` (whether any of these was trained on synthetic images). Bytes of names that are no
    UTF-8 are escaped as \\udcXX.
    """
    return csv_of(list(_record(None)), map(_record, folders))


def _record(folder: FolderFigures | None) -> dict[str, object]:
    """A line's columns; those of no folder tell the header."""
    low, high = (folder and folder.ci95) or (None, None)
    worst = folder and folder.worst
    return {
        "folder": folder and folder.path.as_posix(),
        "level": folder and folder.level,
        "scored": folder and folder.scored,
        "withheld": folder and folder.withheld,
        "failed": folder and folder.failed,
        "waiting": folder and folder.waiting,
        "mean": folder and folder.mean,
        "ci95_low": low,
        "ci95_high": high,
        "sampled": folder and folder.unit,
        "units": folder and folder.units,
        "worst_mean": worst and worst.mean,
        "worst_image": worst and worst.image.as_posix(),
        "worst_slice": worst and worst.slice,
        "worst_x_um": worst and worst.x_um,
        "worst_y_um": worst and worst.y_um,
        "worst_size_um": worst and worst.size_um,
        "models": folder and folder.models,
        "synthetic": folder and folder.synthetic,
    }
