"""Changes to a patch that leave its grade as it is: what another session, hand or microscope would have changed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.parts import Part

_LEVELS = np.arange(256) / 255.0


@dataclass(frozen=True)
class Augmentation:
    """How far each change goes; every one is drawn anew for each patch, the resolution for each batch.

    Attributes:
        warped_share: share of the patches that are turned by any angle, zoomed and stretched; the others are as sharp
            as they were stored.
        zoom, stretch: of these, natural logarithms of the largest factor.
        gamma: grey levels are raised to a power, ± this natural logarithm.
        gain: grey levels are multiplied by 1 ± gain.
        offset: grey levels added or taken away.
        ramp: illumination at the edges against the middle, ± ramp (vignetting).
        noise: standard deviation of added noise, from 0 up to this many grey levels.
        coarsest: patches are shown as a microscope of up to this many times the µm/px would have resolved them; without
            this a frame rescaled from 1.0 µm/px shifts the score by 0.89 grade.
        resolution_share: share of the patches that lose resolution.
    """

    warped_share: float = 0.6
    zoom: float = 0.15
    stretch: float = 0.1
    gamma: float = 0.25
    gain: float = 0.15
    offset: float = 8.0
    ramp: float = 0.15
    noise: float = 4.0
    coarsest: float = 1.8
    resolution_share: float = 0.2


def draw_batch(
    part: Part,
    rows: npt.NDArray[np.intp],
    side: int,
    settings: Augmentation,
    rng: np.random.Generator,
    device: torch.device | str = "cpu",
) -> Tensor:
    """What one step of training sees of the given rows: `cut` here, then `augment` on the device.

    Returns:
        float [n, 1, side, side], grey levels 0 to 255.
    """
    patches = torch.from_numpy(cut([part.pixels[row] for row in rows], side, settings, rng))
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**63)))
    return augment(patches.to(device), settings, generator)


def cut(
    pixels: Sequence[npt.NDArray[np.uint8]], side: int, settings: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """A patch from a place drawn for each image, flipped, turned, zoomed, stretched, in another tone.

    Args:
        pixels: N images, uint8, of any size from `side` on.
        side: of the patches.
        settings: how far to go.
        rng: the only source of chance.

    Returns:
        uint8 [N, 1, side, side].
    """
    patches = np.empty((len(pixels), 1, side, side), np.uint8)
    for image, patch in zip(pixels, patches[:, 0], strict=True):
        top, left = (int(rng.integers(spare + 1)) for spare in (image.shape[0] - side, image.shape[1] - side))
        if rng.random() < settings.warped_share:
            seen = _warped(image, top, left, side, settings, rng)
        else:
            seen = image[top : top + side, left : left + side]
        quarters = int(rng.integers(4))
        gamma = math.exp(rng.uniform(-settings.gamma, settings.gamma))
        turned = np.rot90(cv2.LUT(seen, _in_tone(gamma)), quarters)
        patch[:] = turned[:, ::-1] if rng.integers(2) else turned
    return patches


def _warped(
    image: npt.NDArray[np.uint8], top: int, left: int, side: int, settings: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """The patch at (top, left), turned, zoomed and stretched about its middle; beyond the image it is mirrored."""
    angle, along = rng.uniform(0.0, math.pi / 2), rng.uniform(0.0, math.pi)
    zoom, stretch = math.exp(rng.uniform(-settings.zoom, settings.zoom)), math.exp(rng.uniform(0.0, settings.stretch))
    # a stretch along one direction, then a turn, written out: matrices this small cost numpy more than the warping
    a, b = zoom * stretch, zoom / stretch
    (c1, s1), (c2, s2) = ((math.cos(x), math.sin(x)) for x in (angle + along, along))
    xx, xy = a * c1 * c2 + b * s1 * s2, a * c1 * s2 - b * s1 * c2
    yx, yy = a * s1 * c2 - b * c1 * s2, a * s1 * s2 + b * c1 * c2
    middle = (side - 1) / 2
    matrix = np.array(
        [[xx, xy, left + middle - (xx + xy) * middle], [yx, yy, top + middle - (yx + yy) * middle]], np.float64
    )
    return np.asarray(
        cv2.warpAffine(
            image,
            matrix,
            (side, side),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        dtype=np.uint8,
    )


def _in_tone(gamma: float) -> npt.NDArray[np.uint8]:
    """Grey level of every grey level: uint8 [256]."""
    return np.rint(255.0 * _LEVELS**gamma).astype(np.uint8)


def augment(grey: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Draw one variant of each patch, as another exposure would have shown it.

    Args:
        grey: uint8 [N, 1, S, S].
        settings: how far to go.
        generator: the only source of chance, on the device of `grey`.

    Returns:
        float [N, 1, S, S], whole grey levels 0 to 255, as a camera would have stored them.
    """
    seen = _lose_resolution(grey.float(), settings, generator)
    count, _, side, _ = seen.shape

    def drawn(spread: float) -> Tensor:
        return (torch.rand((count, 1, 1, 1), generator=generator, device=seen.device) * 2 - 1) * spread

    along = torch.linspace(-1, 1, side, device=seen.device)
    ramp = 1 + drawn(settings.ramp) * along.view(1, 1, 1, side) + drawn(settings.ramp) * along.view(1, 1, side, 1)
    ramp *= 1 + drawn(settings.gain)
    seen = seen.mul_(ramp).add_(drawn(settings.offset))
    sigma = torch.rand((count, 1, 1, 1), generator=generator, device=seen.device) * settings.noise
    seen += sigma * torch.randn(seen.shape, generator=generator, device=seen.device)
    return seen.round_().clamp_(0, 255)


def _lose_resolution(grey: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Sample a share of the patches coarsely and bring them back to their size."""
    chosen = torch.rand(len(grey), generator=generator, device=grey.device) < settings.resolution_share
    factor = 1 + (settings.coarsest - 1) * float(torch.rand((), generator=generator, device=grey.device))
    rows = chosen.nonzero()[:, 0]
    if len(rows) == 0:
        return grey
    side = grey.shape[-1]
    coarse = F.interpolate(grey[rows], size=round(side / factor), mode="bilinear", antialias=True)
    grey[rows] = F.interpolate(coarse, size=side, mode="bilinear")
    return grey
