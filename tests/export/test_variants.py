"""Variants of patches: the same skin, otherwise lit, turned and sampled."""

import numpy as np

from export.variants import vary
from runtime.dense_map import Geometry

GEOMETRY = Geometry(48, 8, 0.5)


def test_variants_differ_from_their_patches_and_a_seed_draws_them_again():
    patches = np.random.default_rng(0).integers(60, 180, (40, 48, 48), np.uint8)
    first, again, other = (vary(patches, GEOMETRY, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == patches.shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9
    assert (first != patches).mean() > 0.9


def test_light_varies_and_some_lose_detail():
    rng = np.random.default_rng(3)
    patches = np.tile(rng.integers(80, 160, (1, 48, 48), np.uint8), (200, 1, 1))
    found = vary(patches, GEOMETRY, rng).astype(float)
    brightness = found.mean((1, 2)) / patches.mean()
    assert brightness.min() < 0.75
    assert brightness.max() > 1.3
    # relative to the brightness, so that only the sampling is seen
    detail = np.abs(np.diff(found)).mean((1, 2)) / found.mean((1, 2))
    assert np.quantile(detail, 0.05) < 0.5 * np.median(detail)
