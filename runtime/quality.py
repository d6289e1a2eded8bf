"""What must not be scored, and why: cell by cell, then for the frame."""

import math

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import asdict

from runtime.dense_map import InflammationMap
from runtime.patch_statistics import PatchStatistics, patch_statistics

# recorded in every bundle; raise it when a check is added or changes its meaning
QUALITY_VERSION = 2
# so many times as unfamiliar as is allowed is beyond doubt: how much more so says nothing, and INT8, whose values end
# somewhere, cannot tell
STRANGE = 1.5


class QualityLimits(msgspec.Struct, frozen=True):
    """Limits a cell or frame must keep to be scored; export measures them, and they travel in the bundle.

    Attributes:
        dark_mean: a patch with a mean grey level below it is dark.
        blank_spread: a patch with a standard deviation of grey levels below it is blank.
        saturated_share: a patch with a larger share of pixels at 255 is saturated.
        detail: a patch of a smaller `PatchStatistics.detail` is blurred.
        structure: a patch of a smaller `PatchStatistics.structure` holds no tissue but grain.
        unfamiliar: a patch with a larger unfamiliarity is unlike the training images.
        valid_share: a frame with a smaller share of valid cells is withheld as a whole.
    """

    dark_mean: float = 8.0
    blank_spread: float = 4.0
    saturated_share: float = 0.2
    detail: float = 0.0
    structure: float = 0.0
    unfamiliar: float = 1.0
    valid_share: float = 0.5

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            highest = 1.0 if name.endswith("_share") else math.inf
            # a NaN would let everything pass
            if not 0 <= value <= highest:
                raise ValueError(f"{name} {value}, wanted 0 to {highest:g}")


class Quality(msgspec.Struct, frozen=True):
    """What the checks found.

    Attributes:
        valid: bool [h, w], True where the cell may be scored.
        reasons: one sentence a failed check, the commonest first; empty when every cell is valid.
        withheld: whether too few cells are valid for the frame to have a score.
    """

    valid: npt.NDArray[np.bool_]
    reasons: tuple[str, ...]
    withheld: bool


def check_quality(pixels: npt.NDArray[np.uint8], found: InflammationMap, limits: QualityLimits) -> Quality:
    """Judge every cell of a map.

    Args:
        pixels: uint8 [H, W], the frame at the model's scale that the map was made from.
        found: its map.
        limits: the bundle's limits.
    """
    return judge(patch_statistics(pixels, found.geometry), found.unfamiliarity, limits)


def judge(seen: PatchStatistics, unfamiliarity: npt.NDArray[np.float32], limits: QualityLimits) -> Quality:
    """The same of what was measured already: `seen` of every patch, and its unfamiliarity, float32 [h, w]."""
    failures = {
        f"dark: mean grey level below {limits.dark_mean:.3g}": seen.mean < limits.dark_mean,
        f"blank: grey levels spread by less than {limits.blank_spread:.3g}": seen.spread < limits.blank_spread,
        f"saturated: more than {limits.saturated_share:.0%} of the pixels at 255": seen.saturated
        > limits.saturated_share,
        "blurred: no fine detail": seen.detail < limits.detail,
        "no tissue: grain without structure": seen.structure < limits.structure,
        "unfamiliar: unlike the images the model was trained on": unfamiliarity > limits.unfamiliar,
    }
    valid = ~np.any(list(failures.values()), axis=0)
    counts = {text: int(failed.sum()) for text, failed in failures.items() if failed.any()}
    reasons = [
        f"{text} ({count} of {valid.size} cells)"
        for text, count in sorted(counts.items(), key=lambda item: item[1], reverse=True)
    ]
    withheld = bool(valid.mean() < limits.valid_share)
    return Quality(valid, tuple(reasons), withheld)
