"""The scale of a result, which may stem from an earlier model than the one that the watch runs."""

import json
from typing import Any

import msgspec

from runtime.ledger import ImageRow, State
from runtime.viewer.setup import Scale


class OnScale(msgspec.Struct, frozen=True):
    """A result as its own scale reads it; see `runtime.viewer.session.Entry` for the fields."""

    score: float | None = None
    grade: int | None = None
    share: float | None = None
    grades: tuple[str, ...] | None = None


def on_scale(row: ImageRow, current: Scale) -> OnScale:
    """Return the result of a row; nothing where it is not scored now."""
    outcome = row.outcome
    if row.state is not State.SCORED:
        return OnScale()
    areas: dict[str, float] = json.loads(outcome.area_fraction) if outcome.area_fraction else {}
    grades = None if tuple(areas) == current.grades else tuple(areas)
    # a mean of classes that are known to have no order means nothing, whichever version computed it
    if outcome.score is not None and (current.ordered or grades is not None):
        return OnScale(outcome.score, outcome.grade, None, grades)
    if not areas:
        return OnScale(grades=grades)
    largest = max(areas, key=lambda name: areas[name])
    return OnScale(None, list(areas).index(largest), areas[largest], grades)


def scale_of_record(record: dict[str, Any], current: Scale) -> dict[str, Any] | None:
    """Return the scale of a score.json for the page; None where it has no score, or names no grades.

    Returns:
        `grades`: list of names; `ordered`; `quantity`: None where the record does not tell what an earlier model
        scored; `current`: whether it is the scale of the model that the watch runs.
    """
    try:
        score, model = record["score"], record["model"]
        grades = tuple(map(str, score["area_fraction"]))
        mean, is_current = score["mean"], model["sha256"] in current.models
    except (KeyError, TypeError):
        return None
    if len(grades) < 2:
        return None
    same = grades == current.grades
    ordered = mean is not None and model.get("ordered") is not False and (current.ordered or not same)
    return {
        "grades": grades,
        "ordered": ordered,
        "quantity": model.get("quantity", current.quantity if is_current else None),
        "current": same and ordered == current.ordered,
    }
