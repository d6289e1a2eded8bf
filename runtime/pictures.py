"""The picture of a result: one frame's overlay, or of a stack all slices side by side."""

import numpy as np
import numpy.typing as npt

from runtime.analysis import Analysis
from runtime.model import Model
from runtime.overlay import OverlayText, Slice, draw_overlay, draw_slices
from runtime.result import Score
from runtime.version import SYNTHETIC_WARNING


def draw(
    analyses: tuple[Analysis, ...],
    depths_um: tuple[float | None, ...],
    reasons: tuple[str, ...],
    score: Score | None,
    model: Model,
    file_name: str,
) -> npt.NDArray[np.uint8]:
    """Draw what a file came to.

    Args:
        analyses: of its frame, or of each slice.
        depths_um: how far below the skin's surface each lies, where that is known.
        reasons: why it, or a part of it, was withheld.
        score: over all, None when withheld.
        model: what scored it.
        file_name: for the footer.

    Returns:
        uint8 [H, W, 3], BGR.
    """
    manifest = model.bundle.manifest
    z_um = depths_um[0] if len(depths_um) == 1 else None
    depth = "" if z_um is None else f"   z {z_um:g} µm"
    text = OverlayText(
        title="Withheld" if score is None else f"Inflammation {score.mean:.1f} · grade {manifest.grades[score.grade]}",
        reasons=reasons,
        footer=f"{file_name}{depth}   {manifest.name}   {model.engine.name}",
        warning=SYNTHETIC_WARNING if manifest.synthetic else None,
    )
    shown = [
        Slice(analysis.shown, _expected(analysis), z_um) for analysis, z_um in zip(analyses, depths_um, strict=True)
    ]
    geometry, um_per_px = model.bundle.geometry, analyses[0].um_per_px
    if len(shown) > 1:
        return draw_slices(shown, um_per_px, manifest.grades, geometry, text)
    expected = shown[0].expected
    return draw_overlay(
        shown[0].grey, um_per_px, manifest.grades, expected, None if expected is None else geometry, text
    )


def _expected(analysis: Analysis) -> npt.NDArray[np.float32] | None:
    """Expected grade of each cell, NaN where it does not count; None for a frame that is withheld."""
    if analysis.withheld or analysis.map is None or analysis.valid is None:
        return None
    return np.where(analysis.valid, analysis.map.expected_grade(), np.float32(np.nan))
