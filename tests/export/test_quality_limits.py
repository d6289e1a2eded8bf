"""Limits are where the score fails, and not where good skin is."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.distance import Distance
from export.quality_limits import FAULTS, MOST_ERROR, _between, _passes, brighter, measure_quality_limits
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.dense_map import dense_map
from runtime.model import Model
from runtime.quality import QualityLimits, check_quality

GRADES = Distance.between(ordered=True)
Measured = tuple[QualityLimits, dict[str, Any]]


@pytest.fixture(scope="module")
def shipped() -> Model:
    return Model.load(open_bundle(DEFAULT_BUNDLE))


@pytest.fixture(scope="module")
def measured(shipped: Model) -> Measured:
    # patches that nothing was chosen by
    patches = shipped.bundle.gate_patches().patches[::3]
    return measure_quality_limits(patches, shipped.engine, shipped.bundle.geometry, GRADES)


def test_good_patches_are_kept(measured: Measured) -> None:
    _limits, figures = measured
    assert figures["patches"] == 134
    assert figures["withheld_as_they_are"] <= 0.02


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_fails_is_withheld_from_there_on(measured: Measured, fault: Any) -> None:
    limits, figures = measured
    found = figures[fault.name]
    assert found["fails_at"] is not None
    steps = [found["steps"][f"{size:g}"] for size in fault.sizes]
    assert any(step["error_grades"] > MOST_ERROR for step in steps)
    first = next(number for number, step in enumerate(steps) if step["error_grades"] > MOST_ERROR)
    assert all(step["withheld"] >= 0.9 for step in steps[first:])
    assert steps[0]["withheld"] <= 0.05
    assert getattr(limits, fault.limit) != getattr(QualityLimits(), fault.limit)


@pytest.mark.parametrize("sigma", [4.5, 8.0])
def test_blurred_frame_is_withheld_as_such(shipped: Model, skin: npt.NDArray[np.uint8], sigma: float) -> None:
    limits, geometry = shipped.bundle.manifest.quality, shipped.bundle.geometry
    frame = cv2.GaussianBlur(skin, (0, 0), sigma)
    quality = check_quality(frame, dense_map(frame, shipped.engine, geometry), limits)
    assert quality.withheld
    assert any(reason.startswith("blurred") for reason in quality.reasons)


def test_grain_is_no_tissue(shipped: Model) -> None:
    limits, geometry = shipped.bundle.manifest.quality, shipped.bundle.geometry
    grain = np.clip(np.random.default_rng(0).normal(90, 20, (256, 256)), 0, 255).astype(np.uint8)
    quality = check_quality(grain, dense_map(grain, shipped.engine, geometry), limits)
    assert quality.withheld
    assert any(reason.startswith("no tissue") for reason in quality.reasons)


def test_what_never_makes_the_score_fail_keeps_its_usual_limit(shipped: Model) -> None:
    class Constant:
        """Gives every patch one grade."""

        def run(self, images: npt.NDArray[np.uint8]) -> Any:
            output = shipped.engine.run(images)
            output.probabilities[:] = 0.2
            return output

    patches = shipped.bundle.gate_patches().patches[:20]
    limits, figures = measure_quality_limits(patches, Constant(), shipped.bundle.geometry, GRADES)  # type: ignore[arg-type]
    assert all(figures[fault.name]["fails_at"] is None for fault in FAULTS)
    assert limits.dark_mean == QualityLimits().dark_mean
    assert limits.detail == QualityLimits().detail


@given(st.lists(st.floats(0, 2), min_size=1, max_size=9))
def test_the_size_at_which_the_error_passes_lies_between_its_steps(errors: list[float]) -> None:
    sizes = [float(number + 1) for number in range(len(errors))]
    found = _passes(sizes, errors)
    over = [number for number, error in enumerate(errors) if error > MOST_ERROR]
    if not over:
        assert found is None
    else:
        assert found is not None
        assert sizes[max(0, over[0] - 1)] - 0.01 <= found <= sizes[over[0]] + 0.01


def test_a_limit_lies_nearer_to_the_bad_and_on_the_side_of_the_good_where_they_overlap() -> None:
    good, bad = np.linspace(0, 1, 1001), np.linspace(3, 4, 1001)
    assert _between(good, bad, rises=True) == pytest.approx((0.998 + 2 * 3.1) / 3, abs=1e-3)
    assert _between(-good, -bad, rises=False) == pytest.approx(-(0.998 + 2 * 3.1) / 3, abs=1e-3)
    assert _between(good, good, rises=True) == pytest.approx(0.998, abs=1e-3)


def test_light_is_clipped_as_a_camera_does() -> None:
    assert brighter(np.array([[10, 100, 200]], np.uint8), 2.0).tolist() == [[20, 200, 255]]
