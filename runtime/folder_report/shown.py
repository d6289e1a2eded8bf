"""What a person sees of folders: of several in a row that hold the same images one, by a name that fits."""

from collections.abc import Sequence

import msgspec
from rich.cells import cell_len, set_cell_size

from runtime.errors import one_line
from runtime.folder_report.folders import FolderFigures
from runtime.result import share_in_words

# to be read with any interval
ABOUT_INTERVALS = (
    "95 %: interval of the mean, by how the folders in it differ, or its images where it holds no folders; "
    "none of fewer than three."
)


ABOUT_AREAS = (
    "most area: the class with the largest mean share of the images' area. 95 %: interval of that share, by how the "
    "folders in it differ, or its images where it holds no folders; none of fewer than three."
)


class ShownFolder(msgspec.Struct, frozen=True):
    """A row of a table or a picture.

    Attributes:
        name: of the folder, or of several as `8 h / Confocal Images`.
        depth: how far it is set in.
        figures: of the folder.
    """

    name: str
    depth: int
    figures: FolderFigures


def shown(folders: Sequence[FolderFigures]) -> list[ShownFolder]:
    """The rows, in the order of `fold`; the watched folder, which is always the first, as `all`."""
    rows = [ShownFolder("all", 0, folders[0])]
    depths = {0: 0}
    for folder in folders[1:]:
        name, depth = one_line(folder.path.name), depths[folder.level - 1]
        if folder.alone and folder.level > 1:
            rows[-1] = ShownFolder(f"{rows[-1].name} / {name}", depth, folder)
        else:
            depth += 1
            rows.append(ShownFolder(name, depth, folder))
        depths[folder.level] = depth
    return rows


def place_on_axis(grade: float, grades: range) -> float:
    """Return the place of a grade between the two ends of an axis, 0 to 1; 0 on an axis without length."""
    if len(grades) < 2:
        return 0.0
    return min(max((grade - grades[0]) / (grades[-1] - grades[0]), 0.0), 1.0)


class LeadingClass(msgspec.Struct, frozen=True):
    """The class with the most area in a folder: its name as it fits, its share, and the share's interval or nothing."""

    name: str
    share: str
    interval: str


def leading_class(folder: FolderFigures, cells: int) -> LeadingClass | None:
    """The class with the most area, its name in at most so many cells of a terminal; None where none is scored."""
    name = folder.leading
    if name is None or folder.areas is None:
        return None
    interval = "" if folder.area_ci95 is None else "–".join(f"{100 * end:.0f}" for end in folder.area_ci95) + " %"
    return LeadingClass(cut(one_line(name), cells), share_in_words(folder.areas[name]), interval)


def cut(name: str, cells: int) -> str:
    """The name, or as much of its beginning as fits; letters of Chinese or Japanese are two cells wide."""
    return name if cell_len(name) <= cells else f"{set_cell_size(name, cells - 1).rstrip()}…"
