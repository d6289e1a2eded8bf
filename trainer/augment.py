"""Changes to a patch that leave its grade as it is: what another session, hand or microscope would have changed."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How far each change goes; every one is drawn anew for each patch, the resolution for each batch.

    Attributes:
        gain: grey levels are multiplied by 1 ± gain.
        offset: grey levels added or taken away.
        ramp: illumination at the edges against the middle, ± ramp (vignetting).
        noise: standard deviation of added noise, from 0 up to this many grey levels.
        coarsest: patches are shown as a microscope of up to this many times the µm/px would have resolved them; without
            this a frame rescaled from 1.0 µm/px shifts the score by 0.89 grade.
        resolution_share: share of the patches that lose resolution.
    """

    gain: float = 0.25
    offset: float = 12.0
    ramp: float = 0.25
    noise: float = 8.0
    coarsest: float = 1.8
    resolution_share: float = 0.3


def augment(grey: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Draw one variant of each patch.

    Args:
        grey: float [N, 1, S, S], grey levels 0 to 255.
        settings: how far to go.
        generator: the only source of chance, on the CPU.

    Returns:
        float [N, 1, S, S], whole grey levels 0 to 255, as a camera would have stored them.
    """
    grey = _lose_resolution(_turn(grey, generator), settings, generator)
    count, _, side, _ = grey.shape

    def drawn(spread: float) -> Tensor:
        return (torch.rand((count, 1, 1, 1), generator=generator) * 2 - 1).to(grey.device) * spread

    along = torch.linspace(-1, 1, side, device=grey.device)
    ramp = 1 + drawn(settings.ramp) * along.view(1, 1, 1, side) + drawn(settings.ramp) * along.view(1, 1, side, 1)
    grey = grey * ramp * (1 + drawn(settings.gain)) + drawn(settings.offset)
    sigma = torch.rand((count, 1, 1, 1), generator=generator).to(grey.device) * settings.noise
    grey = grey + sigma * torch.randn(grey.shape, generator=generator).to(grey.device)
    return grey.round_().clamp_(0, 255)


def random_crop(grey: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Cut [N, 1, S, S] to [N, 1, side, side] at a place drawn for each patch."""
    spare = grey.shape[-1] - side
    if spare == 0:
        return grey
    corners = torch.randint(0, spare + 1, (len(grey), 2), generator=generator).tolist()
    return torch.stack([patch[:, y : y + side, x : x + side] for patch, (y, x) in zip(grey, corners, strict=True)])


def _turn(grey: Tensor, generator: torch.Generator) -> Tensor:
    """One of the eight flips and quarter turns for each patch."""
    kinds = torch.randint(0, 8, (len(grey),), generator=generator)
    turned = torch.empty_like(grey)
    for kind in range(8):
        rows = (kinds == kind).nonzero()[:, 0].to(grey.device)
        some = torch.rot90(grey[rows], kind % 4, (2, 3))
        turned[rows] = some.flip(3) if kind >= 4 else some
    return turned


def _lose_resolution(grey: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Sample a share of the patches coarsely and bring them back to their size."""
    rows = (torch.rand(len(grey), generator=generator) < settings.resolution_share).nonzero()[:, 0].to(grey.device)
    factor = 1 + (settings.coarsest - 1) * float(torch.rand((), generator=generator))
    if len(rows) == 0:
        return grey
    side = grey.shape[-1]
    coarse = F.interpolate(grey[rows], size=round(side / factor), mode="bilinear", antialias=True)
    grey[rows] = F.interpolate(coarse, size=side, mode="bilinear")
    return grey
