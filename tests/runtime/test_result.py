"""The line a person reads for each image, and score.json there and back."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import result_of
from msgspec.structs import replace

from runtime.result import ImageRecord, ModelRecord, Result, Score, Timing, share_in_words, summary_line

IMAGE = ImageRecord("a/b.bmp", "0" * 64, 1000, 1000, 0.5, "vivascope")
MODEL = ModelRecord("m", "0" * 64, "onnxruntime-fp32", "fp32", synthetic=True)
TIMING = Timing(1.234, 2.0, 3.0, 6.234)


def result(score: Score | None, *reasons: str) -> Result:
    status = "withheld" if score is None else "scored"
    return Result(IMAGE, MODEL, status, reasons, score, None, "b.bmp.overlay.jpg", TIMING)


def test_scored_image() -> None:
    score = Score(2.347, 2, {"0": 1.0}, 0.0)
    assert summary_line(result(score)) == "a/b.bmp: 2.35 (grade 2)"
    some = summary_line(result(Score(2.347, 2, {"0": 1.0}, 0.25), "dark: x"))
    assert some == "a/b.bmp: 2.35 (grade 2); 25 % of the cells withheld"
    few = summary_line(result(Score(2.347, 2, {"0": 1.0}, 0.0003), "dark: x"))
    assert few == "a/b.bmp: 2.35 (grade 2); under 1 % of the cells withheld"


def unordered(areas: dict[str, float], grade: int, withheld: float = 0.0) -> Result:
    found = result(Score(None, grade, areas, withheld))
    return replace(found, model=replace(MODEL, ordered=False))


def test_without_order_the_class_with_the_most_area_is_said_and_no_number() -> None:
    line = summary_line(unordered({"healthy": 0.2, "pso\nriatic": 0.564, "other": 0.236}, 1, 0.25))
    assert line == "a/b.bmp: pso riatic · 56 % of the area; 25 % of the cells withheld"


@pytest.mark.parametrize(
    ("share", "said"), [(1.0, "100 %"), (0.9999, "over 99 %"), (0.994, "99 %"), (0.01, "1 %"), (0.004, "under 1 %")]
)
def test_share_is_never_rounded_to_all_or_nothing(share: float, said: str) -> None:
    assert share_in_words(share) == said


def test_ordered_score_is_called_what_the_bundle_says() -> None:
    score = Score(2.347, 2, {"none": 0.0, "mild": 0.5, "severe": 0.5}, 0.0)
    assert score.headline("Spongiosis") == "Spongiosis 2.3 · grade severe"


@pytest.mark.parametrize("grade", range(-1, 8))
def test_grade_of_a_scale_from_1_is_one_of_its_names(grade: int) -> None:
    found = result_of(score=float(grade), areas=dict.fromkeys("12345", 0.2))
    if not 1 <= grade <= 5:
        with pytest.raises(ValueError, match="not a record of inflamap"):
            Result.from_json(found.to_json())
        return
    score = Result.from_json(found.to_json()).score
    assert score is not None
    assert score.grade_name == str(grade)
    assert score.headline("Inflammation") == f"Inflammation {grade}.0 · grade {grade}"
    assert summary_line(found).startswith(f"a.bmp: {grade}.00 (grade {grade})")


def test_result_without_order_comes_back_from_its_document() -> None:
    found = unordered({"a": 0.4, "b": 0.6}, 1)
    document = json.loads(json.dumps(found.to_json()))
    assert document["score"]["mean"] is None
    assert document["score"]["grade"] == 1
    assert Result.from_json(document).score == found.score
    # records of earlier versions know no other grades than ordered ones
    del document["model"]["ordered"]
    with pytest.raises(ValueError, match="not a record of inflamap"):
        Result.from_json(document)


def test_withheld_image_gives_every_reason() -> None:
    assert summary_line(result(None, "dark: x", "blank: y")) == "a/b.bmp: withheld: dark: x; blank: y"


def test_json_rounds_times_and_keeps_none() -> None:
    document = result(None, "dark: x").to_json()
    assert document["timing_ms"]["read"] == 1.23
    assert document["score"] is None
    assert document["map"] is None
    assert list(document) == [
        "schema", "image", "model", "status", "reasons", "notes", "score", "map", "overlay", "slices", "timing_ms",
        "version", "notice",
    ]  # fmt: skip


DOCUMENT = result_of().to_json()
SCORE, MODEL_PART = DOCUMENT["score"], DOCUMENT["model"]

# what json.loads can give, NaN, lone surrogates and endless integers included
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -(10**400), 0])
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(document: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a document."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [place for key, value in inner for place in ((*above, key), *places(value, (*above, key)))]


@st.composite
def nearly_records(draw: st.DrawFn) -> Any:
    """Records in which one or two things are something else, or not there."""
    record = json.loads(json.dumps(result_of(status=draw(st.sampled_from(["scored", "withheld"]))).to_json()))
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from(places(record)))
        holder = record
        for key in way:
            holder = holder[key]
        if draw(st.booleans()):
            holder[last] = draw(ANY_JSON)
        else:
            del holder[last]
    return record


@pytest.mark.parametrize("status", ["scored", "withheld"])
def test_result_comes_back_from_its_document(status: str) -> None:
    written = result_of(status=status)
    assert Result.from_json(json.loads(json.dumps(written.to_json()))) == written


def test_document_with_keys_of_a_later_inflamap_is_read() -> None:
    later = copy.deepcopy(DOCUMENT) | {"later": 1}
    later["model"]["later"] = [1]
    assert Result.from_json(later) == result_of()


# what somebody's edit, another program or a damaged disk may leave in a score.json
MALFORMED = {
    "empty": {},
    "another schema": DOCUMENT | {"schema": "other/1"},
    "no status": DOCUMENT | {"status": None},
    "a status that is no result": DOCUMENT | {"status": "waiting"},
    "no reasons": {name: value for name, value in DOCUMENT.items() if name != "reasons"},
    "reasons numbers": DOCUMENT | {"reasons": [1]},
    "reason of no encoding": DOCUMENT | {"reasons": ["\udcff"]},
    "scored without score": DOCUMENT | {"score": None},
    "withheld with score": DOCUMENT | {"status": "withheld"},
    "score NaN": DOCUMENT | {"score": SCORE | {"mean": float("nan")}},
    "score null": DOCUMENT | {"score": SCORE | {"mean": None}},
    "grade too great": DOCUMENT | {"score": SCORE | {"grade": 10**30}},
    "areas a list": DOCUMENT | {"score": SCORE | {"area_fraction": [0.5]}},
    "areas words": DOCUMENT | {"score": SCORE | {"area_fraction": {"none": "much"}}},
    "timing words": DOCUMENT | {"timing_ms": "fast"},
    "model nameless": DOCUMENT | {"model": MODEL_PART | {"name": None}},
}


@pytest.mark.parametrize("document", MALFORMED.values(), ids=MALFORMED)
def test_malformed_document_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a record of inflamap"):
        Result.from_json(document)


@given(ANY_JSON)
def test_any_other_document_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        Result.from_json(document)


@given(nearly_records())
def test_document_with_something_wrong_is_read_or_refused_and_nothing_else(document: Any) -> None:
    before = repr(document)
    try:
        found = Result.from_json(document)
    except ValueError:
        return
    assert repr(document) == before
    assert (found.score is None) == (found.status == "withheld")
