"""One part of a data set as training takes it."""

import dataclasses

import numpy as np
import pytest
import torch

from trainer.parts import Part

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


def test_images_of_many_sizes_come_whole_and_once_each(part):
    seen = {}
    for rows, grey in part.batches(1000, 64):
        for row, image in zip(rows.tolist(), grey, strict=True):
            assert row not in seen
            seen[row] = image[0].numpy()
    assert sorted(seen) == list(range(len(part)))
    for row, image in seen.items():
        np.testing.assert_array_equal(image, part.pixels[row])


def test_larger_images_are_cut_to_their_middle(part):
    for rows, grey in part.batches(38, 64):
        for row, image in zip(rows.tolist(), grey, strict=True):
            height, width = SHAPES[row]
            top, left = max(0, height - 38) // 2, max(0, width - 38) // 2
            np.testing.assert_array_equal(image[0], part.pixels[row][top : top + 38, left : left + 38])


def test_no_batch_is_larger_than_asked_for(part):
    assert sorted(len(rows) for rows, _grey in part.batches(1000, 1)) == [1] * 5
    assert sorted(len(rows) for rows, _grey in part.batches(1000, 2)) == [1, 2, 2]
