"""The detector refuses what it never saw and keeps what it knows; 1 is the edge."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from export.ood_detector import ChannelMeans, OodDetector, fit_detector, limits
from trainer.network import NetworkConfig

CONFIG = NetworkConfig(grades=("0", "1"), kernels=(4, 3, 3), strides=(2, 2, 2), widths=(16, 16, 32), patch_px=48)


def means(count: int, seed: int, scale: float = 1.0, level: float = 1.0) -> ChannelMeans:
    """Made-up means of the last two layers; `level` is their average, `scale` the spread of its logarithm."""
    rng = np.random.default_rng(seed)
    return ChannelMeans(
        tuple(
            (level * np.exp(0.2 * scale * rng.standard_normal((count, width)))).astype(np.float32) for width in (16, 32)
        )
    )


def joined(*parts: ChannelMeans) -> ChannelMeans:
    return ChannelMeans(tuple(np.concatenate(layers) for layers in zip(*(part.layers for part in parts), strict=True)))


def unfamiliarity(detector: OodDetector, seen: ChannelMeans) -> npt.NDArray[np.float32]:
    with torch.no_grad():
        return detector([torch.from_numpy(layer)[:, :, None, None] for layer in seen.layers]).flatten().numpy()


@pytest.fixture(scope="module")
def detector() -> OodDetector:
    outliers = joined(means(300, 1, scale=4), means(300, 2, level=0.3))
    return fit_detector(CONFIG, means(800, 0), outliers, means(600, 3))


def test_one_is_the_edge_that_a_few_validation_patches_lie_beyond(detector):
    assert np.mean(unfamiliarity(detector, means(600, 3)) > 1) == pytest.approx(0.015, abs=0.003)
    # others of the same kind
    assert np.mean(unfamiliarity(detector, means(2000, 4)) > 1) < 0.08


@pytest.mark.parametrize(
    "strange",
    [means(200, 5, scale=4), means(200, 6, level=0.3), means(200, 7, level=3), means(200, 8, level=0.0)],
    ids=["more varied", "weaker", "stronger, a kind it never saw", "nothing at all"],
)
def test_what_differs_is_unfamiliar(detector, strange):
    found = unfamiliarity(detector, strange)
    assert np.isfinite(found).all()
    assert np.mean(found > 1) > 0.97


def test_the_score_alone_refuses_what_the_distance_would_take():
    familiar = means(400, 0)
    # outliers within the spread of the familiar, but for a pattern over many channels
    tilt = np.where(np.arange(32) % 2, 1.25, 0.8).astype(np.float32)
    outliers = ChannelMeans((means(400, 1).layers[0], means(400, 1).layers[1] * tilt))
    detector = fit_detector(CONFIG, familiar, outliers, means(400, 2))
    unseen = ChannelMeans((means(300, 9).layers[0], means(300, 9).layers[1] * tilt))
    assert np.mean(unfamiliarity(detector, unseen) > 1) > 0.9


def test_the_same_inputs_give_the_same_detector():
    first, second = (fit_detector(CONFIG, means(60, 0), means(60, 1, scale=4), means(60, 2)) for _ in range(2))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


@pytest.mark.parametrize("patches", [1, 2, 7])
def test_hardly_any_patches_and_dead_channels_give_finite_answers(patches):
    dead = ChannelMeans(tuple(layer * (np.arange(layer.shape[1]) != 3) for layer in means(patches, 0).layers))
    detector = fit_detector(CONFIG, dead, means(patches, 1, scale=4), dead)
    for seen in (dead, means(50, 2), means(50, 2, level=1e4)):
        assert np.isfinite(unfamiliarity(detector, seen)).all()


def test_a_channel_that_is_scaled_with_its_gain_undone_says_the_same(detector):
    again = OodDetector(CONFIG)
    again.load_state_dict(detector.state_dict())
    seen, factor = means(50, 4), np.geomspace(0.01, 100, 16).astype(np.float32)
    with torch.no_grad():
        again.gains[0] *= torch.from_numpy(1 / factor)[None, :, None, None]
    scaled = ChannelMeans((seen.layers[0] * factor, seen.layers[1]))
    np.testing.assert_allclose(unfamiliarity(again, scaled), unfamiliarity(detector, seen), rtol=1e-4, atol=1e-5)


@given(seed=st.integers(0, 999), share=st.floats(0.01, 0.3), alike=st.floats(0, 1))
def test_two_limits_withhold_no_more_than_the_share_together(seed, share, alike):
    rng = np.random.default_rng(seed)
    distances, other = rng.standard_normal((2, 1000))
    scores = alike * distances + (1 - alike) * other
    distance, score = limits(distances, scores, share)
    lost = np.mean((distances > distance) | (scores > score))
    assert share - 0.005 <= lost <= share + 1e-9
