"""What must not be scored, and why: cell by cell, then for the frame."""

import math

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import asdict

from runtime.dense_map import InflammationMap
from runtime.patch_statistics import PatchStatistics, patch_statistics

# recorded in every bundle; raise it when a check is added or changes its meaning
QUALITY_VERSION = 3
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
        unfamiliar_share: a frame with a larger share of unfamiliar cells, among those that pass every other check, is
            withheld as a whole: where that much is strange, the rest only looks familiar.
        valid_share: a frame with a smaller share of valid cells is withheld as a whole.
    """

    dark_mean: float = 8.0
    blank_spread: float = 4.0
    saturated_share: float = 0.2
    detail: float = 0.0
    structure: float = 0.0
    unfamiliar: float = 1.0
    unfamiliar_share: float = 0.5
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
        reasons: one sentence for each failed check, the commonest first; empty when every cell is valid.
        withheld: whether the frame has no score: too few cells are valid, or too many are unfamiliar.
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
    """Judge cells by what was measured already.

    Args:
        seen: the statistics of every patch.
        unfamiliarity: float32 [h, w].
        limits: the bundle's limits.
    """
    camera = {
        f"dark: mean grey level below {limits.dark_mean:.3g}": seen.mean < limits.dark_mean,
        f"blank: grey levels spread by less than {limits.blank_spread:.3g}": seen.spread < limits.blank_spread,
        f"saturated: more than {limits.saturated_share:.0%} of the pixels at 255": seen.saturated
        > limits.saturated_share,
        "blurred: no fine detail": seen.detail < limits.detail,
        "no tissue: grain without structure": seen.structure < limits.structure,
    }
    # written so that a NaN is not familiar
    unfamiliar = ~(unfamiliarity <= limits.unfamiliar)
    fit = ~np.any(list(camera.values()), axis=0)
    # what the camera spoilt is not called unfamiliar too
    failures = {**camera, "unfamiliar: unlike the images the model was trained on": fit & unfamiliar}
    valid = fit & ~unfamiliar
    strange = unfamiliar[fit].mean() if fit.any() else 0.0
    withheld = bool(valid.mean() < limits.valid_share or strange > limits.unfamiliar_share)
    shares = {text: float(failed.mean()) for text, failed in failures.items() if failed.any()}
    reasons = [
        _reason(text, share, withheld=withheld)
        for text, share in sorted(shares.items(), key=lambda item: item[1], reverse=True)
    ]
    return Quality(valid, tuple(reasons), withheld)


def _reason(text: str, share: float, *, withheld: bool) -> str:
    """Return the sentence about one check: of a frame that is scored, what part of it was left out comes first.

    Args:
        text: "word: explanation".
        share: of the cells that failed, above 0.
        withheld: whether the whole frame is.
    """
    # never rounded to nothing, nor to everything
    area = "under 1 %" if share < 0.01 else f"{min(round(100 * share), 99 if share < 1 else 100)} %"
    return f"{text} ({area} of the area)" if withheld else f"{area} of the area not scored: {text.partition(':')[0]}"
