"""Random fields: what is dealt evenly is uniform as a whole, and hardly a matter of luck in a small part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.phantom.fields import even_points, even_shares

SIDE = 40
PATCH_CELLS = 6
LATTICE = np.stack(np.meshgrid(np.arange(-SIDE, SIDE), np.arange(-SIDE, SIDE), indexing="ij"), -1).reshape(-1, 2)


@given(st.integers(0, 2**32))
def test_shares_are_uniform_and_of_one_kind_tell_nothing_of_another(seed):
    dealt = even_shares(LATTICE, 5, np.random.default_rng(seed))
    assert dealt.shape == (len(LATTICE), 5)
    assert dealt.min() >= 0.0
    assert dealt.max() < 1.0
    for kind in range(5):
        counts = np.histogram(dealt[:, kind], 10, (0.0, 1.0))[0]
        assert np.abs(counts / len(LATTICE) - 0.1).max() < 0.01
    between = np.corrcoef(dealt.T) - np.eye(5)
    assert np.abs(between).max() < 0.05


@given(st.integers(0, 2**32), st.floats(0.1, 0.9))
def test_among_few_neighbours_the_share_below_a_bound_varies_less_than_by_chance(seed, bound):
    below = (even_shares(LATTICE, 1, np.random.default_rng(seed))[:, 0] < bound).reshape(2 * SIDE, 2 * SIDE)
    blocks = below[:78, :78].reshape(13, PATCH_CELLS, 13, PATCH_CELLS).mean((1, 3))
    by_chance = np.sqrt(bound * (1 - bound) / PATCH_CELLS**2)
    assert blocks.std() < 0.6 * by_chance


@given(st.integers(0, 2**32), st.integers(20, 200), st.integers(20, 200), st.floats(5.0, 300.0))
def test_points_lie_in_the_field_in_the_density_asked_for(seed, height, width, side):
    rng = np.random.default_rng(seed)
    drawn = [even_points((height, width), side, rng) for _ in range(40)]
    every = np.concatenate(drawn)
    assert every.shape[1] == 2
    assert (every >= 0).all()
    assert (every < (height, width)).all()
    wanted = height * width / side**2
    # the mean of 40 counts, each varying at most as by chance
    assert len(every) / 40 == pytest.approx(wanted, abs=5 * np.sqrt(wanted / 40) + 0.3)


def test_the_number_of_points_in_a_part_varies_less_than_by_chance():
    rng = np.random.default_rng(1)
    counts = [len(even_points((100, 100), 25.0, rng)) for _ in range(400)]
    assert np.mean(counts) == pytest.approx(16.0, abs=0.5)
    assert np.var(counts) < 0.6 * 16.0
