"""The scale of a result is its own, whatever model runs now."""

from pathlib import Path
from typing import Any

import pytest
from made_up import result_of

from runtime.viewer.scales import scale_of_record
from runtime.viewer.setup import Scale

GRADES = ("none", "mild", "severe")
CURRENT = Scale(GRADES, True, "Dryness", ("t" * 64,))
UNORDERED = Scale(GRADES, False, "Dryness", ("t" * 64,))


def record(*, mean: float | None = 2.25, model: str = "tiny", **changes: Any) -> dict[str, Any]:
    """A score.json; `changes` of its model."""
    found = result_of(Path("a.bmp"), model=model, **({} if "areas" not in changes else {"areas": changes.pop("areas")}))
    document = found.to_json()
    document["score"]["mean"] = mean
    document["model"] = {
        key: value for key, value in (document["model"] | changes).items() if key in ("sha256", *changes)
    }
    return document


def test_of_the_model_that_runs() -> None:
    found = scale_of_record(record(), CURRENT)
    assert found == {"grades": GRADES, "ordered": True, "quantity": "Dryness", "current": True}


def test_of_an_earlier_model_with_other_grades_and_an_unknown_quantity() -> None:
    found = scale_of_record(record(model="other", areas={"2": 0.5, "1": 0.5}), CURRENT)
    # in the order of the record, which JavaScript would not keep
    assert found == {"grades": ("2", "1"), "ordered": True, "quantity": None, "current": False}


def test_a_record_that_tells_of_its_quantity_and_order_is_believed() -> None:
    found = scale_of_record(record(mean=None, model="other", ordered=False, quantity="Redness"), CURRENT)
    assert found == {"grades": GRADES, "ordered": False, "quantity": "Redness", "current": False}


@pytest.mark.parametrize("mean", [None, 1.5])
def test_grades_known_to_have_no_order_have_none_whatever_the_record_says(mean: float | None) -> None:
    found = scale_of_record(record(mean=mean), UNORDERED)
    assert found is not None
    assert (found["ordered"], found["current"]) == (False, True)


@pytest.mark.parametrize("document", [{}, {"score": None, "model": {}}, {"score": {"mean": 1.0}, "model": {}}])
def test_a_record_without_grades_has_no_scale(document: dict[str, Any]) -> None:
    assert scale_of_record(document, CURRENT) is None
    one = record()
    one["score"]["area_fraction"] = {"only": 1.0}
    assert scale_of_record(one, CURRENT) is None
