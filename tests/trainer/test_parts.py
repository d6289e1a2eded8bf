"""One part of a data set as tensors."""

import dataclasses

import numpy as np
import torch

from trainer.parts import Part


def test_patches_of_many_sizes_are_cut_to_the_middle_of_the_smallest(make_patches):
    ramp = np.arange(40 * 44, dtype=np.int64).reshape(40, 44)
    pixels = tuple((ramp % 251).astype(np.uint8)[:height, :width] for height, width in ((40, 40), (36, 38), (40, 44)))
    data = dataclasses.replace(make_patches([(0,), (1,), (1,)]), pixels=pixels)
    part = Part.of(data, 32)
    assert part.grey.shape == (3, 1, 36, 36)
    assert part.grey.dtype == torch.uint8
    np.testing.assert_array_equal(part.grey[0, 0], pixels[0][2:38, 2:38])
    np.testing.assert_array_equal(part.grey[1, 0], pixels[1][:, 1:37])
    np.testing.assert_array_equal(part.grey[2, 0], pixels[2][2:38, 4:40])


def test_it_holds_the_raters_shares_and_their_median(make_patches):
    part = Part.of(make_patches([(0, 1, 2), (3,), (1, 2)]), 4)
    assert part.grades.tolist() == [1, 3, 1]
    torch.testing.assert_close(
        part.shares,
        torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0, 0], [0, 0, 0, 1, 0], [0, 0.5, 0.5, 0, 0]]),
    )
