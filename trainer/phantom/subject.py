"""The people whose skin is painted: everything that differs between them and is not inflammation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SUBJECT_KIND = 1


@dataclass(frozen=True)
class Subject:
    """One person's epidermis, constant over all of that person's patches and frames.

    Lengths in µm. The two offsets are in grades: a subject whose healthy cells already stand a little apart looks
    that much more inflamed in this one sign, which is what makes a split by subject harder than a split by image.
    """

    name: str
    pitch_um: float
    """Mean distance of neighbouring cells, 8-11 µm (spinous layer; cobblestone 6-8 µm and up in FIELD)."""
    depth: float
    """0 = upper, 1 = deeper spinous layer: deeper nuclei are darker and papillary vessels come into view."""
    anisotropy: float
    """Ratio of the longest to the shortest cell diameter, >= 1."""
    nucleus_ratio: float
    """Nucleus radius over half the pitch; 8.6 / (8.6 + 3.6) = 0.70 in Gareau 2011 (PMC3077366)."""
    granularity: float
    """Relative contrast of the grains inside the cytoplasm."""
    gamma: float
    """Tone of this person's skin in the microscope: above 1 is darker."""
    gap_offset: float
    """Grades added to what the gaps show."""
    order_offset: float
    """Grades added to what the disorder shows."""


def draw_subjects(seed: int, n: int = 24) -> tuple[Subject, ...]:
    """Draw `n` subjects; subject i depends on `seed` and i alone."""
    return tuple(_draw_subject(seed, i) for i in range(n))


def _draw_subject(seed: int, i: int) -> Subject:
    rng = np.random.default_rng(np.random.SeedSequence([seed, _SUBJECT_KIND, i]))
    return Subject(
        name=f"s{i:02d}",
        pitch_um=float(rng.uniform(8.0, 11.0)),
        depth=float(rng.uniform(0.0, 1.0)),
        anisotropy=float(rng.uniform(1.0, 1.3)),
        nucleus_ratio=float(rng.uniform(0.60, 0.80)),
        granularity=float(rng.uniform(0.08, 0.2)),
        gamma=float(rng.uniform(0.8, 1.6)),
        gap_offset=float(np.clip(rng.normal(0.0, 0.35), -0.7, 0.7)),
        order_offset=float(np.clip(rng.normal(0.0, 0.12), -0.25, 0.25)),
    )
