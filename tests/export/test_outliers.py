"""Procedural textures: of every kind, never twice the same, and the same for a seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.outliers import KINDS, draw_outliers, scrambled


@given(seed=st.integers(0, 9999), side=st.sampled_from([32, 48, 128]), kind=st.sampled_from(sorted(KINDS)))
def test_every_kind_draws_a_finite_texture_at_any_size(seed, side, kind):
    texture = KINDS[kind](side, np.random.default_rng(seed))
    assert texture.shape == (side, side)
    assert texture.dtype == np.float32
    assert np.isfinite(texture).all()


def test_a_seed_draws_the_same_textures_and_another_seed_others():
    first, again, other = (draw_outliers(33, 48, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (33, 48, 48)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9


def test_neither_brightness_nor_contrast_nor_grain_tells_outliers():
    drawn = draw_outliers(330, 48, np.random.default_rng(3)).astype(float)
    for figure in (
        drawn.mean((1, 2)),
        drawn.std((1, 2)),
        np.abs(np.diff(drawn)).mean((1, 2)),
    ):
        low, high = np.quantile(figure, [0.1, 0.9])
        assert high > 2 * low


def test_every_texture_shows_something():
    assert np.quantile(draw_outliers(330, 48, np.random.default_rng(4)).std((1, 2)), 0.02) > 2


@pytest.mark.parametrize("side", [32, 33])
def test_scrambled_patches_keep_their_spectrum_and_lose_their_structure(side):
    rng = np.random.default_rng(5)
    down, across = np.mgrid[:side, :side]
    patch = (120 + 40 * ((down // 8 + across // 8) % 2)).astype(np.uint8)
    [found] = scrambled(patch[None], rng)
    assert found.mean() == pytest.approx(patch.mean(), abs=1)
    wanted, given_ = (np.abs(np.fft.rfft2(each.astype(float)))[1:6, 1:6] for each in (patch, found))
    np.testing.assert_allclose(given_, wanted, atol=0.05 * wanted.max() + side)
    assert len(np.unique(found)) > 10
