"""Which patches deserve a score, measured: validation patches made worse step by step until the score fails.

Each fault is a camera's or an operator's: defocus, too little light, too much. From the step at which the mean error
passes half a grade, most patches must be withheld; of those left as they are, hardly any.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from msgspec.structs import asdict, replace

from export.distance import Distance
from runtime.dense_map import Geometry, dense_map
from runtime.engines import Engine
from runtime.evenly import evenly
from runtime.patch_statistics import patch_statistics
from runtime.quality import QualityLimits, check_quality

# half a grade: what rounds to another; where grades have no order, half of the probability
MOST_ERROR = 0.5
# what a limit may cost of the good patches, and of the bad ones at the step where the score fails
GOOD_LOST, BAD_KEPT = 0.002, 0.1
# how much of the way from the bad patches to the good ones a limit lies, for another skin fails a little earlier
CAUTION = 1 / 3
# of good patches the lowest structure, halved, is not grain: that has none
STRUCTURE_SHARE = 0.5
MOST_PATCHES = 200
# a frame is withheld whose share of unfamiliar cells is so many times that of validation images, within these bounds:
# below, the odd hair or vessel would withhold a frame, and above, most of what is left would be strange too
UNFAMILIAR_TIMES, LEAST_UNFAMILIAR, MOST_UNFAMILIAR = 5.0, 0.2, 0.5

Patches = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Fault:
    """A way in which an image gets worse.

    Attributes:
        name: of it, and of its size.
        limit: field of `QualityLimits` that is to catch it.
        statistic: field of `PatchStatistics` that the limit is of.
        rises: whether the statistic grows with the fault.
        sizes: from hardly any to more than enough.
        apply: the patch as it is with a fault of a size.
    """

    name: str
    limit: str
    statistic: str
    rises: bool
    sizes: tuple[float, ...]
    apply: Callable[[Patches, float], Patches]


def blurred(patch: Patches, sigma_px: float) -> Patches:
    """Out of focus: a Gaussian of so many pixels."""
    return np.array(cv2.GaussianBlur(patch, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT_101), np.uint8)


def brighter(patch: Patches, gain: float) -> Patches:
    """So many times as much light, or as little, on a camera of 256 levels."""
    return np.array(np.rint(np.clip(patch * np.float32(gain), 0, 255)), np.uint8)


FAULTS = (
    Fault("blur_sigma_px", "detail", "detail", False, (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6), blurred),
    Fault("light", "dark_mean", "mean", False, (0.7, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.07, 0.05), brighter),
    Fault("overexposure", "saturated_share", "saturated", True, (1.5, 2, 2.5, 3, 4, 5, 6, 8, 12, 16), brighter),
)


def measure_quality_limits(
    patches: Patches, engine: Engine, geometry: Geometry, distance: Distance
) -> tuple[QualityLimits, dict[str, Any]]:
    """Choose the limits by patches that are known to be good.

    Args:
        patches: uint8 [N, patch_px, patch_px] at the model's scale, of the validation part.
        engine: the exported model.
        geometry: its geometry.
        distance: between two answers.

    Returns:
        The limits, and the figures they were chosen by: for each fault the steps with the mean distance from
        the answers to good patches and the share of patches that the limits withhold, the size at which it passes
        `MOST_ERROR` (None where none does), and what was withheld of the patches as they are. A fault that never makes
        the score fail keeps the usual limit.
    """
    some = patches[evenly(len(patches), MOST_PATCHES)]
    reference = _answers(some, engine, geometry)
    good = _statistics(some, geometry)
    limits = replace(
        QualityLimits(), structure=_rounded(STRUCTURE_SHARE * float(np.quantile(good["structure"], GOOD_LOST)))
    )
    worse: dict[str, list[Patches]] = {}
    errors: dict[str, list[float]] = {}
    fails_at: dict[str, float | None] = {}
    for fault in FAULTS:
        worse[fault.name] = [np.stack([fault.apply(patch, size) for patch in some]) for size in fault.sizes]
        errors[fault.name] = [
            float(distance.of(reference, _answers(images, engine, geometry)).mean()) for images in worse[fault.name]
        ]
        fails_at[fault.name] = size = _passes(fault.sizes, errors[fault.name])
        if size is not None:
            bad = _statistics(np.stack([fault.apply(patch, size) for patch in some]), geometry)[fault.statistic]
            limits = replace(limits, **{fault.limit: _between(good[fault.statistic], bad, rises=fault.rises)})
    figures: dict[str, Any] = {
        "patches": len(some),
        "withheld_as_they_are": _withheld(some, engine, geometry, limits),
    }
    for fault in FAULTS:
        figures[fault.name] = {
            "limit": fault.limit,
            "fails_at": fails_at[fault.name],
            "steps": {
                f"{size:g}": {
                    f"error_{distance.unit}": round(error, 4),
                    "withheld": _withheld(images, engine, geometry, limits),
                }
                for size, error, images in zip(fault.sizes, errors[fault.name], worse[fault.name], strict=True)
            },
        }
    return limits, figures


def unfamiliar_share_limit(
    patches: Patches, frames: Sequence[Patches], engine: Engine, geometry: Geometry, limits: QualityLimits
) -> float:
    """Return the share of unfamiliar cells above which a frame is withheld, by images that are known to be good.

    Args:
        patches: uint8 [N, patch_px, patch_px] of the validation part; their share is that of a frame.
        frames: uint8 [H, W] each, of the validation part; there may be none.
        engine: the exported model.
        geometry: its geometry.
        limits: what else cells are withheld by.
    """

    def shares(images: Sequence[Patches] | Patches) -> list[float]:
        return [
            float(np.mean(dense_map(image, engine, geometry).unfamiliarity > limits.unfamiliar)) for image in images
        ]

    worst = max([float(np.mean(shares(patches))), *shares(frames)])
    return _rounded(min(MOST_UNFAMILIAR, max(LEAST_UNFAMILIAR, UNFAMILIAR_TIMES * worst)))


def _answers(images: Patches, engine: Engine, geometry: Geometry) -> npt.NDArray[np.float32]:
    return np.stack([dense_map(image, engine, geometry).probabilities[:, 0, 0] for image in images])


def _statistics(images: Patches, geometry: Geometry) -> dict[str, npt.NDArray[np.float64]]:
    found = [asdict(patch_statistics(image, geometry)) for image in images]
    return {name: np.array([each[name][0, 0] for each in found]) for name in found[0]}


def _withheld(images: Patches, engine: Engine, geometry: Geometry, limits: QualityLimits) -> float:
    """Share of the images that are withheld, for whatever reason."""
    kept = [check_quality(image, dense_map(image, engine, geometry), limits).valid[0, 0] for image in images]
    return round(1 - float(np.mean(kept)), 4)


def _passes(sizes: Sequence[float], errors: Sequence[float]) -> float | None:
    """The size at which the error passes `MOST_ERROR`, between two steps in proportion; None where it does not."""
    before_size, before = sizes[0], 0.0
    for size, error in zip(sizes, errors, strict=True):
        if error > MOST_ERROR:
            share = (MOST_ERROR - before) / (error - before)
            return float(f"{before_size + share * (size - before_size):.3g}")
        before_size, before = size, error
    return None


def _between(good: npt.NDArray[np.float64], bad: npt.NDArray[np.float64], *, rises: bool) -> float:
    """A limit nearer to the bad patches than to the good ones; where they overlap, the good ones are kept."""
    if not rises:
        return -_between(-good, -bad, rises=True)
    kept, caught = float(np.quantile(good, 1 - GOOD_LOST)), float(np.quantile(bad, BAD_KEPT))
    return _rounded(max(kept, caught + CAUTION * (kept - caught)))


def _rounded(limit: float) -> float:
    """To what a person reads."""
    return float(f"{limit:.4g}")
