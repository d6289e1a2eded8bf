"""The gate lets through what keeps the grades, and nothing else."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace
from sklearn.metrics import cohen_kappa_score

from runtime.gate import (
    ACCURACY_LOSS,
    CHANGED_MARGIN,
    INT8_SHARE,
    KAPPA,
    PLAIN_KAPPA,
    SHIFT_GRADES,
    UNCHANGED,
    Cells,
    GateFigures,
    Strangers,
    Verdict,
    compare,
)

KEPT = GateFigures(
    cells=100,
    unchanged=1.0,
    changed_margin=0.0,
    shift=0.0,
    kappa=1.0,
    accuracy_loss=0.0,
    withholding_changed=0.0,
)


def cells(probabilities: object, unfamiliarity: object = 0.5) -> Cells:
    rows = np.asarray(probabilities, np.float32)
    return Cells(rows, np.broadcast_to(np.asarray(unfamiliarity, np.float32), len(rows)).copy())


def sure(*grades: int, of: int = 5) -> Cells:
    """Cells that are all but certain of their grade."""
    return cells(np.eye(of)[list(grades)])


@st.composite
def some_cells(draw: Callable[..., int]) -> Cells:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, grades = draw(st.integers(1, 60)), draw(st.integers(2, 6))
    return Cells(
        rng.dirichlet(np.full(grades, 0.5), count).astype(np.float32), rng.uniform(0, 2, count).astype(np.float32)
    )


@given(some_cells(), st.booleans())
def test_identical_answers_always_pass(found: Cells, scored: bool) -> None:
    medians = found.probabilities.argmax(1) if scored else None
    figures = compare(found, found, medians, unfamiliar=1.0, ordered=True)
    assert figures.misses() == ()
    assert (figures.unchanged, figures.shift, figures.changed_margin, figures.withholding_changed) == (1, 0, 0, 0)
    assert figures.kappa in (None, 1.0)


@given(some_cells(), st.data())
def test_a_nan_never_passes(reference: Cells, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(reference) - 1))
    spoilt = reference.probabilities.copy()
    spoilt[row, data.draw(st.integers(0, spoilt.shape[1] - 1))] = np.nan
    figures = compare(reference, Cells(spoilt, reference.unfamiliarity), unfamiliar=1.0, ordered=True)
    assert figures.misses()
    json.dumps(figures.to_json(), allow_nan=False)


def test_an_unfamiliarity_that_is_no_number_withholds() -> None:
    reference = sure(0, 1, 2)
    figures = compare(
        reference, Cells(reference.probabilities, np.full(3, np.nan, np.float32)), unfamiliar=1.0, ordered=True
    )
    assert figures.withholding_changed == 1.0
    assert figures.misses()


@given(some_cells(), st.integers(0, 2**32 - 1))
def test_figures_are_those_of_their_definitions(reference: Cells, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grades = reference.probabilities.shape[1]
    mixed = 0.8 * reference.probabilities + 0.2 * rng.dirichlet(np.ones(grades), len(reference))
    found = Cells(mixed.astype(np.float32), rng.uniform(0, 2, len(reference)).astype(np.float32))
    medians = rng.integers(0, grades, len(reference))
    figures = compare(reference, found, medians, unfamiliar=1.0, ordered=True)

    wanted, given_grades = reference.probabilities.argmax(1), found.probabilities.argmax(1)
    expected = [cells_.probabilities.astype(np.float64) @ np.arange(grades) for cells_ in (reference, found)]
    assert figures.cells == len(reference)
    assert figures.unchanged == pytest.approx(np.mean(wanted == given_grades))
    assert figures.shift == pytest.approx(np.abs(expected[0] - expected[1]).mean(), abs=1e-6)
    assert figures.accuracy_loss == pytest.approx(np.mean(wanted == medians) - np.mean(given_grades == medians))
    assert figures.withholding_changed == pytest.approx(
        np.mean((reference.unfamiliarity > 1) != (found.unfamiliarity > 1))
    )
    two = np.sort(reference.probabilities, axis=1)[:, -2:]
    margins = (two[:, 1] - two[:, 0])[wanted != given_grades]
    assert figures.changed_margin == pytest.approx(margins.max() if len(margins) else 0.0)
    if len(set(wanted)) == 1:
        assert figures.kappa is None
    else:
        kappa = cohen_kappa_score(wanted, given_grades, weights="quadratic", labels=range(grades))
        assert figures.kappa == pytest.approx(kappa)


def test_accuracy_is_judged_only_where_somebody_scored_the_patches() -> None:
    assert compare(sure(0, 1), sure(0, 1), unfamiliar=1.0, ordered=True).accuracy_loss is None


@pytest.mark.parametrize(
    ("name", "kept", "missed", "said"),
    [
        ("unchanged", UNCHANGED, UNCHANGED - 1e-6, "of the grades unchanged"),
        ("changed_margin", CHANGED_MARGIN - 1e-6, CHANGED_MARGIN, "a grade changed where FP32's margin"),
        ("shift", SHIFT_GRADES, SHIFT_GRADES + 1e-6, "the expected grade shifts"),
        ("kappa", KAPPA, KAPPA - 1e-6, "kappa"),
        ("accuracy_loss", ACCURACY_LOSS, ACCURACY_LOSS + 1e-6, "accuracy lower by"),
        ("withholding_changed", 1 - UNCHANGED, 1 - UNCHANGED + 1e-6, "newly withheld or shown"),
    ],
)
def test_each_limit_at_its_edge(name: str, kept: float, missed: float, said: str) -> None:
    assert replace(KEPT, **{name: kept}).misses() == ()
    for value in (missed, float("nan")):
        (miss,) = replace(KEPT, **{name: value}).misses()
        assert said in miss


def test_limits_are_those_that_the_documents_promise() -> None:
    assert (UNCHANGED, CHANGED_MARGIN, SHIFT_GRADES) == (0.98, 0.1, 0.02)
    assert (KAPPA, PLAIN_KAPPA, ACCURACY_LOSS, INT8_SHARE) == (0.99, 0.97, 0.005, 0.8)


def test_a_miss_names_the_figure_and_its_limit_in_units_that_a_person_reads() -> None:
    spoilt = GateFigures(
        cells=100,
        unchanged=0.9725,
        changed_margin=0.125,
        shift=0.0312,
        kappa=0.9876,
        accuracy_loss=0.0125,
        withholding_changed=0.0312,
    )
    assert spoilt.misses() == (
        "0.9725 of the grades unchanged, wanted 0.98",
        "a grade changed where FP32's margin is 0.125, wanted below 0.1",
        "0.0312 of the patches newly withheld or shown, wanted at most 0.02",
        "the expected grade shifts by 0.0312 on average, wanted at most 0.02",
        "kappa 0.9876, wanted 0.99",
        "accuracy lower by 1.25 points, wanted at most 0.5",
    )


def test_a_loss_of_half_a_point_is_kept_whatever_the_accuracy() -> None:
    """As a difference of two means it lies above the limit for most accuracies."""
    reference = sure(*[0] * 400)
    for right in range(2, 401):
        medians = np.array([0] * right + [1] * (400 - right))
        figures = compare(reference, sure(1, 1, *[0] * 398), medians, unfamiliar=1.0, ordered=True)
        assert figures.accuracy_loss == ACCURACY_LOSS
        assert not any("accuracy" in miss for miss in figures.misses())


def test_without_order_classes_are_compared_and_no_distance_of_numbers() -> None:
    # one class in 100 taken for its neighbour, or for the one farthest away: the same to grades without an order
    reference = sure(*[0, 1, 2, 3, 4] * 80)
    near, far = (
        compare(reference, found, unfamiliar=1.0, ordered=False)
        for found in (
            sure(*[1, 1, 2, 3, 4] * 4, *[0, 1, 2, 3, 4] * 76),
            sure(*[4, 1, 2, 3, 4] * 4, *[0, 1, 2, 3, 4] * 76),
        )
    )
    assert near.shift is None
    assert near.kappa == pytest.approx(far.kappa, abs=1e-3)
    assert near.distance == far.distance == pytest.approx(0.01)
    assert near.movement == near.distance
    wanted, given = reference.probabilities.argmax(1), np.array([4, 1, 2, 3, 4] * 4 + [0, 1, 2, 3, 4] * 76)
    assert far.kappa == pytest.approx(cohen_kappa_score(wanted, given))


def test_without_order_no_miss_is_about_the_expected_grade() -> None:
    kept = replace(KEPT, shift=None, distance=0.3)
    assert kept.misses() == ()
    missed = replace(kept, unchanged=0.5, kappa=0.96, distance=float("nan"))
    said = "; ".join(missed.misses())
    assert "expected grade" not in said
    assert "0.5000 of the grades unchanged" in said
    assert "kappa 0.9600, wanted 0.97" in said
    assert "the probabilities move by nan" in said


@given(some_cells())
def test_identical_answers_pass_without_order_too(found: Cells) -> None:
    figures = compare(found, found, found.probabilities.argmax(1), unfamiliar=1.0, ordered=False)
    assert figures.misses() == ()
    assert (figures.shift, figures.distance) == (None, 0.0)


@given(some_cells(), st.data())
def test_a_nan_never_passes_without_order(reference: Cells, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(reference) - 1))
    spoilt = reference.probabilities.copy()
    spoilt[row, data.draw(st.integers(0, spoilt.shape[1] - 1))] = np.nan
    figures = compare(reference, Cells(spoilt, reference.unfamiliarity), unfamiliar=1.0, ordered=False)
    assert figures.misses()


def test_every_miss_is_named_and_says_where() -> None:
    bad = replace(KEPT, unchanged=0.5, kappa=0.2)
    assert Verdict(bad, bad, Strangers(40, 3), 0.5).misses() == (
        "patches: 0.5000 of the grades unchanged, wanted 0.98",
        "patches: kappa 0.2000, wanted 0.99",
        "frames: 0.5000 of the grades unchanged, wanted 0.98",
        "frames: kappa 0.2000, wanted 0.99",
        "3 of 40 patches that are no skin are shown, wanted none",
        "0.500 of the multiply-accumulates run in INT8, wanted 0.8",
    )


def test_a_verdict_needs_frames_and_int8_where_it_is_asked_for() -> None:
    strangers = Strangers(40, 0)
    assert Verdict(KEPT, KEPT, strangers, None).passed
    assert Verdict(KEPT, KEPT, strangers, INT8_SHARE).passed
    assert not Verdict(KEPT, KEPT, strangers, INT8_SHARE - 1e-6).passed
    assert not Verdict(KEPT, KEPT, strangers, float("nan")).passed
    assert Verdict(KEPT, None, strangers, None).misses() == ("frames: no cell to judge by",)


def test_document_of_a_verdict() -> None:
    document = Verdict(KEPT, None, Strangers(40, 0), 0.91234567).to_json()
    assert document == {
        "passed": False,
        "misses": ["frames: no cell to judge by"],
        "patches": asdict(KEPT),
        "frames": None,
        "strangers": {"patches": 40, "shown": 0},
        "int8_share": 0.9123,
    }


@pytest.mark.parametrize(
    ("name", "kept", "missed"),
    [
        ("unchanged", 0.98, 0.9799),
        ("changed_margin", 0.0999, 0.1),
        ("shift", 0.02, 0.0201),
        ("kappa", 0.99, 0.9899),
        ("accuracy_loss", 0.005, 0.0051),
        ("withholding_changed", 0.02, 0.0201),
    ],
)
def test_limits_are_the_documented_numbers(name: str, kept: float, missed: float) -> None:
    """Exactly at the number each is kept, but for the margin, which has to be below."""
    assert replace(KEPT, **{name: kept}).misses() == ()
    assert len(replace(KEPT, **{name: missed}).misses()) == 1


@pytest.mark.parametrize(("kappa", "kept"), [(0.97, True), (0.9699, False)])
def test_plain_kappa_has_a_limit_of_its_own(kappa: float, kept: bool) -> None:
    assert (replace(KEPT, shift=None, distance=0.0, kappa=kappa).misses() == ()) == kept


@pytest.mark.parametrize(("share", "kept"), [(0.8, True), (0.7999, False)])
def test_share_of_int8_is_four_fifths(share: float, kept: bool) -> None:
    assert Verdict(KEPT, KEPT, Strangers(10, 0), share).passed == kept


def test_patch_exactly_as_unfamiliar_as_allowed_is_shown() -> None:
    edge, beyond = cells([[1, 0]], 1.0), cells([[1, 0]], np.nextafter(np.float32(1), np.float32(2)))
    assert compare(edge, edge, unfamiliar=1.0, ordered=True).withholding_changed == 0.0
    assert compare(edge, beyond, unfamiliar=1.0, ordered=True).withholding_changed == 1.0
