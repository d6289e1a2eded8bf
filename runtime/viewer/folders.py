"""The page's table of folders: what `/api/folders` answers."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from operator import add
from pathlib import Path, PurePath
from typing import Any

from msgspec.structs import replace

from runtime.folder_report import FolderFigures, Worst, fold
from runtime.grade_names import lowest_grade
from runtime.ledger import ImageRow, State
from runtime.viewer.setup import Scale


def folder_table(
    rows: Sequence[ImageRow],
    out: Path,
    scale: Scale,
    *,
    name: Callable[[PurePath], str],
    id_of: Callable[[PurePath], str | None],
    worst_of: Callable[[ImageRow, Path], Worst | None],
) -> list[dict[str, Any]]:
    """Return one entry for the watched folder and each folder below it that holds images.

    Means, intervals and `areas` (mean share of each grade's area, of grades without order) are taken over the results
    on the scale of the running model. `others` is the number of results on another scale, which cannot be averaged
    with them.

    Args:
        rows: all images of the ledger.
        out: the results' folder.
        scale: of the model that the watch runs.
        name: what a path is called on the page.
        id_of: the id of an image, None where the page does not hold it.
        worst_of: the worst region of an image.
    """
    shares = [_shares(row, scale) for row in rows]
    lowest = lowest_grade(scale.grades)
    figures = fold(
        [row if scale.ordered and found else _without_score(row) for row, found in zip(rows, shares, strict=True)],
        out,
        range(lowest, lowest + len(scale.grades)),
        worst_of=worst_of,
    )
    areas: dict[PurePath, list[float]] = {}
    counted: Counter[PurePath] = Counter()
    others: Counter[PurePath] = Counter()
    for row, found in zip(rows, shares, strict=True):
        if row.state is not State.SCORED:
            continue
        if found is None:
            others.update(row.path.parents)
            continue
        counted.update(row.path.parents)
        for folder in row.path.parents:
            areas[folder] = [*map(add, areas.get(folder, [0.0] * len(found)), found)]
    table = []
    for each in figures:
        entry = _entry(each, name, id_of)
        images = counted[each.path]
        entry["areas"] = [area / images for area in areas[each.path]] if images and not scale.ordered else None
        entry["others"] = others[each.path]
        table.append(entry)
    return table


def _entry(
    each: FolderFigures, name: Callable[[PurePath], str], id_of: Callable[[PurePath], str | None]
) -> dict[str, Any]:
    worst = each.worst
    return {
        "name": name(each.path / "x").rpartition("/")[0] if each.path.parts else "all",
        "level": each.level,
        "alone": each.alone,
        "scored": each.scored,
        "withheld": each.withheld,
        "failed": each.failed,
        "waiting": each.waiting,
        "mean": each.mean,
        "ci95": each.ci95,
        "worst": None
        if worst is None
        else {
            "id": id_of(worst.image),
            "name": name(worst.image),
            **{key: getattr(worst, key) for key in ("mean", "x_um", "y_um", "size_um", "slice")},
        },
        "models": each.models,
    }


def _shares(row: ImageRow, scale: Scale) -> list[float] | None:
    """Return the share of each grade's area, None for a result that is not on the scale."""
    outcome = row.outcome
    areas = json.loads(outcome.area_fraction) if outcome.area_fraction else {}
    if tuple(areas) != scale.grades or (scale.ordered and outcome.score is None):
        return None
    return list(areas.values())


def _without_score(row: ImageRow) -> ImageRow:
    return replace(row, outcome=replace(row.outcome, score=None))
