"""A fitted detector keeps the run's textures and refuses others, the user's own among them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export import familiarity
from export.familiarity import auroc, fit_familiarity
from export.outliers import KINDS
from export.refused import RefusedImage
from export.run_files import read_run
from export.run_images import read_part


@pytest.fixture(scope="module")
def parts(finished):
    run = read_run(finished.folder)
    return {part: read_part(run, None, finished.geometry, part, 400).patches for part in ("train", "val", "test")}


def test_held_out_patches_stay_familiar_and_other_textures_do_not(familiar, parts):
    model = familiar[8].model
    assert np.mean(model.unfamiliarity(parts["test"]) > 1) <= 0.1
    rng = np.random.default_rng(9)
    noise = rng.integers(0, 256, (60, 32, 32), np.uint8)
    grey = np.full((1, 32, 32), 128, np.uint8)
    assert np.mean(model.unfamiliarity(noise) > 1) == 1
    assert model.unfamiliarity(grey)[0] > 1


def test_the_figures_say_what_it_was_fitted_on(familiar):
    figures = familiar[8].figures
    assert figures["kinds"] == list(KINDS)
    assert figures["procedural_outliers"] == 220
    assert figures["outliers_scored"] <= 0.2
    assert figures["auroc"] >= 0.95


def test_the_users_own_images_are_refused(finished, parts):
    # stripes like the run's, but crossed: near enough to be taken without being shown
    down, across = np.mgrid[:96, :96]
    crossed = 120 + 25 * np.sin(down / 1.2) + 25 * np.sin(across / 1.2)
    pixels = np.clip(crossed + 8 * np.random.default_rng(0).standard_normal(crossed.shape), 0, 255).astype(np.uint8)
    image = RefusedImage(Path("crossed.png"), pixels)
    fitted = fit_familiarity(finished.network, finished.geometry, parts["train"], parts["val"], [image], outliers=220)
    assert fitted.figures["refused_images"] == 1
    assert np.mean(fitted.model.unfamiliarity(image.patches(32)) > 1) > 0.9
    assert np.mean(fitted.model.unfamiliarity(parts["test"]) > 1) <= 0.2


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_auroc_is_the_share_of_pairs_in_order(familiar, strange):
    pairs = [(s > f) + (s == f) / 2 for s in strange for f in familiar]
    assert auroc(np.array(familiar, float), np.array(strange, float)) == pytest.approx(np.mean(pairs))


def test_many_images_to_refuse_leave_the_other_textures_their_share(finished, parts, monkeypatch):
    shown: list[int] = []
    fit = familiarity.fit_detector

    def count(config, known, outliers, validation):
        shown.append(len(outliers.layers[0]))
        return fit(config, known, outliers, validation)

    monkeypatch.setattr(familiarity, "fit_detector", count)
    rng = np.random.default_rng(1)
    images = [RefusedImage(Path(f"{number}.png"), rng.integers(0, 256, (200, 200), np.uint8)) for number in range(60)]
    for refused in (images[:1], images):
        fit_familiarity(finished.network, finished.geometry, parts["train"], parts["val"], refused, outliers=220)
    few, many = shown
    # a quarter of all, be they one image or sixty
    assert few == pytest.approx(many, rel=0.25)


def test_a_detector_that_separates_badly_is_warned_of(familiar):
    good = replace(familiar[8], figures={"outliers_scored": 0.004, "auroc": 0.999, "validation_withheld": 0.01})
    assert good.warning() is None
    for key, value in (("outliers_scored", 0.12), ("auroc", 0.98), ("validation_withheld", 0.11)):
        warning = replace(good, figures={**good.figures, key: value}).warning()
        assert warning is not None
        assert "refused badly" in warning
