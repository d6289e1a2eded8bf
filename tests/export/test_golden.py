"""Golden frames and what an engine is allowed of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.golden import LEAST, _rounded_up, golden_images, tolerances
from runtime.bundle_arrays import GoldenFrames
from runtime.engines import EngineOutput
from runtime.errors import CheckFailed


def test_golden_images_hold_whole_patches_and_one_that_is_no_skin():
    patches = np.random.default_rng(0).integers(0, 256, (30, 32, 32), np.uint8)
    frames = golden_images(patches)
    assert frames.shape == (2, 1, 64, 64)
    np.testing.assert_array_equal(frames[0, 0, :32, :32], patches[0])
    np.testing.assert_array_equal(frames[1, 0, :32, 32:], patches[20])
    stranger = frames[1, 0, 32:, 32:]
    assert np.sort(stranger.ravel()).tolist() == np.sort(patches[-1].ravel()).tolist()
    assert (stranger != patches[-1]).mean() > 0.9
    assert golden_images(patches[:1]).shape == (2, 1, 64, 64)


class Apart:
    """A file whose outputs are off by given amounts."""

    name = "apart"

    def __init__(self, precision: str, probability: float, unfamiliarity: float) -> None:
        self.precision, self._apart = precision, (probability, unfamiliarity)

    def run(self, _images) -> EngineOutput:
        probabilities, unfamiliarity = np.zeros((2, 3, 4, 4), np.float32), np.zeros((2, 4, 4), np.float32)
        probabilities[1, 2, 3, 0], unfamiliarity[0, 1, 2] = self._apart
        return EngineOutput(probabilities, unfamiliarity)


@pytest.fixture
def golden() -> GoldenFrames:
    return GoldenFrames(
        np.zeros((2, 1, 64, 64), np.uint8), np.zeros((2, 3, 4, 4), np.float32), np.zeros((2, 4, 4), np.float32)
    )


def test_an_engine_may_be_twice_as_far_off_as_its_file(golden):
    assert tolerances(Apart("int8", 0.03, 0.1), golden, 1.0) == pytest.approx((0.06, 0.2), rel=0.05)


@pytest.mark.parametrize("precision", LEAST)
def test_a_file_that_is_nearly_exact_leaves_engines_their_rounding(golden, precision):
    assert tolerances(Apart(precision, 1e-7, 1e-7), golden, 1.0) == LEAST[precision]


def test_no_tolerance_is_so_wide_that_anything_goes(golden):
    assert tolerances(Apart("int8", 0.9, 1.2), golden, 1.0) == (0.5, 0.5)


@given(st.floats(0, 3))
def test_a_tolerance_is_rounded_up_and_by_little(value):
    assert value <= _rounded_up(value) <= value * 1.1 + 1e-300


def test_golden_frames_that_the_network_would_not_show_are_no_proof(golden):
    unlike = GoldenFrames(golden.frames, golden.probabilities, golden.unfamiliarity + 2)
    with pytest.raises(CheckFailed, match="the golden frames show nothing"):
        tolerances(Apart("int8", 0.0, 0.0), unlike, 1.0)
