"""Figures of every folder that holds images, its sub-folders' among them."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath

import msgspec
import numpy as np

from runtime.folder_report.interval import mean_interval
from runtime.images import folder_kind
from runtime.ledger import ImageRow, State
from runtime.outputs import read_record_file
from runtime.result import WorstRegion


class Worst(msgspec.Struct, frozen=True):
    """The worst region of a folder's images.

    Attributes:
        mean: mean expected grade of the region.
        image: the image it is in, below the watched folder.
        x_um, y_um, size_um: its centre on the frame and its side.
        slice: of a stack, counted from 0 as in the record.
    """

    mean: float
    image: PurePath
    x_um: float
    y_um: float
    size_um: float
    slice: int | None


class FolderFigures(msgspec.Struct, frozen=True):
    """What the images below one folder come to.

    Attributes:
        path: below the watched folder; `.` is that folder itself.
        level: how many folders deep it lies; 0 for the watched folder.
        alone: it holds all images of the folder it is in, so that the figures of the two are the same.
        scored, withheld, failed, waiting: number of images, macroscopic pictures not counted.
        mean: of the scored images' mean grades; None where none has one, and where areas were asked for.
        ci95: 95 % interval of that mean; None where fewer than three units were sampled.
        areas: the mean share of the scored images' area of each class, where that was asked for; else None.
        area_ci95: 95 % interval of the largest of these shares; None where fewer than three units were sampled.
        unit: what was sampled: `folders` or `images`.
        units: how many of them hold scored images.
        worst: None where no record tells one, and where areas were asked for.
        models: how many models the scored images are of; of more than one the mean compares what cannot be compared.
        synthetic: whether any of these was trained on synthetic images.
    """

    path: PurePath
    level: int
    alone: bool
    scored: int
    withheld: int
    failed: int
    waiting: int
    mean: float | None
    ci95: tuple[float, float] | None
    areas: dict[str, float] | None
    area_ci95: tuple[float, float] | None
    unit: str
    units: int
    worst: Worst | None
    models: int
    synthetic: bool

    @property
    def leading(self) -> str | None:
        """The class with the most area, the first of equals; None where there are no areas or none is scored."""
        areas = self.areas if self.areas and self.scored else {}
        return max(areas, key=areas.__getitem__, default=None)


_Values = tuple[float, ...]


class _Folder(msgspec.Struct):
    path: PurePath
    level: int
    children: dict[str, "_Folder"] = msgspec.field(default_factory=dict)
    # of each image: its mean grade, or without order the area of each class
    scores: list[_Values] = msgspec.field(default_factory=list)
    states: dict[State, int] = msgspec.field(default_factory=lambda: dict.fromkeys(State, 0))
    worst: Worst | None = None
    alone: bool = False
    models: set[tuple[str | None, str | None]] = msgspec.field(default_factory=set)
    synthetic: bool = False
    # over all below
    total: _Values = ()
    count: int = 0


WorstOf = Callable[[ImageRow, Path], Worst | None]


def fold(
    rows: Sequence[ImageRow],
    out: Path,
    grades: range,
    *,
    by_area: bool = False,
    worst_of: WorstOf | None = None,
) -> list[FolderFigures]:
    """Figures of the watched folder and of every folder below, each before those in it, in the order of their names.

    Args:
        rows: all images of a ledger.
        out: the results' folder, whose records tell the worst regions.
        grades: the numbers of the grades, see `grade_numbers`.
        by_area: whether to average the classes' areas, which all scored images have, and not mean grades, which images
            of grades without an order lack; see `has_classes`.
        worst_of: `worst_region`, or what remembers its answers.
    """
    root = _Folder(PurePath(), 0)
    classes = _classes(rows) if by_area else None
    for row in rows:
        # the folder alone tells; its pictures are no images of the study
        if folder_kind(row.path) != "macroscopic":
            _put(root, row, out, classes, worst_of or worst_region)
    _sum_up(root)
    return [_figures(folder, grades, classes) for folder in _walk(root)]


def grade_numbers(rows: Sequence[ImageRow]) -> range:
    """Return the numbers of the grades, from the lowest to the highest of all results; empty where no image has a mean
    grade, so that no axis is drawn for a scale that is not known."""
    scales = [
        (row.outcome.lowest_grade, len(json.loads(row.outcome.area_fraction)))
        for row in rows
        if row.outcome.area_fraction and row.outcome.score is not None
    ]
    if not scales:
        return range(0)
    return range(min(lowest for lowest, _ in scales), max(lowest + grades for lowest, grades in scales))


def has_classes(rows: Sequence[ImageRow]) -> bool:
    """Return whether any scored image has no mean grade, because its grades have no order."""
    return any(row.state is State.SCORED and row.outcome.score is None for row in rows)


def _classes(rows: Sequence[ImageRow]) -> tuple[str, ...]:
    """Names of all grades of the scored images."""
    areas = (json.loads(row.outcome.area_fraction or "{}") for row in rows if row.state is State.SCORED)
    return tuple(dict.fromkeys(name for each in areas for name in each))


def _put(root: _Folder, row: ImageRow, out: Path, classes: tuple[str, ...] | None, worst_of: WorstOf) -> None:
    folder = root
    for name in row.path.parts[:-1]:
        folder = folder.children.setdefault(name, _Folder(folder.path / name, folder.level + 1))
    folder.states[row.state] += 1
    values = _values(row, classes) if row.state is State.SCORED else None
    if values is not None:
        folder.scores.append(values)
        if classes is None:
            folder.worst = _worse(folder.worst, worst_of(row, out))
        folder.models.add((row.outcome.model, row.outcome.model_sha256))
        folder.synthetic |= bool(row.outcome.synthetic)


def _values(row: ImageRow, classes: tuple[str, ...] | None) -> _Values | None:
    """Return the contribution of a scored image: the area of each class, or its mean grade; None where it has none."""
    if classes is not None:
        areas = json.loads(row.outcome.area_fraction or "{}")
        return tuple(float(areas.get(name, 0.0)) for name in classes)
    return None if row.outcome.score is None else (row.outcome.score,)


def _sum_up(folder: _Folder) -> None:
    """Add to each folder what is below it, the deepest first."""
    for each in reversed(list(_walk(folder))):
        if len(each.children) == 1 and not any(each.states.values()):
            next(iter(each.children.values())).alone = True
        each.total = _added(each.scores)
        each.count += len(each.scores)
        for child in each.children.values():
            each.total = _added([values for values in (each.total, child.total) if values])
            each.count += child.count
            each.worst = _worse(each.worst, child.worst)
            each.models |= child.models
            each.synthetic |= child.synthetic
            for state, number in child.states.items():
                each.states[state] += number


def _added(values: Sequence[_Values]) -> _Values:
    return tuple(map(sum, zip(*values, strict=True)))


def _walk(folder: _Folder) -> Iterator[_Folder]:
    # a stack and not recursion: trees may be deeper than Python's
    pending = [folder]
    while pending:
        each = pending.pop()
        yield each
        pending += [child for _, child in sorted(each.children.items(), reverse=True)]


def _figures(folder: _Folder, grades: range, classes: tuple[str, ...] | None) -> FolderFigures:
    unit, sums, counts = _units(folder)
    means = [total / folder.count for total in folder.total]
    # the mean grade, or the largest share
    place = int(np.argmax(means)) if means else 0
    ci95 = None
    if counts:
        of_units = np.array([each[place] for each in sums], np.float64)
        low, high = (0.0, 1.0) if classes is not None else (grades[0], grades[-1]) if grades else (-math.inf, math.inf)
        ci95 = mean_interval(of_units, np.array(counts, np.int64), low, high)
    ordered = classes is None
    return FolderFigures(
        folder.path,
        folder.level,
        folder.alone,
        folder.states[State.SCORED],
        folder.states[State.WITHHELD],
        folder.states[State.FAILED],
        folder.states[State.WAITING],
        means[0] if ordered and means else None,
        ci95 if ordered else None,
        None if classes is None else dict(zip(classes, means or [0.0] * len(classes), strict=True)),
        None if ordered else ci95,
        unit,
        len(counts),
        folder.worst,
        len(folder.models),
        folder.synthetic,
    )


def _units(folder: _Folder) -> tuple[str, list[_Values], list[int]]:
    """What was sampled: the folder's sub-folders with scored images; where there is none, its images.

    A single sub-folder is no sample of any, but a step on the way to it. Images beside sub-folders count as one more.
    """
    while True:
        holding = [child for child in folder.children.values() if child.count]
        if len(holding) != 1 or folder.scores:
            break
        (folder,) = holding
    if not holding:
        return "images", folder.scores, [1] * len(folder.scores)
    own = [(_added(folder.scores), len(folder.scores))] if folder.scores else []
    pairs = [(child.total, child.count) for child in holding] + own
    return "folders", [total for total, _ in pairs], [count for _, count in pairs]


def worst_region(row: ImageRow, out: Path) -> Worst | None:
    """The worst region of an image by its record in the results' folder; None where that is missing, damaged, of
    another content or older."""
    record = read_record_file(out / row.outcome.score_file) if row.outcome.score_file else None
    try:
        if record is None or record["image"]["sha256"] != row.outcome.sha256:
            return None
        found = msgspec.convert(record["score"]["worst_region"], WorstRegion)
    except (KeyError, TypeError, msgspec.ValidationError):
        return None
    # Python takes NaN and Infinity for JSON
    if not all(map(math.isfinite, (found.mean, found.x_um, found.y_um, found.size_um))):
        return None
    return Worst(found.mean, row.path, found.x_um, found.y_um, found.size_um, found.slice)


def _worse(one: Worst | None, other: Worst | None) -> Worst | None:
    if one is None or other is None:
        return one or other
    return other if other.mean > one.mean else one
