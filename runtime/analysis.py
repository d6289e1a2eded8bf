"""What one frame comes to, before anything is drawn or written."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from runtime.bundle import Bundle
from runtime.dense_map import InflammationMap, dense_map
from runtime.images import Frame, picture, to_model_scale
from runtime.model import Model
from runtime.quality import check_quality


@dataclass(frozen=True)
class Analysis:
    """A frame judged, and mapped where it may be.

    Attributes:
        pixels: uint8 [H, W] at the model's scale; at the file's own where that could not be.
        um_per_px: of `pixels`, None when unknown.
        map: None when the frame was withheld before it was mapped.
        valid: bool [h, w], the cells that count; None without a map.
        withheld: whether the frame has no score.
        reasons: why the frame, or some of its cells, was withheld.
    """

    pixels: npt.NDArray[np.uint8]
    um_per_px: float | None
    map: InflammationMap | None
    valid: npt.NDArray[np.bool_] | None
    withheld: bool
    reasons: tuple[str, ...]


def analyse(frame: Frame, model: Model) -> Analysis:
    """Bring a frame to the model's scale, map it and judge its cells."""
    geometry = model.bundle.geometry
    unfit = _unfit(frame, model.bundle)
    if unfit or frame.um_per_px is None:
        return Analysis(picture(frame), frame.um_per_px, None, None, True, unfit)
    pixels = to_model_scale(frame, geometry.um_per_px)
    height, width = pixels.shape
    if not (geometry.cells(height) and geometry.cells(width)):
        reason = (
            f"too small: {width}x{height} px at the model's scale, "
            f"a patch needs {geometry.patch_px}x{geometry.patch_px}"
        )
        return Analysis(pixels, geometry.um_per_px, None, None, True, (reason,))
    found = dense_map(pixels, model.engine, geometry)
    quality = check_quality(pixels, found, model.bundle.manifest.quality)
    return Analysis(pixels, geometry.um_per_px, found, quality.valid, quality.withheld, quality.reasons)


def _unfit(frame: Frame, bundle: Bundle) -> tuple[str, ...]:
    """Why a frame must not be scored at all, whatever it shows."""
    reasons = list(frame.objections)
    low, high = bundle.manifest.um_per_px_range
    if frame.colour:
        reasons.append("colour: the channels differ, so this is no confocal image")
    if frame.um_per_px is None:
        reasons.append("scale unknown: the file tells no µm/px; give --um-per-px")
    elif not low <= frame.um_per_px <= high:
        reasons.append(
            f"scale: {frame.um_per_px:g} µm/px is outside {low:.2f} to {high:.2f}, where the model's scores hold"
        )
    return tuple(reasons)
