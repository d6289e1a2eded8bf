"""Images that are not confocal skin, by family, which the shipped model must refuse."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from runtime.images import find_images, picture, read_frames

Image = npt.NDArray[np.uint8]

SEED = 1234
PART_PX = 256
NOISE_PX = 384
# standard deviation of the Gaussian that noise is filtered with, in pixels
NOISE_SIGMAS = (0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6)


def strange_images(least_px: int) -> Mapping[str, Sequence[Image]]:
    """Return grey images by the name of their family, uint8 [H, W] each.

    Args:
        least_px: images with a shorter side are left out, for they hold no patch.
    """
    photographs = [image for image in _photographs() if min(image.shape) >= least_px]
    return {
        "white noise": _white_noise(),
        "filtered noise, sigma 0.5 to 6 px": _filtered_noise(),
        "scikit-image's photographs, whole": photographs,
        f"the same in parts of {PART_PX} px": [part for image in photographs for part in _parts(image)],
    }


def _white_noise() -> list[Image]:
    rng = np.random.default_rng(SEED)
    shape = (NOISE_PX, NOISE_PX)
    return [_grey(rng.uniform(50, 150), rng.uniform(10, 60), rng.standard_normal(shape)) for _ in range(40)]


def _filtered_noise() -> list[Image]:
    rng = np.random.default_rng(SEED + 1)
    found = []
    for sigma in NOISE_SIGMAS:
        for _ in range(5):
            noise = cv2.GaussianBlur(rng.standard_normal((NOISE_PX, NOISE_PX)), (0, 0), sigma)
            found.append(_grey(rng.uniform(60, 150), rng.uniform(10, 50), noise / noise.std()))
    return found


def _grey(mean: float, spread: float, texture: npt.NDArray[np.float64]) -> Image:
    return np.clip(np.rint(mean + spread * texture), 0, 255).astype(np.uint8)


def _photographs() -> list[Image]:
    """Return every image that scikit-image brings with it, in grey."""
    import skimage

    return [
        picture(frame) for path in find_images(Path(skimage.__file__).parent / "data") for frame in read_frames(path)
    ]


def _parts(image: Image) -> list[Image]:
    """Return all whole squares of `PART_PX`, side by side; of an image that is smaller, the image."""
    rows, columns = (max(PART_PX, length // PART_PX * PART_PX) for length in image.shape)
    return [
        image[top : top + PART_PX, left : left + PART_PX]
        for top in range(0, rows, PART_PX)
        for left in range(0, columns, PART_PX)
    ]
