"""Folders as a table: for a person at a terminal, and for a spreadsheet."""

import csv
import io
from collections.abc import Iterator, Sequence

from runtime.errors import one_line
from runtime.folder_report.folders import FolderFigures
from runtime.folder_report.shown import shown

# columns of a terminal below which the plot is left out, then the folder's name cut
_PLOT_FROM, _NARROWEST_NAME, _WIDEST_NAME, _WIDEST_PLOT = 80, 12, 44, 41


def to_lines(folders: Sequence[FolderFigures], highest: float, width: int) -> Iterator[str]:
    """A line a folder: its name below the one above, images scored and not, mean, 95 % interval, the same as a plot.

    Args:
        folders: as `fold` gives them.
        highest: the highest grade, the right end of the plot.
        width: of the terminal, in characters.
    """
    rows = shown(folders)
    names = [f"{'  ' * row.depth}{row.name}" for row in rows]
    head = ("folder", f"{'scored':>6}  {'not':>4}  {'mean':>4}  {'95 %':<11}  {'worst':>5}")
    room = width - len(head[1]) - 2
    plot = min(_WIDEST_PLOT, room - 2 - min(_WIDEST_NAME, max(map(len, names)))) if width >= _PLOT_FROM else 0
    # as many characters from each grade to the next
    plot = int((plot - 1) // highest * highest) + 1 if plot >= 9 else 0
    most = max(_NARROWEST_NAME, min(_WIDEST_NAME, room - (plot + 2 if plot else 0)))
    wide = max(len("folder"), min(most, max(map(len, names))))
    axis = f"  {_axis(highest, plot)}" if plot else ""
    yield f"{head[0]:<{wide}}  {head[1]}{axis}".rstrip()
    for row, name in zip(rows, names, strict=True):
        drawn = f"  {_drawn(row.figures, highest, plot)}" if plot else ""
        yield f"{_cut(name, wide):<{wide}}  {_figures(row.figures)}{drawn}".rstrip()
    yield from _legend(folders)


def _cut(name: str, wide: int) -> str:
    return name if len(name) <= wide else f"{name[: wide - 1]}…"


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


def _legend(folders: Sequence[FolderFigures]) -> Iterator[str]:
    yield ""
    yield "not: withheld, failed or waiting. 95 %: interval of the mean, by how the folders in it differ, or its images"
    yield "where it holds no folders; – where these are fewer than three. worst: highest mean grade of a region."
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
    (grade), `worst_image`, `worst_slice`, `worst_x_um`, `worst_y_um`, `worst_size_um`. Bytes of names that are no
    UTF-8 are escaped as \\udcXX.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(_record(None)), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(_record(folder) for folder in folders)
    return text.getvalue().encode("utf-8", errors="backslashreplace")


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
    }
