"""Variants of good patches that must stay familiar: other orientations, exposures and samplings of the same skin."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from export.scale_range import STEP, STEPS, as_seen_at
from runtime.dense_map import Geometry

Patches = npt.NDArray[np.uint8]

# share of the variants that are sampled otherwise than the model
RESAMPLED_SHARE = 0.4
# the largest changes: of gamma and of the laser's power, as natural logarithms; of the light towards an edge; of the
# offset, and the standard deviation of added noise, in grey levels
GAMMA, GAIN, RAMP, OFFSET, NOISE = 0.25, 0.5, 0.15, 8.0, 4.0


def vary(patches: Patches, geometry: Geometry, rng: np.random.Generator) -> Patches:
    """Draw one variant of each patch.

    Args:
        patches: uint8 [N, P, P] at the model's scale.
        geometry: the model's.
        rng: the only source of chance.

    Returns:
        uint8 [N, P, P].
    """
    varied = np.empty_like(patches)
    along = np.linspace(-1, 1, patches.shape[1], dtype=np.float32)
    levels = np.arange(256) / 255
    for place, patch in enumerate(patches):
        if rng.random() < RESAMPLED_SHARE:
            scale = geometry.um_per_px * STEP ** rng.uniform(-STEPS, STEPS)
            seen = as_seen_at(patch, scale, geometry)
        else:
            seen = patch
        turned = np.rot90(seen, int(rng.integers(4)))
        turned = turned[:, ::-1] if rng.integers(2) else turned
        tone = np.rint(255 * levels ** math.exp(rng.uniform(-GAMMA, GAMMA))).astype(np.uint8)
        grey = cv2.LUT(np.ascontiguousarray(turned), tone).astype(np.float32)
        light = 1 + rng.uniform(-RAMP, RAMP) * along[None] + rng.uniform(-RAMP, RAMP) * along[:, None]
        grey = grey * light * math.exp(rng.uniform(-GAIN, GAIN)) + rng.uniform(-OFFSET, OFFSET)
        grey += rng.uniform(0, NOISE) * rng.standard_normal(grey.shape, dtype=np.float32)
        varied[place] = np.clip(np.rint(grey), 0, 255)
    return varied
