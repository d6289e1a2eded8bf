"""The gate lets through what keeps the grades, and nothing else."""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from runtime.dense_map import dense_map
from runtime.engines import EngineOutput
from runtime.gate import (
    ACCURACY_LOSS,
    CHANGED_MARGIN,
    INT8_SHARE,
    KAPPA,
    SHIFT_GRADES,
    UNCHANGED,
    Cells,
    GateFigures,
    GateSet,
    Verdict,
    compare,
)
from runtime.quality import QualityLimits
from runtime.scoring import Model

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
    figures = compare(found, found, medians, unfamiliar=1.0)
    assert figures.misses() == ()
    assert (figures.unchanged, figures.shift, figures.changed_margin, figures.withholding_changed) == (1, 0, 0, 0)
    assert figures.kappa in (None, 1.0)


@given(some_cells(), st.data())
def test_a_nan_never_passes(reference: Cells, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(reference) - 1))
    spoilt = reference.probabilities.copy()
    spoilt[row, data.draw(st.integers(0, spoilt.shape[1] - 1))] = np.nan
    figures = compare(reference, Cells(spoilt, reference.unfamiliarity), unfamiliar=1.0)
    assert figures.misses()
    json.dumps(figures.to_json(), allow_nan=False)


def test_an_unfamiliarity_that_is_no_number_withholds() -> None:
    reference = sure(0, 1, 2)
    figures = compare(reference, Cells(reference.probabilities, np.full(3, np.nan, np.float32)), unfamiliar=1.0)
    assert figures.withholding_changed == 1.0
    assert figures.misses()


@given(some_cells(), st.integers(0, 2**32 - 1))
def test_figures_are_those_of_their_definitions(reference: Cells, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grades = reference.probabilities.shape[1]
    mixed = 0.8 * reference.probabilities + 0.2 * rng.dirichlet(np.ones(grades), len(reference))
    found = Cells(mixed.astype(np.float32), rng.uniform(0, 2, len(reference)).astype(np.float32))
    medians = rng.integers(0, grades, len(reference))
    figures = compare(reference, found, medians, unfamiliar=1.0)

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
    assert compare(sure(0, 1), sure(0, 1), unfamiliar=1.0).accuracy_loss is None


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
    assert dataclasses.replace(KEPT, **{name: kept}).misses() == ()
    for value in (missed, float("nan")):
        (miss,) = dataclasses.replace(KEPT, **{name: value}).misses()
        assert said in miss


def test_every_miss_is_named_and_says_where() -> None:
    bad = dataclasses.replace(KEPT, unchanged=0.5, kappa=0.2)
    assert Verdict(bad, bad, 0.5).misses() == (
        "patches: 0.5000 of the grades unchanged, wanted 0.98",
        "patches: kappa 0.2000, wanted 0.99",
        "frames: 0.5000 of the grades unchanged, wanted 0.98",
        "frames: kappa 0.2000, wanted 0.99",
        "0.500 of the multiply-accumulates run in INT8, wanted 0.8",
    )
    assert Verdict(KEPT, None, None).passed
    assert Verdict(KEPT, KEPT, INT8_SHARE).passed
    assert not Verdict(KEPT, KEPT, INT8_SHARE - 1e-6).passed
    assert not Verdict(KEPT, KEPT, float("nan")).passed


def test_document_of_a_verdict() -> None:
    document = Verdict(KEPT, None, 0.91234567).to_json()
    assert document == {
        "passed": True,
        "misses": [],
        "patches": dataclasses.asdict(KEPT),
        "frames": None,
        "int8_share": 0.9123,
    }


class Shifted:
    """The shipped engine, whose answers `change` alters."""

    precision = "fp32"
    name = "onnxruntime-fp32"

    def __init__(self, model: Model, change: Callable[[EngineOutput], EngineOutput]) -> None:
        self._model, self._change = model, change

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        return self._change(self._model.engine.run(images))

    def int8_share(self) -> None:
        return None


@pytest.fixture
def gate(model: Model, skin: npt.NDArray[np.uint8]) -> GateSet:
    """Four patches of skin, and two frames of which the second is black."""
    geometry, limits = model.bundle.geometry, model.bundle.manifest.quality
    patches = np.stack([skin[:128, left : left + 128] for left in (0, 90, 180, 270)])
    answers = Cells.of(dense_map(patch, model.engine, geometry) for patch in patches)
    frames = [skin[:200, :300], np.zeros((144, 128), np.uint8)]
    return GateSet.of(patches, None, answers, frames, model.engine, geometry, limits)


def test_only_cells_that_would_be_shown_are_judged(gate: GateSet, model: Model) -> None:
    assert gate.shown.tolist() == [True] * (5 * 11) + [False] * 2
    verdict = gate.judge(model.engine)
    assert verdict.passed
    assert verdict.patches.cells == 4
    assert verdict.frames is not None
    assert verdict.frames.cells == 5 * 11


def test_an_engine_that_is_wrong_on_frames_alone_fails(gate: GateSet, model: Model) -> None:
    def on_frames(output: EngineOutput) -> EngineOutput:
        if output.unfamiliarity[0].size == 1:
            return output
        return EngineOutput(output.probabilities[:, ::-1], output.unfamiliarity)

    misses = gate.judge(Shifted(model, on_frames)).misses()
    assert misses
    assert all(miss.startswith("frames: ") for miss in misses)


def test_an_engine_that_withholds_more_fails(gate: GateSet, model: Model) -> None:
    careful = Shifted(model, lambda output: EngineOutput(output.probabilities, output.unfamiliarity + 9))
    assert "patches: 1.0000 of the patches newly withheld or shown, wanted at most 0.02" in gate.judge(careful).misses()


def test_without_frames_or_cells_to_show_patches_alone_are_judged(gate: GateSet, model: Model) -> None:
    geometry, limits = model.bundle.geometry, model.bundle.manifest.quality
    for frames in ([], [np.zeros((128, 128), np.uint8)]):
        without = GateSet.of(gate.patches, None, gate.on_patches, frames, model.engine, geometry, limits)
        assert without.judge(model.engine).frames is None


def test_limits_come_from_the_bundle(gate: GateSet, model: Model) -> None:
    nothing_familiar = GateSet.of(
        gate.patches,
        None,
        gate.on_patches,
        list(gate.frames),
        model.engine,
        model.bundle.geometry,
        QualityLimits(unfamiliar=0.0),
    )
    assert not nothing_familiar.shown.any()
