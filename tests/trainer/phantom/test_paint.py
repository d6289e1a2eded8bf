"""The painted skin shows its severity in its structure and not in its grey levels."""

import numpy as np
import pytest

from trainer.phantom import draw_subjects, paint_frame, paint_patch
from trainer.phantom.honeycomb import paint_honeycomb
from trainer.phantom.section import draw_section
from trainer.phantom.signs import draw_course

SUBJECTS = draw_subjects(0)


def test_subjects_do_not_depend_on_how_many_are_drawn():
    assert len({s.name for s in SUBJECTS}) == len(SUBJECTS) >= 20
    assert draw_subjects(0, 5) == SUBJECTS[:5]
    assert draw_subjects(1, 5) != SUBJECTS[:5]


@pytest.mark.parametrize("patch_px", [96, 128, 160])
def test_a_patch_has_the_size_asked_for(patch_px):
    patch = paint_patch(SUBJECTS[0], 2.0, np.random.default_rng(0), patch_px)
    assert patch.shape == (patch_px, patch_px)
    assert patch.dtype == np.uint8


def test_a_frame_has_its_maps_size_and_repeats_itself():
    severity = np.tile(np.linspace(0.0, 4.0, 200, dtype=np.float32), (150, 1))
    first, second = (paint_frame(SUBJECTS[3], severity, np.random.default_rng(1)) for _ in range(2))
    assert first.shape == (150, 200)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)


def test_spongiosis_widens_the_gaps_with_every_grade():
    dark = [np.mean([_dark_intercellular_fraction(float(g), i) for i in range(12)]) for g in range(5)]
    # those of the first grade are narrower than the optics show
    assert np.all(np.diff(dark) > 0.005), dark


def _dark_intercellular_fraction(severity: float, i: int) -> float:
    """Share of the honeycomb, free of noise, within 0.75 µm of a cell border that is darker than half the cytoplasm."""
    rng = np.random.default_rng([2, i])
    course = draw_course(SUBJECTS[i], np.full((256, 256), severity, np.float32), rng)
    skin = paint_honeycomb(draw_section(SUBJECTS[i], rng), course, (256, 256), rng)
    return float(np.mean(skin.reflectance[skin.border_px < 1.5] < 0.5))


def test_disorder_spreads_the_sizes_of_cells():
    spread = [np.mean([_brightness_spread(g, i) for i in range(8)]) for g in (0.0, 2.0, 4.0)]
    assert spread[0] < spread[1] < spread[2]


def _brightness_spread(severity: float, i: int) -> float:
    """Relative spread of the room cells have: of the largest distances to a border in windows of a pitch."""
    rng = np.random.default_rng([3, i])
    section = draw_section(SUBJECTS[i], rng)
    course = draw_course(SUBJECTS[i], np.full((256, 256), severity, np.float32), rng)
    border = paint_honeycomb(section, course, (256, 256), rng).border_px[32:-32, 32:-32]
    inner = (border == _windowed_max(border, round(section.pitch_px / 2))) & (border > 2.0)
    return float(border[inner].std() / border[inner].mean())


def _windowed_max(image: np.ndarray, reach: int) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, reach, mode="edge"), (2 * reach + 1,) * 2)
    return windows.max(axis=(2, 3))


def test_grey_levels_do_not_give_the_grade_away():
    """A linear model on the 32-bin histogram of 600 patches stays near the 0.20 of guessing; 0.45 is the limit."""
    rng = np.random.default_rng(8)
    grades = np.arange(600) % 5
    histograms = np.stack([_histogram(float(g), rng) for g in grades])
    trained, held_out = slice(0, 450), slice(450, 600)
    predicted = _ridge_classifier(histograms[trained], grades[trained], histograms[held_out])
    assert np.mean(predicted == grades[held_out]) < 0.45


def _histogram(severity: float, rng: np.random.Generator) -> np.ndarray:
    patch = paint_patch(SUBJECTS[int(rng.integers(len(SUBJECTS)))], severity, rng, 128)
    return np.bincount(patch.ravel() // 8, minlength=32) / patch.size


def _ridge_classifier(x: np.ndarray, grades: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    design, query = ((np.c_[(z - mean) / spread, np.ones(len(z))]) for z in (x, unseen))
    targets = np.eye(5)[grades]
    weights = np.linalg.solve(design.T @ design + 1.0 * np.eye(design.shape[1]), design.T @ targets)
    return np.argmax(query @ weights, axis=1)
