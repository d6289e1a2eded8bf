"""What one frame comes to, before anything is drawn or written."""

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.bundle import Bundle
from runtime.dense_map import Cells, InflammationMap, dense_map
from runtime.images import LONGEST_SHOWN, Frame, FrameOnGrid, on_grid, reduced_picture
from runtime.model import Model
from runtime.patch_statistics import PatchStatistics, patch_statistics
from runtime.quality import judge


class Analysis(msgspec.Struct, frozen=True):
    """A frame judged, and mapped where it may be.

    Attributes:
        shown: uint8 [H, W], the frame to look at: at the model's scale, at the file's own where that could not be, and
            reduced where a side would be longer than `LONGEST_SHOWN`.
        um_per_px: of `shown`, None when unknown.
        map: None when the frame was withheld before it was mapped.
        valid: bool [h, w], the cells that count; None without a map.
        withheld: whether the frame has no score.
        reasons: why the frame, or some of its cells, was withheld.
    """

    shown: npt.NDArray[np.uint8]
    um_per_px: float | None
    map: InflammationMap | None
    valid: npt.NDArray[np.bool_] | None
    withheld: bool
    reasons: tuple[str, ...]


def analyse(frame: Frame, model: Model) -> Analysis:
    """Bring a frame to the model's scale, map it and judge its cells; a large one tile by tile."""
    geometry = model.bundle.geometry
    unfit = _unfit(frame, model.bundle)
    if unfit:
        shown, reduced = reduced_picture(frame, LONGEST_SHOWN)
        return Analysis(shown, None if frame.um_per_px is None else frame.um_per_px / reduced, None, None, True, unfit)
    grid = on_grid(frame, geometry.um_per_px)
    height, width = grid.shape
    if max(grid.shape) > LONGEST_SHOWN:
        reduced = LONGEST_SHOWN / max(grid.shape)
        shown, um_per_px = FrameOnGrid(frame, grid.factor * reduced).whole(), geometry.um_per_px / reduced
    else:
        shown, um_per_px = grid.whole(), geometry.um_per_px
    if not (geometry.cells(height) and geometry.cells(width)):
        reason = (
            f"too small: {width}x{height} px at the model's scale, "
            f"a patch needs {geometry.patch_px}x{geometry.patch_px}"
        )
        return Analysis(shown, um_per_px, None, None, True, (reason,))
    statistics: list[tuple[Cells, PatchStatistics]] = []

    def look(cells: Cells, below: npt.NDArray[np.uint8]) -> None:
        statistics.append((cells, patch_statistics(below, geometry)))

    pixels = shown if shown.shape == grid.shape else grid
    found = dense_map(pixels, model.engine, geometry, seen=look)
    quality = judge(PatchStatistics.of_tiles(statistics), found.unfamiliarity, model.bundle.manifest.quality)
    return Analysis(shown, um_per_px, found, quality.valid, quality.withheld, quality.reasons)


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
