"""One part of a data set as training and calibration take it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from runtime.images.patch import middle
from trainer.dataset import ScoredPatches


@dataclass(frozen=True)
class Part:
    """One part of the data.

    Attributes:
        pixels: N images, uint8 [S, S'] each, of any size that holds a patch.
        shares: float32 [N, K], the raters' distribution.
        grades: int64 [N], the raters' median, ties down.
    """

    pixels: tuple[npt.NDArray[np.uint8], ...]
    shares: Tensor
    grades: Tensor

    @staticmethod
    def of(data: ScoredPatches, parts: Sequence[str], part: str) -> "Part":
        """The patches of `data` that stand in `part`; `parts` as `split_patches` gives them."""
        chosen = data.of_part(parts, part)
        return Part(chosen.pixels, torch.from_numpy(chosen.distribution()), torch.from_numpy(chosen.median_grades()))

    def __len__(self) -> int:
        return len(self.pixels)

    def batches(self, largest_px: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in batches of one size each: (rows int64 [n], grey uint8 [n, 1, S, S']).

        Args:
            largest_px: longer sides are cut to their middle.
            batch: images of a batch at most.
        """
        rows_of = defaultdict(list)
        for row, pixels in enumerate(self.pixels):
            height, width = pixels.shape
            rows_of[min(height, largest_px), min(width, largest_px)].append(row)
        for (height, width), rows in rows_of.items():
            for start in range(0, len(rows), batch):
                some = rows[start : start + batch]
                grey = np.stack([middle(self.pixels[row], height, width) for row in some])
                yield torch.tensor(some), torch.from_numpy(grey)[:, None]
