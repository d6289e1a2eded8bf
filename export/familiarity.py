"""Fit the out-of-distribution detector, and measure how well it separates textures that it has not seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from export.map_network import MapNetwork
from export.ood_detector import ChannelMeans, fit_detector
from export.outliers import KINDS, draw_outliers, scrambled
from export.refused import PATCHES_PER_IMAGE, RefusedImage
from export.variants import vary
from runtime.dense_map import Geometry
from runtime.evenly import evenly
from trainer.network import TextureNetwork

# fewer training patches than this are shown in more variants, and more are not needed
FAMILIAR_PATCHES = 1500
# of the validation patches, in variants, so that the limits are no matter of a few extremes
LEAST_VALIDATION = 1000
OUTLIERS = 3000
SCRAMBLED = 600
# share of all outliers that stem from the user's own images, where there are any
REFUSED_SHARE = 0.25
# procedural textures that the detector is not fitted on, to measure it by; a share of those it is fitted on
HELD_ASIDE_SHARE = 1 / 6
# beyond these figures the export warns
MOST_SCORED, LEAST_AUROC, MOST_WITHHELD = 0.02, 0.995, 0.05

Patches = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Familiarity:
    """The network with its fitted detector.

    Attributes:
        model: what is exported.
        figures: for the manifest: what the detector was fitted on; `validation_withheld`, the share of validation
            patches above the limit; `outliers_scored`, the share of procedural textures below it that it was not fitted
            on; `auroc`, the chance that such a texture is less familiar than a validation patch.
    """

    model: MapNetwork
    figures: dict[str, Any]

    def warning(self) -> str | None:
        """Return what is wrong with a detector that separates badly; None where it is good."""
        figures = self.figures
        scored, separation, withheld = figures["outliers_scored"], figures["auroc"], figures["validation_withheld"]
        if scored <= MOST_SCORED and separation >= LEAST_AUROC and withheld <= MOST_WITHHELD:
            return None
        return (
            f"images that are not skin are refused badly: {scored:.1%} of other textures would be scored, AUROC "
            f"{separation:.3f}, and {withheld:.1%} of the validation patches are withheld; wanted at most "
            f"{MOST_SCORED:.0%}, at least {LEAST_AUROC}, and at most {MOST_WITHHELD:.0%}: train longer, or on more "
            "patches and subjects"
        )


def fit_familiarity(
    network: TextureNetwork,
    geometry: Geometry,
    trained: Patches,
    validation: Patches,
    refused: Sequence[RefusedImage] = (),
    *,
    outliers: int = OUTLIERS,
) -> Familiarity:
    """Fit the detector on training patches and outliers, and set its limits by validation patches.

    Args:
        network: trained.
        geometry: of the exported map.
        trained, validation: uint8 [N, P, P], at least one of each.
        refused: the user's images that must be withheld.
        outliers: how many procedural textures to fit on.
    """
    rng = np.random.default_rng(0)

    def means(patches: Patches) -> ChannelMeans:
        return ChannelMeans.of(network, patches, geometry.stride_px)

    trained = trained[evenly(len(trained), FAMILIAR_PATCHES)]
    familiar = _with_variants(trained, max(1, math.ceil(FAMILIAR_PATCHES / len(trained))), geometry, rng)
    held = _with_variants(validation, max(1, math.ceil(LEAST_VALIDATION / len(validation))), geometry, rng)
    strange = [
        draw_outliers(outliers, geometry.patch_px, rng),
        scrambled(trained[evenly(len(trained), SCRAMBLED)], rng),
    ]
    if refused:
        # neither more, or other textures would be forgotten, nor less
        wanted = math.ceil(REFUSED_SHARE / (1 - REFUSED_SHARE) * sum(map(len, strange)))
        of_each = min(PATCHES_PER_IMAGE, math.ceil(wanted / len(refused)))
        own = np.concatenate([image.patches(geometry.patch_px, of_each) for image in refused])
        own = own[evenly(len(own), wanted)]
        strange.append(_with_variants(own, math.ceil(wanted / len(own)) - 1, geometry, rng))
    detector = fit_detector(network.config, means(familiar), means(np.concatenate(strange)), means(held))
    model = MapNetwork(network, detector, geometry.stride_px)
    aside = draw_outliers(max(len(KINDS), round(HELD_ASIDE_SHARE * outliers)), geometry.patch_px, rng)
    good, bad = model.unfamiliarity(validation), model.unfamiliarity(aside)
    return Familiarity(
        model,
        {
            "training_patches": len(trained),
            "validation_patches": len(validation),
            "procedural_outliers": outliers,
            "kinds": list(KINDS),
            "refused_images": len(refused),
            "validation_withheld": round(float(np.mean(good > 1)), 4),
            "outliers_scored": round(float(np.mean(bad <= 1)), 4),
            "auroc": round(auroc(good, bad), 4),
        },
    )


def auroc(familiar: npt.NDArray[np.floating], strange: npt.NDArray[np.floating]) -> float:
    """Return the chance that a strange patch has a higher value than a familiar one; ties count half.

    Args:
        familiar, strange: float [N] and [M], the unfamiliarity of each.
    """
    ordered = np.sort(familiar)
    below, not_above = np.searchsorted(ordered, strange, "left"), np.searchsorted(ordered, strange, "right")
    return float(np.mean(below + not_above) / 2 / len(ordered))


def _with_variants(patches: Patches, variants: int, geometry: Geometry, rng: np.random.Generator) -> Patches:
    return np.concatenate([patches, *(vary(patches, geometry, rng) for _ in range(variants))])
