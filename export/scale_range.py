"""Measure how far a microscope's sampling may be from the model's: scores must hold, and skin must look familiar."""

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from export.distance import Distance
from runtime.dense_map import Geometry, dense_map
from runtime.engines import Engine
from runtime.images import EIGHT_BIT, Frame, to_model_scale

# the answer to an image resampled from a scale within the range moves by no more than this on average: grades, or
# probability where the grades have no order
TOLERANCE = 0.1
# share of the patches that resampling from a scale within the range makes unfamiliar, at most
TOLERANCE_WITHHELD = 0.05
# sixths of an octave: finer steps would claim more than 300 patches can tell
STEP = 2 ** (1 / 6)
# one and a half octaves each way: beyond, a patch of 128 px has too few or needlessly many pixels to stand for a frame
STEPS = 9
# pixels around a patch that resampling may reach into
MARGIN_PX = 16


class ScaleRange(msgspec.Struct, frozen=True):
    """The range of scales in which scores hold.

    Attributes:
        low, high: µm/px around the model's own scale.
        shifts: for each scale tried the mean distance from the answers at the model's own.
        withheld: for each scale tried the share of patches that are familiar at the model's scale and not at this one.
    """

    low: float
    high: float
    shifts: dict[str, float]
    withheld: dict[str, float]


def measure_scale_range(
    patches: npt.NDArray[np.uint8],
    engine: Engine,
    geometry: Geometry,
    unfamiliar: float,
    distance: Distance,
) -> ScaleRange:
    """Resample patches to other scales and back, and see where answers move or skin becomes unfamiliar.

    Args:
        patches: uint8 [N, 1, patch_px, patch_px] at the model's scale.
        engine: the exported model.
        geometry: its geometry.
        unfamiliar: the unfamiliarity above which a patch is withheld.
        distance: between two answers.
    """

    def answers(images: list[npt.NDArray[np.uint8]]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        maps = [dense_map(image, engine, geometry) for image in images]
        return (
            np.stack([found.probabilities[:, 0, 0] for found in maps]),
            np.array([found.unfamiliarity[0, 0] <= unfamiliar for found in maps]),
        )

    originals = [patch[0] for patch in patches]
    reference, familiar = answers(originals)
    shifts, withheld = {geometry.um_per_px: 0.0}, {geometry.um_per_px: 0.0}

    def holds(scale: float) -> bool:
        seen, still = answers([as_seen_at(patch, scale, geometry) for patch in originals])
        shifts[scale] = float(distance.of(reference, seen).mean())
        withheld[scale] = float(np.mean(familiar & ~still))
        return shifts[scale] <= TOLERANCE and withheld[scale] <= TOLERANCE_WITHHELD

    ends = []
    for direction in (1 / STEP, STEP):
        end = geometry.um_per_px
        for step in range(1, STEPS + 1):
            scale = geometry.um_per_px * direction**step
            if not holds(scale):
                break
            end = scale
        ends.append(end)

    def named(figures: dict[float, float]) -> dict[str, float]:
        return {f"{scale:.3f}": round(figures[scale], 4) for scale in sorted(figures)}

    return ScaleRange(ends[0], ends[1], named(shifts), named(withheld))


def as_seen_at(patch: npt.NDArray[np.uint8], um_per_px: float, geometry: Geometry) -> npt.NDArray[np.uint8]:
    """Return the patch as it comes out of a microscope that samples at `um_per_px`, after the usual rescaling."""
    wide = cv2.copyMakeBorder(patch, MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX, cv2.BORDER_REFLECT_101)
    there = to_model_scale(_frame(wide, geometry.um_per_px), um_per_px)
    back = to_model_scale(_frame(there, um_per_px), geometry.um_per_px)
    inside = slice(MARGIN_PX, MARGIN_PX + geometry.patch_px)
    return np.ascontiguousarray(back[inside, inside])


def _frame(pixels: npt.NDArray[np.uint8], um_per_px: float) -> Frame:
    return Frame(pixels, EIGHT_BIT, "", um_per_px, "option")
