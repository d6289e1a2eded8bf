"""The references that are timed against the dense map give its scores."""

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.speed.finer_stride import at_half_stride
from benchmarks.speed.macs import convolution_macs
from benchmarks.speed.patches import in_batches, one_patch_a_call
from runtime.bundle_files import FP32_MODEL
from runtime.dense_map import dense_map
from runtime.model import Model


@pytest.mark.parametrize("size", [1, 5, 64])
def test_patches_and_batches_give_the_map(skin: npt.NDArray[np.uint8], model: Model, size: int) -> None:
    pixels, geometry = np.ascontiguousarray(skin[:170, :200]), model.bundle.geometry
    found = in_batches(pixels, model.engine, geometry, size)
    np.testing.assert_allclose(found, dense_map(pixels, model.engine, geometry).expected_grade(), rtol=0, atol=1e-5)


def test_half_the_stride_has_the_same_cells_and_those_between(skin: npt.NDArray[np.uint8], model: Model) -> None:
    pixels = np.ascontiguousarray(skin[:170, :200])
    engine, geometry = at_half_stride(model.bundle, threads=1)
    finer = dense_map(pixels, engine, geometry).expected_grade()
    assert finer.shape == (6, 10)
    whole = dense_map(pixels, model.engine, model.bundle.geometry).expected_grade()
    np.testing.assert_allclose(finer[::2, ::2], whole, rtol=0, atol=1e-5)
    np.testing.assert_allclose(finer, one_patch_a_call(pixels, engine, geometry), rtol=0, atol=1e-5)


def test_multiply_accumulates_of_a_patch(model: Model) -> None:
    # sides after each convolution of a 128 px patch: 63, 31, 15, 13, 13; the energies are one place
    wanted = 63**2 * 16 * 16 + 31**2 * 32 * 16 * 9 + 15**2 * 32 * 32 * 9 + 13**2 * 48 * 32 * 9 + 13**2 * 64 * 48
    wanted += 64 * 64 + 64 * 5
    # the detector's projections of the means of four layers, and its score
    wanted += (32 + 32 + 48 + 64) * 32 + 16
    assert convolution_macs(model.bundle.read_file(FP32_MODEL), 128, 128) == wanted
