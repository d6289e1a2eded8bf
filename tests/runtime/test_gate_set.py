"""What engines are compared on finds whatever an engine gets wrong: on patches, on frames, on what is no skin."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import gate_set
from runtime.dense_map import dense_map
from runtime.engines import EngineOutput
from runtime.gate import Cells
from runtime.gate_set import FRAME_PATCHES, GateSet, mosaics, strange
from runtime.model import Model
from runtime.quality import STRANGE, QualityLimits


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


def made(
    model: Model,
    skin: npt.NDArray[np.uint8],
    frames: list[npt.NDArray[np.uint8]],
    limits: QualityLimits | None = None,
    *,
    ordered: bool = True,
) -> GateSet:
    """Four patches of skin, and frames."""
    geometry = model.bundle.geometry
    patches = np.stack([skin[:128, left : left + 128] for left in (0, 90, 180, 270)])
    answers = Cells.of(dense_map(patch, model.engine, geometry) for patch in patches)
    medians = answers.probabilities.argmax(1)
    return GateSet.of(
        patches,
        medians,
        answers,
        frames,
        model.engine,
        geometry,
        limits or model.bundle.manifest.quality,
        ordered=ordered,
    )


@pytest.fixture(autouse=True)
def _few_cells_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_set, "LEAST_CELLS", 1)


@pytest.fixture
def gate(model: Model, skin: npt.NDArray[np.uint8]) -> GateSet:
    """Its second frame is black, its third no skin."""
    # squares, for grain of single pixels is known as such without the network
    squares = np.random.default_rng(0).integers(0, 256, (36, 32), np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    return made(model, skin, [skin[:200, :300], np.zeros((144, 128), np.uint8), squares])


def test_only_cells_that_would_be_shown_are_judged(gate: GateSet, model: Model) -> None:
    assert gate.fit.tolist() == [True] * (5 * 11) + [False] * 2 + [True] * 2
    assert gate.shown.tolist() == [True] * (5 * 11) + [False] * 4
    assert gate.mosaics == 0
    verdict = gate.judge(model.engine)
    assert verdict.passed
    assert verdict.patches.cells == 4
    assert verdict.frames is not None
    assert verdict.frames.cells == 5 * 11


def test_without_order_an_engine_is_judged_by_its_classes(model: Model, skin: npt.NDArray[np.uint8]) -> None:
    gate = made(model, skin, [skin], ordered=False)

    def blurred(output: EngineOutput) -> EngineOutput:
        # less sure, so that the expected grade moves, and of the same class
        even = 1 / output.probabilities.shape[1]
        return EngineOutput(0.5 * output.probabilities + np.float32(0.5 * even), output.unfamiliarity)

    for engine in (Shifted(model, lambda output: output), Shifted(model, blurred)):
        verdict = gate.judge(engine)  # type: ignore[arg-type]
        assert verdict.frames is not None
        for figures in (verdict.patches, verdict.frames):
            assert figures.shift is None
            assert figures.unchanged == 1
        assert not verdict.misses()
    assert verdict.patches.movement > 0.1
    assert made(model, skin, [skin]).judge(Shifted(model, blurred)).misses()  # type: ignore[arg-type]


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


def test_an_engine_that_shows_everything_fails(gate: GateSet, model: Model) -> None:
    """Its grades are all right, and no patch that was held out is unlike skin."""
    reckless = Shifted(
        model, lambda output: EngineOutput(output.probabilities, np.minimum(output.unfamiliarity, np.float32(1)))
    )
    verdict = gate.judge(reckless)
    assert verdict.patches.misses() == ()
    assert verdict.misses() == (
        # the two cells of squares, of 57
        "frames: 0.0351 of the patches newly withheld or shown, wanted at most 0.02",
        f"{len(gate.strangers)} of {len(gate.strangers)} patches that are no skin are shown, wanted none",
    )


def test_strangers_are_what_the_reference_withholds_beyond_doubt(gate: GateSet, model: Model) -> None:
    assert len(gate.strangers) == 4
    for stranger in gate.strangers:
        assert dense_map(stranger, model.engine, gate.geometry).unfamiliarity[0, 0] >= STRANGE


def test_a_model_that_finds_nothing_strange_is_asked_nothing_of_it(model: Model, skin: npt.NDArray[np.uint8]) -> None:
    trusting = made(model, skin, [skin], QualityLimits(unfamiliar=1e9))
    assert len(trusting.strangers) == 0
    assert trusting.judge(model.engine).passed


def test_without_frames_or_cells_to_show_mosaics_are_judged(model: Model, skin: npt.NDArray[np.uint8]) -> None:
    for frames in ([], [np.zeros((128, 128), np.uint8)]):
        without = made(model, skin, frames)
        assert without.mosaics == 1
        assert len(without.frames) == len(frames) + 1
        verdict = without.judge(model.engine)
        assert verdict.frames is not None
        assert verdict.frames.cells > 100
        assert verdict.passed


@pytest.mark.parametrize(("least", "laid"), [(55, 0), (56, 1)])
def test_where_frames_show_too_few_cells_mosaics_are_added(
    least: int, laid: int, model: Model, skin: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cell that changes would be more than the gate allows of all."""
    monkeypatch.setattr(gate_set, "LEAST_CELLS", least)
    found = made(model, skin, [skin[:200, :300]])
    assert found.mosaics == laid
    np.testing.assert_array_equal(found.frames[0], skin[:200, :300])
    assert (found.shown.sum() > 55) == bool(laid)


def test_limits_come_from_the_bundle_and_where_nothing_is_shown_nothing_is_proved(
    model: Model, skin: npt.NDArray[np.uint8]
) -> None:
    nothing_familiar = made(model, skin, [skin], QualityLimits(unfamiliar=0.0))
    assert not nothing_familiar.shown.any()
    assert nothing_familiar.judge(model.engine).misses() == ("frames: no cell to judge by",)


@given(count=st.integers(1, 120), side=st.sampled_from([110, 200, 600]), most=st.integers(1, 4))
def test_mosaics_hold_whole_patches_from_all_over(count: int, side: int, most: int) -> None:
    patches = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((1, side, side), np.uint8)
    laid = mosaics(patches, most)
    across = max(FRAME_PATCHES, gate_set.MOSAIC_PX // side)
    assert 1 <= len(laid) <= most
    numbers = np.concatenate([mosaic[::side, ::side].ravel() for mosaic in laid]).astype(int)
    if count < across**2:
        np.testing.assert_array_equal(numbers, np.arange(across**2) % count)
    else:
        # in order, first and last among them, none twice
        assert (np.diff(numbers) > 0).all()
        assert (numbers[0], numbers[-1]) == (0, count - 1)
    for mosaic in laid:
        assert mosaic.shape == (across * side, across * side)
        np.testing.assert_array_equal(mosaic, np.kron(mosaic[::side, ::side], np.ones((side, side), np.uint8)))


@given(count=st.integers(1, 130))
def test_strange_patches_are_shuffled_ones_from_all_over(count: int) -> None:
    patches = np.random.default_rng(count).integers(0, 256, (count, 8, 8), np.uint8)
    found = strange(patches)
    assert len(found) == min(count, gate_set.MOST_STRANGERS)
    for mixed, patch in ((found[0], patches[0]), (found[-1], patches[-1])):
        np.testing.assert_array_equal(np.sort(mixed.ravel()), np.sort(patch.ravel()))
    np.testing.assert_array_equal(found, strange(patches))
