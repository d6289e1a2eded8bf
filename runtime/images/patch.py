"""One scored patch, cut from its file at the model's scale: the one way in for training, calibration and evaluation."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.errors import DataError
from runtime.images.frame import Frame
from runtime.images.reader import read_frame
from runtime.images.scale import to_model_scale

# what patches are taken for when neither data set, caller nor file tells their sampling
ASSUMED_UM_PER_PX = 0.5


@dataclass(frozen=True)
class PatchPixels:
    """A patch as the network will see it.

    Attributes:
        pixels: uint8 [S, S'] at the model's scale: exactly the patch where a corner was given, else the whole file.
        sha256: of the file's own pixels, and the corner where one was given: the patch's content whatever its name, its
            lossless format, or the scale it is taken for.
        um_per_px: the file's sampling.
        assumed: whether nothing told that sampling.
    """

    pixels: npt.NDArray[np.uint8]
    sha256: str
    um_per_px: float
    assumed: bool


def read_patch(
    path: Path,
    *,
    corner: tuple[int, int] | None,
    um_per_px: float | None,
    patch_px: int,
    model_um_per_px: float,
) -> PatchPixels:
    """Read a patch.

    Args:
        path: a patch, or a whole frame when `corner` is given.
        corner: top-left pixel (x, y) of the patch in the file.
        um_per_px: the file's sampling where it is known beforehand.
        patch_px: side of the patch at the model's scale.
        model_um_per_px: the model's scale.

    Raises:
        UnreadableImage: the file cannot be read.
        DataError: it is a colour image, or smaller than a patch.
    """
    frame = read_frame(path, um_per_px=um_per_px)
    if frame.colour:
        raise DataError(f"{path}: a colour image", wanted="a grey confocal image")
    scale = frame.um_per_px or ASSUMED_UM_PER_PX
    pixels = to_model_scale(replace(frame, um_per_px=scale), model_um_per_px)
    if corner is not None:
        left, top = (round(value * scale / model_um_per_px) for value in corner)
        pixels = pixels[top : top + patch_px, left : left + patch_px]
    if min(pixels.shape) < patch_px:
        raise DataError(
            f"{path}: patch too small at {model_um_per_px} µm/px"
            + ("" if corner is None else f" from x,y {corner[0]},{corner[1]}"),
            seen=f"{pixels.shape[1]}x{pixels.shape[0]} px",
            wanted=f"at least {patch_px}x{patch_px}",
        )
    return PatchPixels(pixels, _content_sha256(frame, corner), scale, frame.um_per_px is None)


def _content_sha256(frame: Frame, corner: tuple[int, int] | None) -> str:
    digest = hashlib.sha256(np.array(frame.pixels.shape).tobytes())
    digest.update(frame.pixels.tobytes())
    if corner is not None:
        digest.update(np.array(corner).tobytes())
    return digest.hexdigest()


def middle(pixels: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """The middle [side, side] of a patch."""
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return pixels[top : top + side, left : left + side]
