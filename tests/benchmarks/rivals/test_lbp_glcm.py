"""Features without learning: known values, and grades that come back as they were given."""

import numpy as np
import pytest

from benchmarks.rivals.lbp_glcm import FEATURES, PROPERTIES, LbpGlcmForest, patch_features, texture_features

PATTERN_SHARES = 10 + 18 + 26


def stripes(period_px: float, rng: np.random.Generator, side: int = 48) -> np.ndarray:
    turn, phase = rng.uniform(0, 2 * np.pi, 2)
    y, x = np.mgrid[:side, :side]
    wave = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / period_px + phase)
    return np.clip(120 + 45 * wave + 8 * rng.standard_normal((side, side)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def textures() -> tuple[np.ndarray, np.ndarray]:
    """Stripes of two periods, called grades 1 and 3 of five."""
    rng = np.random.default_rng(0)
    grades = np.array([1, 3] * 20)
    return np.stack([stripes(4.0 if grade == 1 else 12.0, rng) for grade in grades]), grades


@pytest.fixture
def _small_and_here(monkeypatch) -> None:
    """A forest soon grown, on features from this process."""
    monkeypatch.setattr("benchmarks.rivals.lbp_glcm.TREES", 20)
    monkeypatch.setattr(
        "benchmarks.rivals.lbp_glcm.texture_features",
        lambda pixels: np.stack([patch_features(some) for some in pixels]),
    )


def test_a_patch_gives_the_shares_of_each_pattern_and_the_properties_at_each_distance():
    found = patch_features(stripes(6.0, np.random.default_rng(3)))
    assert found.shape == (FEATURES,) == (PATTERN_SHARES + 6 * 4,)
    shares = np.split(found[:PATTERN_SHARES], [10, 28])
    assert [part.sum() for part in shares] == pytest.approx([1.0, 1.0, 1.0])
    assert np.isfinite(found).all()


def test_an_even_patch_has_no_contrast_and_is_wholly_alike():
    found = patch_features(np.full((32, 32), 77, np.uint8))
    properties = dict(zip(PROPERTIES, found[PATTERN_SHARES:].reshape(6, 4), strict=True))
    assert not properties["contrast"].any()
    assert not properties["dissimilarity"].any()
    for name in ("homogeneity", "energy", "ASM"):
        assert (properties[name] == 1).all()


def test_contrast_is_the_squared_step_between_32_grey_levels():
    columns = np.tile(np.array([0, 80], np.uint8), (32, 16))
    contrast = patch_features(columns)[PATTERN_SHARES : PATTERN_SHARES + 4]
    # an odd step across the columns is one of ten levels. For 1, 2, 4 and 8 px that step is straight across of as many,
    # on the two diagonals of 1, 1, 3 and 6, and down the columns of none
    assert contrast == pytest.approx([(100 + 2 * 100) / 4, 2 * 100 / 4, 2 * 100 / 4, 0.0])


def test_a_quarter_turn_changes_little():
    patch = stripes(8.0, np.random.default_rng(4), side=64)
    turned = np.ascontiguousarray(np.rot90(patch))
    assert np.abs(patch_features(patch) - patch_features(turned))[:PATTERN_SHARES].max() < 0.02


def test_two_processes_give_the_patches_features_in_their_order(textures):
    pixels, _grades = textures
    assert np.array_equal(texture_features(pixels), np.stack([patch_features(patch) for patch in pixels]))


@pytest.mark.usefixtures("_small_and_here")
def test_it_learns_grades_and_gives_none_to_those_never_shown(textures):
    pixels, grades = textures
    forest = LbpGlcmForest(5, seed=0)
    forest.fit(pixels[:30], grades[:30])
    shares = forest.probabilities(pixels[30:])
    assert shares.shape == (10, 5)
    assert shares.sum(1) == pytest.approx(np.ones(10))
    assert not shares[:, [0, 2, 4]].any()
    assert (shares.argmax(1) == grades[30:]).all()


@pytest.mark.usefixtures("_small_and_here")
def test_the_same_seed_gives_the_same_forest(textures):
    pixels, grades = textures

    def votes(seed: int) -> np.ndarray:
        forest = LbpGlcmForest(5, seed)
        forest.fit(pixels, grades)
        return forest.probabilities(pixels)

    assert np.array_equal(votes(1), votes(1))
    assert not np.array_equal(votes(1), votes(2))
