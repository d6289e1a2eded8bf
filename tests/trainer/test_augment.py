"""Augmentation changes what a session changes, and leaves the grade."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from trainer.augment import Augmentation, _warped, augment, cut, draw_batch
from trainer.parts import Part

NOTHING = Augmentation(warped_share=0, gamma=0, gain=0, offset=0, ramp=0, noise=0, resolution_share=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(count: int = 8, side: int = 16, seed: int = 1) -> Tensor:
    return torch.randint(0, 256, (count, 1, side, side), generator=seeded(seed), dtype=torch.uint8)


def flat(level: int, count: int = 200, side: int = 16) -> Tensor:
    return torch.full((count, 1, side, side), level, dtype=torch.uint8)


def test_all_eight_views_of_a_patch_appear_and_no_other():
    patch = np.arange(25, dtype=np.uint8).reshape(5, 5)
    eight = {view.tobytes() for turns in range(4) for view in (np.rot90(patch, turns), np.rot90(patch, turns)[:, ::-1])}
    assert len(eight) == 8
    drawn = cut([patch] * 200, 5, NOTHING, np.random.default_rng(0))
    assert drawn.shape == (200, 1, 5, 5)
    assert drawn.dtype == np.uint8
    assert {view.tobytes() for view in drawn} == eight


def test_patches_are_cut_at_every_place_of_images_of_any_size():
    images = [np.arange(rows * 6, dtype=np.uint8).reshape(rows, 6) for rows in (4, 5, 7)] * 60
    places = set()
    for image, patch in zip(images, cut(images, 4, NOTHING, np.random.default_rng(0))[:, 0], strict=True):
        # whichever way it is turned, its lowest level is its first pixel in the image
        top, left = divmod(int(patch.min()), 6)
        window = image[top : top + 4, left : left + 4]
        assert sorted(patch.ravel()) == sorted(window.ravel())
        places.add((len(image), top, left))
    assert places == {(rows, top, left) for rows in (4, 5, 7) for top in range(rows - 3) for left in range(3)}


def rings(side: int) -> np.ndarray:
    """Circles about the middle, 16 px apart."""
    rows, cols = np.mgrid[0:side, 0:side] - (side - 1) / 2
    return np.rint(127.5 + 127.5 * np.cos(np.hypot(rows, cols) * 2 * np.pi / 16)).astype(np.uint8)


def test_a_patch_turns_about_its_middle_by_any_angle():
    settings = dataclasses.replace(NOTHING, warped_share=1, zoom=0, stretch=0)
    for patch in cut([rings(64)] * 20, 64, settings, np.random.default_rng(0))[:, 0]:
        # mirrored corners alone differ
        inside = np.hypot(*(np.mgrid[0:64, 0:64] - 31.5)) < 31
        assert np.abs(patch.astype(int) - rings(64))[inside].max() <= 6
    spoke = np.zeros((64, 64), np.uint8)
    spoke[31:33, 32:] = 255
    drawn = cut([spoke] * 200, 64, settings, np.random.default_rng(0))[:, 0]
    rows, cols = np.mgrid[0:64, 0:64] - 31.5
    angles = [np.arctan2((rows * patch).sum(), (cols * patch).sum()) for patch in drawn.astype(float)]
    assert np.histogram(angles, 8, (-np.pi, np.pi))[0].min() >= 10


@pytest.mark.parametrize(("change", "factor"), [({"zoom": 0.2}, np.exp(0.2)), ({"stretch": 0.2}, np.exp(0.2))])
def test_zoom_and_stretch_stay_within_their_bounds(change, factor):
    settings = dataclasses.replace(NOTHING, **{"warped_share": 1, "zoom": 0, "stretch": 0, **change})
    disc = np.zeros((96, 96), np.uint8)
    cv2.circle(disc, (48, 48), 20, 255, -1)
    # mirrored in the corners it appears again
    middle = np.hypot(*(np.mgrid[0:96, 0:96] - 47.5)) < 36

    def spread(patch: np.ndarray) -> np.ndarray:
        return np.sqrt(np.linalg.eigvalsh(np.cov(np.argwhere((patch > 127) & middle).T)))

    drawn = cut([disc] * 200, 96, settings, np.random.default_rng(0))[:, 0]
    found = np.concatenate([spread(patch) / spread(disc) for patch in drawn])
    assert 1 / factor - 0.02 < found.min() < 1 / factor + 0.02
    assert factor - 0.02 < found.max() < factor + 0.02


def test_a_turned_patch_shows_what_surrounds_its_place_in_a_larger_image():
    image = np.full((60, 60), 255, np.uint8)
    image[15:45, 15:45] = 0
    rng = np.random.default_rng(0)
    corners = [_warped(image, 15, 15, 30, Augmentation(zoom=0, stretch=0), rng)[0, 0] for _ in range(40)]
    alone = _warped(image[15:45, 15:45], 0, 0, 30, Augmentation(zoom=0, stretch=0), rng)
    assert np.mean(np.array(corners) > 200) > 0.8
    assert not alone.any()


def test_a_share_of_the_patches_is_warped():
    stripes = np.tile(np.array([0, 255], np.uint8), (32, 16))
    drawn = cut([stripes] * 400, 32, dataclasses.replace(NOTHING, warped_share=0.3), np.random.default_rng(0))
    assert 0.2 < np.mean([len(np.unique(patch)) > 2 for patch in drawn]) < 0.4


def test_the_tone_keeps_black_white_and_the_order_of_greys():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    middles = []
    for patch in cut([ramp] * 200, 16, dataclasses.replace(NOTHING, gamma=0.3), np.random.default_rng(0)):
        levels = np.sort(patch.ravel()).astype(int)
        assert (levels[0], levels[-1]) == (0, 255)
        middles.append(levels[128])
    brightest, darkest = (255 * (128 / 255) ** np.exp(power) for power in (-0.3, 0.3))
    assert min(middles) == pytest.approx(darkest, abs=2)
    assert max(middles) == pytest.approx(brightest, abs=2)


def test_a_batch_is_the_chosen_rows_and_its_chance_the_generators():
    images = tuple(np.full((8, 9), 10 * number, np.uint8) for number in range(5))
    part = Part(images, torch.zeros(5, 2), torch.zeros(5, dtype=torch.int64))

    def draw(settings: Augmentation, seed: int) -> Tensor:
        return draw_batch(part, np.array([4, 0, 2]), 8, settings, np.random.default_rng(seed))

    drawn = draw(NOTHING, 1)
    assert drawn.shape == (3, 1, 8, 8)
    assert drawn.mean((1, 2, 3)).tolist() == [40, 0, 20]
    assert torch.equal(draw(Augmentation(), 1), draw(Augmentation(), 1))
    assert not torch.equal(draw(Augmentation(), 1), draw(Augmentation(), 2))


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
    drawn = augment(patches, dataclasses.replace(NOTHING, coarsest=1.8, resolution_share=1.0), seeded(3))
    detail, kept = (images.float().diff(dim=3).square().mean() for images in (patches, drawn))
    assert kept < 0.6 * detail
    torch.testing.assert_close(drawn.mean((1, 2, 3)), patches.float().mean((1, 2, 3)), atol=3, rtol=0)


def test_a_share_of_the_patches_loses_resolution():
    column = (torch.arange(16).remainder(2) * 255).to(torch.uint8)
    stripes = column.expand(400, 1, 16, 16).contiguous()
    drawn = augment(stripes, dataclasses.replace(NOTHING, resolution_share=0.3), seeded())
    soft = ((drawn > 0) & (drawn < 255)).flatten(1).any(1)
    assert 0.2 < soft.float().mean() < 0.4


def test_gain_and_offset_are_drawn_for_each_patch_within_their_bounds():
    gained = augment(flat(100), dataclasses.replace(NOTHING, gain=0.25), seeded())
    offset = augment(flat(100), dataclasses.replace(NOTHING, offset=12), seeded())
    for drawn, low, high in ((gained, 75, 125), (offset, 88, 112)):
        assert torch.equal(drawn.amin((1, 2, 3)), drawn.amax((1, 2, 3)))
        assert low <= drawn.min() < low + 3
        assert high - 3 < drawn.max() <= high


def test_the_illumination_leans_evenly_to_any_side():
    drawn = augment(flat(100), dataclasses.replace(NOTHING, ramp=0.25), seeded())
    across = drawn[:, 0, :, -1].mean(1) - drawn[:, 0, :, 0].mean(1)
    down = drawn[:, 0, -1].mean(1) - drawn[:, 0, 0].mean(1)
    for slope in (across, down):
        assert -50 <= slope.min() < -45
        assert 45 < slope.max() <= 50
    torch.testing.assert_close(drawn.mean((1, 2, 3)), torch.full((200,), 100.0), atol=0.5, rtol=0)


def test_noise_reaches_from_none_to_the_limit():
    drawn = augment(flat(100, side=32), dataclasses.replace(NOTHING, noise=8), seeded())
    spread = drawn.std((1, 2, 3))
    assert spread.min() < 1
    assert 7 < spread.max() < 9
