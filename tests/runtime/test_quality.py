"""Cells that show no gradable tissue are left out, and a frame with too few others has no score."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from runtime.dense_map import Geometry, InflammationMap
from runtime.patch_statistics import PatchStatistics
from runtime.quality import QUALITY_VERSION, STRANGE, Quality, QualityLimits, check_quality, judge

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


def test_limits_and_findings_cannot_be_changed() -> None:
    limits = QualityLimits()
    found = check_quality(tissue(), map_of((48, 64)), limits)
    with pytest.raises(AttributeError):
        limits.dark_mean = 0.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        found.withheld = True  # type: ignore[misc]


def test_limits_are_those_of_the_documents_where_a_bundle_says_none() -> None:
    assert (QUALITY_VERSION, STRANGE) == (3, 1.5)
    assert asdict(QualityLimits()) == {
        "dark_mean": 8.0,
        "blank_spread": 4.0,
        "saturated_share": 0.2,
        "detail": 0.0,
        "structure": 0.0,
        "unfamiliar": 1.0,
        "unfamiliar_share": 0.5,
        "valid_share": 0.5,
    }


ENDS = {"valid_share": 1.0, "unfamiliar_share": 1.0, "saturated_share": 1.0, "dark_mean": 1e9, "unfamiliar": 1e9}


@pytest.mark.parametrize("name", ENDS)
def test_limits_may_lie_at_the_ends_of_their_range_and_not_beyond(name: str) -> None:
    for value in (0.0, ENDS[name]):
        assert getattr(QualityLimits(**{name: value}), name) == value
    for value in (-1e-9, 1.001) if name.endswith("_share") else (-1e-9,):
        with pytest.raises(ValueError, match=name):
            QualityLimits(**{name: value})


ONE = np.ones((1, 1))
FAMILIAR = np.ones((1, 1), np.float32)
# each measure exactly at its limit is still good
EXACT = PatchStatistics(mean=8 * ONE, spread=4 * ONE, saturated=0.2 * ONE, detail=3 * ONE, structure=2 * ONE)
LIMITS = QualityLimits(detail=3.0, structure=2.0)
WORSE = {"mean": 7.99, "spread": 3.99, "saturated": 0.201, "detail": 2.99, "structure": 1.99}


def test_a_cell_exactly_at_every_limit_is_valid() -> None:
    quality = judge(EXACT, FAMILIAR, LIMITS)
    assert quality.valid.all()
    assert (quality.reasons, quality.withheld) == ((), False)


@pytest.mark.parametrize("name", WORSE)
def test_a_cell_just_beyond_one_limit_is_left_out_for_that_alone(name: str) -> None:
    (reason,) = judge(replace(EXACT, **{name: WORSE[name] * ONE}), FAMILIAR, LIMITS).reasons
    words = {"mean": "dark", "spread": "blank", "saturated": "saturated", "detail": "blurred", "structure": "no tissue"}
    assert reason.startswith(words[name])
    assert reason.endswith("(100 % of the area)")


def frame_of(**failed: int) -> Quality:
    """A frame of 1000 cells of which the first so many fail each measure."""
    values = {name: np.full((1, 1000), value[0, 0]) for name, value in asdict(EXACT).items()}
    unfamiliarity = np.full((1, 1000), 0.5, np.float32)
    for name, count in failed.items():
        (unfamiliarity if name == "unfamiliarity" else values[name])[0, :count] = WORSE.get(name, 2.0)
    return judge(PatchStatistics(**values), unfamiliarity, LIMITS)


@pytest.mark.parametrize(
    ("count", "area"),
    [(9, "under 1 %"), (10, "1 %"), (14, "1 %"), (16, "2 %"), (494, "49 %")],
)
def test_the_area_that_was_left_out_is_rounded_to_a_percent(count: int, area: str) -> None:
    quality = frame_of(mean=count)
    assert quality.reasons == (f"{area} of the area not scored: dark",)
    assert quality.valid.sum() == 1000 - count


def test_the_commonest_reason_comes_first() -> None:
    reasons = frame_of(mean=30, structure=200, spread=100).reasons
    assert [reason.rpartition(": ")[2] for reason in reasons] == ["no tissue", "blank", "dark"]


@pytest.mark.parametrize(("count", "withheld"), [(500, False), (501, True)])
def test_exactly_half_of_the_cells_are_enough(count: int, withheld: bool) -> None:
    assert frame_of(mean=count).withheld is withheld
    # as many that are unfamiliar, among those that are fit
    assert frame_of(unfamiliarity=count).withheld is withheld


def test_a_frame_without_a_fit_cell_is_withheld_for_the_camera_alone() -> None:
    quality = frame_of(mean=1000, unfamiliarity=1000)
    assert quality.withheld
    assert quality.reasons == ("dark: mean grey level below 8 (100 % of the area)",)
