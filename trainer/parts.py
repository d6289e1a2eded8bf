"""One part of a data set as tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from runtime.images.patch import middle
from trainer.dataset import ScoredPatches


@dataclass(frozen=True)
class Part:
    """One part of the data as tensors.

    Attributes:
        grey: uint8 [N, 1, S, S].
        shares: float [N, K], the raters' distribution.
        grades: int64 [N], the raters' median, ties down.
    """

    grey: Tensor
    shares: Tensor
    grades: Tensor

    @staticmethod
    def of(data: ScoredPatches, patch_px: int) -> "Part":
        """Patches that differ in size are cut to their middle, all to the smallest."""
        side = max(patch_px, min(min(pixels.shape) for pixels in data.pixels))
        cut = [middle(pixels, side) for pixels in data.pixels]
        return Part(
            torch.from_numpy(np.stack(cut))[:, None],
            torch.from_numpy(data.distribution()),
            torch.from_numpy(data.median_grades()),
        )
