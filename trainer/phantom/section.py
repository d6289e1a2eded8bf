"""Where and how the optical section cuts a subject's epidermis: what varies from image to image and is not
inflammation.

Histograms tell nothing of the severity; binary patterns and co-occurrence are led astray by what varies here. What
remains is what the cells look like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .subject import Subject

UM_PER_PX = 0.5


@dataclass(frozen=True)
class Section:
    """One optical section. Lengths in px at 0.5 µm/px, reflectances relative to cytoplasm."""

    pitch_px: float
    anisotropy: float
    nucleus_px: float
    """Radius of the nucleus."""
    nucleus_darkness: float
    edge_px: float
    """Standard deviation of the nucleus' edge."""
    membrane_px: float
    """Standard deviation of the cell border's edge."""
    gap_reflectance: float
    grain_contrast: float
    grain_px: float
    melanin: float
    """Fraction of pixels that hold a bright melanosome."""
    vessels_per_mm2: float


def draw_section(subject: Subject, rng: np.random.Generator) -> Section:
    """Draw one optical section through `subject`."""
    # a section higher or lower in the same epidermis meets larger or smaller cells
    size = float(np.exp(np.clip(rng.normal(0.0, 0.13), -0.35, 0.35)))
    pitch_px = subject.pitch_um / UM_PER_PX * size
    half_pitch = 0.5 * pitch_px
    return Section(
        pitch_px=pitch_px,
        anisotropy=subject.anisotropy * float(rng.uniform(1.0, 1.1)),
        nucleus_px=half_pitch * float(np.clip(subject.nucleus_ratio + rng.normal(0.0, 0.05), 0.5, 0.85)),
        nucleus_darkness=float(np.clip(0.76 + 0.08 * subject.depth + rng.normal(0.0, 0.02), 0.6, 0.95)),
        edge_px=half_pitch * float(rng.uniform(0.08, 0.25)),
        membrane_px=float(rng.uniform(0.6, 1.3)),
        gap_reflectance=float(rng.uniform(0.05, 0.3)),
        grain_contrast=subject.granularity * float(rng.uniform(0.7, 1.6)),
        grain_px=float(rng.uniform(0.7, 2.2)),
        melanin=float(rng.uniform(0.0, 0.014)),
        # At most one papilla in about 160 x 160 µm; how many are in view is up to the depth.
        vessels_per_mm2=25.0 * (0.2 + 0.8 * subject.depth),
    )
