"""Golden frames find an engine that is off, and forgive what says nothing."""

import numpy as np
import pytest

from runtime.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from runtime.bundle_arrays import GoldenFrames
from runtime.engines import EngineOutput
from runtime.engines.registry import MODEL_FILES, check_golden_frames
from runtime.errors import CheckFailed
from runtime.golden import golden_difference
from runtime.model import Model


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def golden(bundle: Bundle) -> GoldenFrames:
    return bundle.golden_frames()


def changed(
    golden: GoldenFrames, place: tuple[int, int, int], probability: float, unfamiliarity: float
) -> EngineOutput:
    """The golden answers, those of one cell off by something."""
    output = EngineOutput(golden.probabilities.copy(), golden.unfamiliarity.copy())
    output.probabilities[(place[0], 0, *place[1:])] += probability
    output.unfamiliarity[place] += unfamiliarity
    return output


def cell(golden: GoldenFrames, *, familiar: bool) -> tuple[int, int, int]:
    wanted = golden.unfamiliarity < 0.9 if familiar else golden.unfamiliarity > 1.5
    image, row, column = np.argwhere(wanted)[0].tolist()
    return image, row, column


def test_shipped_golden_frames_show_skin_of_several_grades_and_withhold_what_is_none(golden: GoldenFrames) -> None:
    shown = golden.unfamiliarity <= 1
    assert shown.mean() > 0.5
    assert (golden.unfamiliarity > 1.5).any()
    assert len(set(golden.probabilities.argmax(1)[shown].tolist())) >= 3


def test_differences_are_the_largest_over_all_cells(golden: GoldenFrames) -> None:
    exact = golden_difference(EngineOutput(golden.probabilities, golden.unfamiliarity), golden, 1.0)
    assert (exact.probability, exact.unfamiliarity) == (0, 0)
    off = golden_difference(changed(golden, cell(golden, familiar=True), 0.25, -0.125), golden, 1.0)
    assert off.probability == pytest.approx(0.25, abs=1e-6)
    assert off.unfamiliarity == pytest.approx(0.125, abs=1e-6)


def test_what_is_withheld_beyond_doubt_may_have_any_grade_and_be_stranger_still(golden: GoldenFrames) -> None:
    off = golden_difference(changed(golden, cell(golden, familiar=False), 0.5, 9.0), golden, 1.0)
    assert (off.probability, off.unfamiliarity) == (0, 0)


def test_showing_what_is_no_skin_is_a_difference(golden: GoldenFrames) -> None:
    clipped = EngineOutput(golden.probabilities, np.minimum(golden.unfamiliarity, np.float32(1)))
    assert golden_difference(clipped, golden, 1.0).unfamiliarity == pytest.approx(0.5)


class Clipping:
    """The shipped engine, which finds everything familiar."""

    name, precision = "onnxruntime-fp32", "fp32"

    def __init__(self, model: Model) -> None:
        self._model = model

    def run(self, images: object) -> EngineOutput:
        output = self._model.engine.run(images)  # type: ignore[arg-type]
        return EngineOutput(output.probabilities, np.minimum(output.unfamiliarity, np.float32(1)))


@pytest.mark.parametrize("name", ["onnxruntime-fp32", "onnxruntime-int8", "tensorrt-fp16", "tensorrt-int8"])
def test_an_engine_that_shows_everything_is_refused_whatever_its_file(name: str, model: Model, bundle: Bundle) -> None:
    with pytest.raises(CheckFailed, match=r"does not reproduce the golden frames .* in unfamiliarity"):
        check_golden_frames(Clipping(model), bundle, MODEL_FILES[name])


def test_nothing_that_is_no_number_passes(golden: GoldenFrames) -> None:
    nan = golden_difference(changed(golden, cell(golden, familiar=True), np.nan, np.nan), golden, 1.0)
    assert np.isnan(nan.probability)
    assert np.isnan(nan.unfamiliarity)
    other = golden_difference(EngineOutput(golden.probabilities[:1], golden.unfamiliarity[:1]), golden, 1.0)
    assert (other.probability, other.unfamiliarity) == (np.inf, np.inf)


def test_golden_frames_without_a_cell_to_show_prove_nothing(golden: GoldenFrames) -> None:
    same = EngineOutput(golden.probabilities, golden.unfamiliarity)
    assert golden_difference(same, golden, 0.01).probability == np.inf
