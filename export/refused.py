"""Images that a bundle must withhold: read from a folder, shown to the detector, and tried on the finished model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry, dense_map
from runtime.engines import Engine
from runtime.errors import CheckFailed, DataError, InflamapError
from runtime.evenly import evenly
from runtime.images import Frame, find_images, picture, read_frames, to_model_scale, unlistable
from runtime.quality import QualityLimits, check_quality

# patches of one image; more resemble each other
PATCHES_PER_IMAGE = 64
# paths that an error names
PATHS_SHOWN = 5


@dataclass(frozen=True)
class RefusedImage:
    """An image at the model's scale.

    Attributes:
        path: of its file.
        pixels: uint8 [H, W], at least a patch.
    """

    path: Path
    pixels: npt.NDArray[np.uint8]

    def patches(self, patch_px: int, most: int = PATCHES_PER_IMAGE) -> npt.NDArray[np.uint8]:
        """Return at most so many patches of it, half a patch apart or more.

        Returns:
            uint8 [N, patch_px, patch_px].
        """
        places = [
            (top, left)
            for top in _starts(self.pixels.shape[0], patch_px)
            for left in _starts(self.pixels.shape[1], patch_px)
        ]
        chosen = [places[place] for place in evenly(len(places), most)]
        return np.stack([self.pixels[top : top + patch_px, left : left + patch_px] for top, left in chosen])


def images_to_refuse(
    given: Path | None, by_run: Path | None, geometry: Geometry, *, report: Callable[[str], None]
) -> tuple[RefusedImage, ...]:
    """Read the images of the folder that is given now, else of the one that the run was trained with; none without.

    Raises:
        DataError: the folder of the training is not there any more.
        InflamapError: as `read_refused`.
    """
    folder = given or by_run
    if folder is None:
        return ()
    if given is None and not folder.is_dir():
        raise DataError(
            f"{folder}: the images to refuse are not there",
            wanted="the folder that was given to `inflamap train --refuse`",
            next_step="give its new place as --refuse DIR",
        )
    return read_refused(folder, geometry, report=report)


def read_refused(folder: Path, geometry: Geometry, *, report: Callable[[str], None]) -> tuple[RefusedImage, ...]:
    """Read every image below a folder; of colour images the luminance.

    An image that does not tell its scale is taken to have the model's. Images that are smaller than a patch are left
    out, for the model withholds them anyway.

    Args:
        folder: where to look.
        geometry: the model's.
        report: called with each line about images that are left out.

    Raises:
        InflamapError: the folder cannot be listed.
        DataError: it holds no image of at least a patch, or one that cannot be read.
    """
    found: list[RefusedImage] = []
    small = 0
    for path in find_images(folder, on_error=_raise_unlistable):
        try:
            images = [_at_model_scale(frame, geometry) for frame in read_frames(path)]
        except InflamapError as error:
            raise DataError(
                f"--refuse {folder}: an image cannot be used", seen=error, next_step=f"mend {path} or remove it"
            ) from error
        for pixels in images:
            if min(pixels.shape) < geometry.patch_px:
                small += 1
            else:
                found.append(RefusedImage(path, pixels))
    if small:
        report(f"--refuse {folder}: images smaller than a patch, left out: {small}")
    if not found:
        raise DataError(
            f"--refuse {folder}: no image to learn from",
            seen=f"{small} images, each smaller than a patch" if small else "no image",
            wanted=f"images of at least {geometry.patch_px}x{geometry.patch_px} px at {geometry.um_per_px:g} µm/px",
            next_step="give a folder with images that must be withheld",
        )
    return tuple(found)


def still_scored(
    images: Sequence[RefusedImage], engine: Engine, geometry: Geometry, limits: QualityLimits
) -> list[Path]:
    """Return the files of those images that the model would score all the same."""
    return [
        image.path
        for image in images
        if not check_quality(image.pixels, dense_map(image.pixels, engine, geometry), limits).withheld
    ]


def require_withheld(images: Sequence[RefusedImage], engine: Engine, geometry: Geometry, limits: QualityLimits) -> None:
    """Require that the model withholds each of the images.

    Raises:
        CheckFailed: some would still be scored; the message names them.
    """
    scored = still_scored(images, engine, geometry, limits)
    if scored:
        shown = ", ".join(map(str, scored[:PATHS_SHOWN])) + (", ..." if len(scored) > PATHS_SHOWN else "")
        raise CheckFailed(
            "images that must be refused would be scored",
            seen=f"{len(scored)} of {len(images)}: {shown}",
            wanted="none",
            next_step="remove images that look like the training images from the folder, or train on more patches",
        )


def _at_model_scale(frame: Frame, geometry: Geometry) -> npt.NDArray[np.uint8]:
    if frame.um_per_px is None:
        return picture(frame)
    return to_model_scale(frame, geometry.um_per_px)


def _starts(length: int, patch_px: int) -> range:
    return range(0, length - patch_px + 1, max(1, patch_px // 2))


def _raise_unlistable(error: OSError) -> None:
    refusal: InflamapError = unlistable(error)
    raise refusal from error
