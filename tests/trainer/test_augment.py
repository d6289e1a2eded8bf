"""Augmentation changes what a session changes, and leaves the grade."""

import pytest
import torch
from torch import Tensor

from trainer.augment import Augmentation, augment, random_crop

NOTHING = Augmentation(gain=0, offset=0, ramp=0, noise=0, resolution_share=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(count: int = 8, side: int = 16, seed: int = 1) -> Tensor:
    return torch.randint(0, 256, (count, 1, side, side), generator=seeded(seed)).float()


def flat(level: float, count: int = 200, side: int = 16) -> Tensor:
    return torch.full((count, 1, side, side), level)


def test_all_eight_views_of_a_patch_appear_and_no_other():
    patch = torch.arange(25.0).reshape(1, 1, 5, 5)
    eight = {
        tuple(view.flatten().tolist())
        for turns in range(4)
        for view in (torch.rot90(patch, turns, (2, 3)), torch.rot90(patch, turns, (2, 3)).flip(3))
    }
    assert len(eight) == 8
    drawn = augment(patch.repeat(200, 1, 1, 1), NOTHING, seeded())
    assert {tuple(view.flatten().tolist()) for view in drawn} == eight


def test_the_outcome_is_what_a_camera_could_have_stored():
    drawn = augment(grey(64), Augmentation(noise=60.0, offset=80.0), seeded())
    assert drawn.shape == (64, 1, 16, 16)
    assert drawn.dtype == torch.float32
    assert torch.equal(drawn, drawn.round())
    assert drawn.min() == 0
    assert drawn.max() == 255


def test_the_generator_is_the_only_source_of_chance():
    torch.manual_seed(1)
    first = augment(grey(), Augmentation(), seeded(5))
    torch.manual_seed(2)
    assert torch.equal(augment(grey(), Augmentation(), seeded(5)), first)
    assert not torch.equal(augment(grey(), Augmentation(), seeded(6)), first)


@pytest.mark.parametrize("settings", [Augmentation(resolution_share=1.0), NOTHING])
def test_the_callers_patches_stay_as_they_are(settings):
    patches = grey()
    augment(patches, settings, seeded())
    assert torch.equal(patches, grey())


def test_lost_resolution_takes_the_fine_texture_and_leaves_the_mean():
    patches = grey(16, 32)
    drawn = augment(patches, Augmentation(0, 0, 0, 0, coarsest=1.8, resolution_share=1.0), seeded(3))
    detail, kept = (images.diff(dim=3).square().mean() for images in (patches, drawn))
    assert kept < 0.6 * detail
    torch.testing.assert_close(drawn.mean((1, 2, 3)), patches.mean((1, 2, 3)), atol=3, rtol=0)


def test_a_share_of_the_patches_loses_resolution():
    column = torch.arange(16).remainder(2) * 255.0
    stripes = column.expand(400, 1, 16, 16).contiguous()
    drawn = augment(stripes, Augmentation(0, 0, 0, 0, resolution_share=0.3), seeded())
    soft = ((drawn > 0) & (drawn < 255)).flatten(1).any(1)
    assert 0.2 < soft.float().mean() < 0.4


def test_gain_and_offset_are_drawn_for_each_patch_within_their_bounds():
    gained = augment(flat(100), Augmentation(0.25, 0, 0, 0, resolution_share=0), seeded())
    offset = augment(flat(100), Augmentation(0, 12, 0, 0, resolution_share=0), seeded())
    for drawn, low, high in ((gained, 75, 125), (offset, 88, 112)):
        assert torch.equal(drawn.amin((1, 2, 3)), drawn.amax((1, 2, 3)))
        assert low <= drawn.min() < low + 3
        assert high - 3 < drawn.max() <= high


def test_the_illumination_leans_evenly_to_any_side():
    drawn = augment(flat(100), Augmentation(0, 0, 0.25, 0, resolution_share=0), seeded())
    across = drawn[:, 0, :, -1].mean(1) - drawn[:, 0, :, 0].mean(1)
    down = drawn[:, 0, -1].mean(1) - drawn[:, 0, 0].mean(1)
    for slope in (across, down):
        assert -50 <= slope.min() < -45
        assert 45 < slope.max() <= 50
    torch.testing.assert_close(drawn.mean((1, 2, 3)), torch.full((200,), 100.0), atol=0.5, rtol=0)


def test_noise_reaches_from_none_to_the_limit():
    drawn = augment(flat(100, side=32), Augmentation(0, 0, 0, 8, resolution_share=0), seeded())
    spread = drawn.std((1, 2, 3))
    assert spread.min() < 1
    assert 7 < spread.max() < 9


def test_crops_are_windows_of_their_own_patch_at_every_place():
    patches = torch.arange(60 * 36).reshape(60, 1, 6, 6)
    crops = random_crop(patches, 4, seeded())
    assert crops.shape == (60, 1, 4, 4)
    places = set()
    for patch, crop in zip(patches, crops, strict=True):
        y, x = divmod(int(crop[0, 0, 0] - patch[0, 0, 0]), 6)
        assert torch.equal(crop, patch[:, y : y + 4, x : x + 4])
        places.add((y, x))
    assert places == {(y, x) for y in range(3) for x in range(3)}


def test_a_crop_of_the_whole_patch_is_the_patch():
    assert torch.equal(random_crop(grey(), 16, seeded()), grey())
