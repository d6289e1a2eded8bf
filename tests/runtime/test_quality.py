"""Cells that show no gradable tissue are left out, and a frame with too few others has no score."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.dense_map import Geometry, InflammationMap
from runtime.patch_statistics import PatchStatistics
from runtime.quality import QualityLimits, check_quality, judge

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
    assert quality.reasons[0].endswith("(100 % of the area)")


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
    assert "under 1 % of the area not scored: dark" in quality.reasons


def test_a_scored_frame_says_what_part_of_its_area_was_left_out() -> None:
    found = map_of((48, 64))
    found.unfamiliarity[0, :2] = 2.0
    quality = check_quality(tissue(), found, QualityLimits())
    assert not quality.withheld
    # 2 of 117 cells
    assert quality.reasons == ("2 % of the area not scored: unfamiliar",)


@pytest.mark.parametrize(("strange", "withheld"), [(23, False), (24, True)])
def test_a_frame_that_is_strange_in_part_is_not_scored_for_the_rest(strange: int, withheld: bool) -> None:
    found = map_of((48, 64))
    found.unfamiliarity.flat[:strange] = 2.0
    # 23 of 117 cells are under a fifth
    quality = check_quality(tissue(), found, QualityLimits(unfamiliar_share=0.2))
    assert quality.withheld is withheld
    assert quality.valid.sum() == 117 - strange


def test_the_strange_share_is_of_the_cells_that_pass_every_other_check() -> None:
    pixels, found = tissue(), map_of((48, 64))
    # the right part is dark, and more than a fifth of the rest unfamiliar: of all cells that is less
    pixels[:, 30:] = 0
    found.unfamiliarity[:5, :4] = 2.0
    quality = check_quality(pixels, found, QualityLimits(unfamiliar_share=0.2, valid_share=0.1))
    assert np.mean(found.unfamiliarity > 1) < 0.2
    assert quality.withheld


def test_a_cell_that_the_camera_spoilt_is_not_called_unfamiliar_too() -> None:
    pixels, found = tissue(), map_of((48, 64))
    pixels[:16, :16] = 0
    found.unfamiliarity[0, 0] = 2.0
    quality = check_quality(pixels, found, QualityLimits())
    assert not quality.valid[0, 0]
    assert not any("unfamiliar" in reason for reason in quality.reasons)


def test_a_share_is_rounded_neither_to_nothing_nor_to_everything() -> None:
    found = map_of((136, 136))
    found.unfamiliarity[:] = 2.0
    found.unfamiliarity[0, 0] = 0.5
    [reason] = check_quality(tissue((136, 136)), found, QualityLimits()).reasons
    assert reason.endswith("(99 % of the area)")


def test_a_cell_of_which_nothing_is_known_is_not_familiar() -> None:
    found = map_of((48, 64), unfamiliarity=float("nan"))
    assert not check_quality(tissue(), found, QualityLimits()).valid.any()


def test_share_of_valid_cells_decides_about_the_frame() -> None:
    found = map_of((48, 64))
    found.unfamiliarity[:, :7] = 2.0
    for share, withheld in ((6 / 13 - 0.01, False), (6 / 13 + 0.01, True)):
        limits = QualityLimits(valid_share=share, unfamiliar_share=1.0)
        assert check_quality(tissue(), found, limits).withheld is withheld


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


def seen(**figures: float) -> PatchStatistics:
    """One patch that passes every check but those named."""
    sound = {"mean": 100.0, "spread": 30.0, "saturated": 0.0, "structure": 0.9, "detail": 0.9} | figures
    return PatchStatistics(**{name: np.array([[value]]) for name, value in sound.items()})


@pytest.mark.parametrize(
    ("figure", "kept", "missed", "word"),
    [
        ("mean", 8.0, np.nextafter(8.0, 0.0), "dark"),
        ("spread", 4.0, np.nextafter(4.0, 0.0), "blank"),
        ("saturated", 0.2, np.nextafter(0.2, 1.0), "saturated"),
        ("detail", 0.25, np.nextafter(0.25, 0.0), "blurred"),
        ("structure", 0.125, np.nextafter(0.125, 0.0), "no tissue"),
    ],
)
def test_patch_exactly_at_a_limit_is_valid(figure: str, kept: float, missed: float, word: str) -> None:
    limits = QualityLimits(
        dark_mean=8.0, blank_spread=4.0, saturated_share=0.2, detail=0.25, structure=0.125, unfamiliar=1.0
    )
    familiar = np.array([[0.5]], np.float32)
    assert judge(seen(**{figure: kept}), familiar, limits).valid.all()
    found = judge(seen(**{figure: missed}), familiar, limits)
    assert not found.valid.any()
    assert found.reasons[0].startswith(word)


def test_patch_exactly_as_unfamiliar_as_allowed_is_valid() -> None:
    for value, valid in ((1.0, True), (np.nextafter(np.float32(1), np.float32(2)), False)):
        assert judge(seen(), np.array([[value]], np.float32), QualityLimits(unfamiliar=1.0)).valid.all() == valid


@pytest.mark.parametrize(("dark", "withheld"), [(2, False), (3, True)], ids=["exactly half is valid", "less"])
def test_frame_with_exactly_the_share_of_valid_cells_is_scored(dark: int, withheld: bool) -> None:
    means = np.array([[0.0] * dark + [100.0] * (4 - dark)])
    rest = {name: np.full((1, 4), value) for name, value in (("spread", 30.0), ("structure", 0.9), ("detail", 0.9))}
    found = judge(
        PatchStatistics(mean=means, saturated=np.zeros((1, 4)), **rest),
        np.full((1, 4), 0.5, np.float32),
        QualityLimits(valid_share=0.5),
    )
    assert found.withheld is withheld


@pytest.mark.parametrize(("strange", "withheld"), [(1, False), (2, True)], ids=["exactly a quarter", "more"])
def test_frame_with_exactly_the_share_of_unfamiliar_cells_is_scored(strange: int, withheld: bool) -> None:
    whole = {name: np.full((1, 4), value) for name, value in (("mean", 100.0), ("spread", 30.0), ("saturated", 0.0))}
    unfamiliarity = np.array([[2.0] * strange + [0.5] * (4 - strange)], np.float32)
    found = judge(
        PatchStatistics(**whole, structure=np.full((1, 4), 0.9), detail=np.full((1, 4), 0.9)),
        unfamiliarity,
        QualityLimits(unfamiliar_share=0.25, valid_share=0.0),
    )
    assert found.withheld is withheld


def test_limits_that_ship_are_those_documented() -> None:
    limits = QualityLimits()
    assert (limits.dark_mean, limits.blank_spread, limits.saturated_share) == (8.0, 4.0, 0.2)
    assert (limits.detail, limits.structure) == (0.0, 0.0)
    assert (limits.unfamiliar, limits.unfamiliar_share, limits.valid_share) == (1.0, 0.5, 0.5)
    # the ends of a share are allowed
    for share in (0.0, 1.0):
        QualityLimits(saturated_share=share, unfamiliar_share=share, valid_share=share)
