"""One part of a data set as training takes it."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.parts import MAX_POSITIONS_PER_SIDE, Part, cut_patches

SHAPES = ((40, 40), (36, 38), (40, 44), (36, 38), (40, 40))


@pytest.fixture
def part(make_patches) -> Part:
    ramp = np.arange(44 * 44).reshape(44, 44) % 251
    pixels = tuple((ramp + number).astype(np.uint8)[:height, :width] for number, (height, width) in enumerate(SHAPES))
    data = dataclasses.replace(make_patches([(0,)] * len(SHAPES)), pixels=pixels)
    return Part.of(data, ["val"] * len(SHAPES), "val")


def test_it_holds_the_raters_shares_and_their_median_of_its_own_rows(make_patches):
    part = Part.of(make_patches([(0, 1, 2), (4,), (3,), (1, 2)]), ["train", "test", "train", "train"], "train")
    assert len(part) == 3
    assert part.grades.tolist() == [1, 3, 1]
    torch.testing.assert_close(
        part.shares,
        torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0, 0], [0, 0, 0, 1, 0], [0, 0.5, 0.5, 0, 0]]),
    )


def test_classes_without_an_order_are_held_by_their_raters_majority(make_patches):
    part = Part.of(make_patches([(0, 2, 4), (4, 0, 4), (3, 0)], ordered=False), ["train"] * 3, "train")
    assert part.grades.tolist() == [0, 4, 3]


def test_an_image_of_patch_size_is_its_only_patch():
    image = np.arange(32 * 32, dtype=np.uint8).reshape(32, 32)
    [patch] = cut_patches(image, 32)
    np.testing.assert_array_equal(patch, image)


def corners(height: int, width: int, patch_px: int) -> list[tuple[int, int]]:
    """Top-left pixels of the patches of an image, read from an image whose pixels count themselves."""
    numbers = np.arange(height * width).reshape(height, width)
    return [divmod(int(patch[0, 0]), width) for patch in cut_patches(numbers, patch_px)]


def test_patches_of_an_image_of_200_px_overlap_by_more_than_half():
    assert corners(200, 128, 128) == [(0, 0), (36, 0), (72, 0)]
    assert corners(128, 192, 128) == [(0, 0), (0, 64)]
    assert len(corners(200, 200, 128)) == 9


@given(height=st.integers(32, 400), width=st.integers(32, 400))
def test_patches_are_spread_evenly_from_edge_to_edge(height, width):
    found = corners(height, width, 32)
    for side, length in ((0, height), (1, width)):
        along = sorted({corner[side] for corner in found})
        assert (along[0], along[-1]) == (0, length - 32)
        apart = np.diff(along)
        assert len(along) <= MAX_POSITIONS_PER_SIDE
        assert len(apart) == 0 or apart.max() - apart.min() <= 1
        assert len(along) == MAX_POSITIONS_PER_SIDE or apart.max(initial=0) <= 16
    assert len(found) == len(set(found))


def test_an_image_smaller_than_a_patch_is_refused():
    with pytest.raises(ValueError, match="image of 40x31 px: wanted at least 32x32"):
        cut_patches(np.zeros((31, 40), np.uint8), 32)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_patches_come_in_the_images_order_in_full_batches(part, batch):
    batches = list(part.patches(32, batch))
    assert all(len(rows) == batch for rows, _grey in batches[:-1])
    rows, grey = (torch.cat(some) for some in zip(*batches, strict=True))
    wanted = [(row, patch) for row, pixels in enumerate(part.pixels) for patch in cut_patches(pixels, 32)]
    assert rows.tolist() == [row for row, _patch in wanted]
    assert grey.dtype == torch.uint8
    np.testing.assert_array_equal(grey[:, 0], np.stack([patch for _row, patch in wanted]))
