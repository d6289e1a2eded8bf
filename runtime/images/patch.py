"""Scored patches, cut from their file at the model's scale: the one way in for training, calibration and evaluation."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from runtime.errors import DataError, InflamapError
from runtime.images.frame import Frame
from runtime.images.reader import read_frame
from runtime.images.scale import to_model_scale

# what patches are taken for when neither data set, caller nor file tells their sampling
ASSUMED_UM_PER_PX = 0.5


class PatchPixels(msgspec.Struct, frozen=True):
    """A patch as the network will see it.

    Attributes:
        pixels: uint8 [S, S'] at the model's scale: exactly the patch where a corner was given, else the whole file.
        sha256: of the patch's content, whatever its name, its lossless format, or the scale it is taken for:
            `image_sha256`, and the corner where one was given.
        image_sha256: of the file's own pixels alone, the same for all patches cut from it.
        um_per_px: the file's sampling.
        assumed: whether nothing told that sampling.
        colour: whether the file is a colour image, of which this is the luminance.
    """

    pixels: npt.NDArray[np.uint8]
    sha256: str
    image_sha256: str
    um_per_px: float
    assumed: bool
    colour: bool


class PatchSource(msgspec.Struct, frozen=True):
    """A file read once, for all the patches that are scored in it.

    Attributes:
        path: the file.
        pixels: uint8 [H, W], the whole file at the model's scale.
        size: the file's own (width, height).
        sha256: of the file's own pixels.
        um_per_px: the file's sampling.
        model_um_per_px: the model's scale.
        assumed: whether nothing told the file's sampling.
        colour: whether the file is a colour image, of which `pixels` is the luminance.
    """

    path: Path
    pixels: npt.NDArray[np.uint8]
    size: tuple[int, int]
    sha256: str
    um_per_px: float
    model_um_per_px: float
    assumed: bool
    colour: bool

    def patch(self, corner: tuple[int, int] | None, patch_px: int) -> PatchPixels:
        """The patch whose top-left pixel in the file is `corner` (x, y); the whole file where that is None.

        A cut is a copy, which does not keep the whole frame in memory.

        Raises:
            DataError: the corner lies outside the file, or less than `patch_px` is there at the model's scale.
        """
        pixels, sha256, where = self.pixels, self.sha256, ""
        if corner is not None:
            where = f" from x,y {corner[0]},{corner[1]}"
            if corner[0] >= self.size[0] or corner[1] >= self.size[1]:
                raise DataError(
                    f"{self.path}: no patch{where}, which lies outside",
                    seen=f"an image of {self.size[0]}x{self.size[1]} px",
                    wanted="a pixel of it, counted from 0,0",
                )
            left, top = (round(value * self.um_per_px / self.model_um_per_px) for value in corner)
            pixels = pixels[top : top + patch_px, left : left + patch_px].copy()
            sha256 = hashlib.sha256(f"{sha256} {corner[0]},{corner[1]}".encode()).hexdigest()
        if min(pixels.shape) < patch_px:
            raise DataError(
                f"{self.path}: patch too small at {self.model_um_per_px} µm/px{where}",
                seen=f"{pixels.shape[1]}x{pixels.shape[0]} px",
                wanted=f"at least {patch_px}x{patch_px}",
            )
        return PatchPixels(pixels, sha256, self.sha256, self.um_per_px, self.assumed, self.colour)


def read_patch_source(
    path: Path,
    *,
    um_per_px: float | None,
    model_um_per_px: float,
    assumed_um_per_px: float = ASSUMED_UM_PER_PX,
) -> PatchSource:
    """Read a file that is a patch, or a whole frame with patches in it; of a colour image the luminance.

    Args:
        path: the file.
        um_per_px: its sampling where it is known beforehand.
        model_um_per_px: the model's scale.
        assumed_um_per_px: its sampling where nothing tells it.

    Raises:
        UnreadableImage: the file cannot be read.
        DataError: it would be too large at the model's scale, nothing tells its depth of grey, or something else in it
            keeps it from being scored, as pixels that are not square.
    """
    frame = read_frame(path, um_per_px=um_per_px)
    scale = frame.um_per_px or assumed_um_per_px
    try:
        pixels = to_model_scale(replace(frame, um_per_px=scale), model_um_per_px)
    except InflamapError as error:
        raise DataError(
            f"{path}: {error.what}", seen=error.seen, wanted=error.wanted, next_step=error.next_step
        ) from error
    if frame.objections:
        raise DataError(
            f"{path}: this image must not be scored, so it is none to learn from",
            seen=frame.objections[0],
            next_step="leave it out, or export it so that its file tells what is wanted",
        )
    return PatchSource(
        path,
        pixels,
        (frame.width, frame.height),
        _pixels_sha256(frame),
        scale,
        model_um_per_px,
        assumed=frame.um_per_px is None,
        colour=frame.colour,
    )


def middle(pixels: npt.NDArray[np.uint8], height: int, width: int | None = None) -> npt.NDArray[np.uint8]:
    """The middle [height, width] of an image, as wide as high where no width is given."""
    width = height if width is None else width
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def _pixels_sha256(frame: Frame) -> str:
    digest = hashlib.sha256(np.array(frame.pixels.shape).tobytes())
    digest.update(frame.pixels.tobytes())
    return digest.hexdigest()
