"""Cells that show no gradable tissue are left out, and a frame with too few others has no score."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.dense_map import Geometry, InflammationMap
from runtime.quality import QualityLimits, check_quality

GEOMETRY = Geometry(patch_px=16, stride_px=4, um_per_px=0.5)


def map_of(shape: tuple[int, int], unfamiliarity: float = 0.5) -> InflammationMap:
    rows, columns = (GEOMETRY.cells(length) for length in shape)
    return InflammationMap(
        np.full((5, rows, columns), 0.2, np.float32), np.full((rows, columns), unfamiliarity, np.float32), GEOMETRY
    )


def tissue(shape: tuple[int, int] = (48, 64)) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(40, 200, shape, dtype=np.uint8)


def test_good_tissue_is_valid_everywhere_and_gives_no_reason() -> None:
    quality = check_quality(tissue(), map_of((48, 64)), QualityLimits())
    assert quality.valid.all()
    assert quality.valid.shape == (9, 13)
    assert quality.reasons == ()
    assert not quality.withheld


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.random.default_rng(0).integers(0, 10, (48, 64), dtype=np.uint8), "dark"),
        (np.full((48, 64), 90, np.uint8), "blank"),
        (np.where(tissue() > 130, np.uint8(255), tissue()), "saturated"),
    ],
)
def test_frame_that_shows_no_tissue_is_withheld_with_its_reason(pixels: npt.NDArray[np.uint8], reason: str) -> None:
    quality = check_quality(pixels, map_of((48, 64)), QualityLimits())
    assert quality.withheld
    assert quality.reasons[0].startswith(reason)
    assert "(117 of 117 cells)" in quality.reasons[0]


def test_unfamiliar_frame_is_withheld() -> None:
    quality = check_quality(tissue(), map_of((48, 64), unfamiliarity=1.01), QualityLimits())
    assert quality.withheld
    assert quality.reasons[0].startswith("unfamiliar")
    assert not check_quality(tissue(), map_of((48, 64), unfamiliarity=0.99), QualityLimits()).withheld


def test_only_the_cells_over_a_dark_corner_are_left_out() -> None:
    pixels = tissue()
    pixels[:16, :16] = 0
    quality = check_quality(pixels, map_of((48, 64)), QualityLimits())
    # a patch that is wholly black is dark and blank; one that is half black keeps a mean far above the limit
    assert not quality.valid[0, 0]
    assert quality.valid[4:, 4:].all()
    assert not quality.withheld
    assert any("(1 of 117 cells)" in reason for reason in quality.reasons)


def test_share_of_valid_cells_decides_about_the_frame() -> None:
    found = map_of((48, 64))
    found.unfamiliarity[:, :7] = 2.0
    for share, withheld in ((6 / 13 - 0.01, False), (6 / 13 + 0.01, True)):
        assert check_quality(tissue(), found, QualityLimits(valid_share=share)).withheld is withheld


@settings(max_examples=50, deadline=None)
@given(height=st.integers(16, 60), width=st.integers(16, 60), seed=st.integers(0, 99))
def test_every_cell_is_judged_by_its_own_patch(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = (rng.integers(0, 256, (height, width)) * (rng.random((height, width)) < 0.3)).astype(np.uint8)
    limits = QualityLimits(dark_mean=38.0, blank_spread=75.0, saturated_share=0.004)
    quality = check_quality(pixels, map_of((height, width)), limits)
    for i, j in np.ndindex(quality.valid.shape):
        patch = pixels[4 * i : 4 * i + 16, 4 * j : 4 * j + 16].astype(float)
        good = patch.mean() >= 38.0 and patch.std() >= 75.0 and (patch == 255).mean() <= 0.004
        assert quality.valid[i, j] == good


@pytest.mark.parametrize("limits", [{"valid_share": 1.01}, {"unfamiliar": -1.0}, {"dark_mean": float("nan")}])
def test_limits_that_make_no_sense_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(limits))} .*, wanted 0 to"):
        QualityLimits(**limits)
