"""The camera stays within what was measured on six real frames, whatever the skin shows."""

import numpy as np
import pytest

from trainer.phantom import draw_subjects
from trainer.phantom.camera import digitise, draw_camera, illuminate
from trainer.phantom.files import draw_severity_map
from trainer.phantom.paint import paint_scene

FRAMES = range(5)


@pytest.fixture(scope="module")
def exposures():
    """(image before noise, image) of frames of several subjects."""
    taken = []
    for i in FRAMES:
        rng = np.random.default_rng([31, i])
        subject = draw_subjects(0)[i * 5]
        camera = draw_camera(subject, rng)
        clean = illuminate(paint_scene(subject, draw_severity_map(rng), rng), camera, rng)
        taken.append((clean, digitise(clean, camera, rng)))
    return taken


def test_noise_is_as_strong_as_measured(exposures):
    noise = [np.std(image - np.clip(clean, 0, 255)) for clean, image in exposures]
    assert min(noise) >= 13
    assert max(noise) <= 22


def test_neighbouring_pixels_correlate_as_measured(exposures):
    correlations = [np.corrcoef(image[:, 1:].ravel(), image[:, :-1].ravel())[0, 1].item() for _, image in exposures]
    assert 0.74 <= np.median(correlations) <= 0.85
    assert min(correlations) >= 0.72
    assert max(correlations) <= 0.87


def test_few_pixels_are_saturated(exposures):
    saturated = [np.mean(image == 255) for _, image in exposures]
    assert min(saturated) >= 0.0005
    assert max(saturated) <= 0.023


def test_corners_are_darker_than_the_centre(exposures):
    for clean, _ in exposures:
        edge = 150
        corners = [
            clean[y, x].mean() for y in (slice(edge), slice(-edge, None)) for x in (slice(edge), slice(-edge, None))
        ]
        ratio = np.mean(corners) / clean[425:575, 425:575].mean()
        assert 0.35 <= ratio <= 1.0
