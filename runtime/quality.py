"""What must not be scored, and why: cell by cell, then for the frame."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry, InflammationMap

# recorded in every bundle; raise it when a check is added or changes its meaning
QUALITY_VERSION = 1
# so many times as unfamiliar as is allowed is beyond doubt: how much more so says nothing, and INT8, whose values end
# somewhere, cannot tell
STRANGE = 1.5


@dataclass(frozen=True)
class QualityLimits:
    """Limits a cell or frame must keep to be scored; they travel in the bundle.

    Attributes:
        dark_mean: a patch with a mean grey level below it is dark.
        blank_spread: a patch with a standard deviation of grey levels below it holds no tissue.
        saturated_share: a patch with a larger share of pixels at 255 is saturated.
        unfamiliar: a patch with a larger unfamiliarity is unlike the training images.
        valid_share: a frame with a smaller share of valid cells is withheld as a whole.
    """

    dark_mean: float = 8.0
    blank_spread: float = 4.0
    saturated_share: float = 0.2
    unfamiliar: float = 1.0
    valid_share: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            highest = 1.0 if name.endswith("_share") else math.inf
            # a NaN would let everything pass
            if not 0 <= value <= highest:
                raise ValueError(f"{name} {value}, wanted 0 to {highest:g}")


@dataclass(frozen=True)
class Quality:
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
    geometry = found.geometry
    grey = pixels.astype(np.float32)
    mean = _patch_mean(grey, geometry)
    variance = _patch_mean(grey * grey, geometry) - mean * mean
    saturated = _patch_mean((pixels == 255).astype(np.float32), geometry)
    failures = {
        f"dark: mean grey level below {limits.dark_mean:g}": mean < limits.dark_mean,
        f"blank: grey levels spread by less than {limits.blank_spread:g}": variance < limits.blank_spread**2,
        f"saturated: more than {limits.saturated_share:.0%} of the pixels at 255": saturated > limits.saturated_share,
        "unfamiliar: unlike the images the model was trained on": found.unfamiliarity > limits.unfamiliar,
    }
    valid = ~np.any(list(failures.values()), axis=0)
    counts = {text: int(failed.sum()) for text, failed in failures.items() if failed.any()}
    reasons = [
        f"{text} ({count} of {valid.size} cells)"
        for text, count in sorted(counts.items(), key=lambda item: item[1], reverse=True)
    ]
    withheld = bool(valid.mean() < limits.valid_share)
    return Quality(valid, tuple(reasons), withheld)


def _patch_mean(values: npt.NDArray[np.float32], geometry: Geometry) -> npt.NDArray[np.float64]:
    """Mean over each cell's patch, float64 [h, w], from one integral image."""
    sums = cv2.integral(values, sdepth=cv2.CV_64F)
    height, width = values.shape
    top = np.arange(geometry.cells(height)) * geometry.stride_px
    left = np.arange(geometry.cells(width)) * geometry.stride_px
    bottom, right = top + geometry.patch_px, left + geometry.patch_px
    total = sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)] - sums[np.ix_(bottom, left)]
    mean: npt.NDArray[np.float64] = (total + sums[np.ix_(top, left)]) / geometry.patch_px**2
    return mean
