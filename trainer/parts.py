"""One part of a data set as training and calibration take it, and the patches that an image is represented by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.dataset import ScoredPatches

# 64 patches of 128 px cover a frame of 1000 px, and bound the time that a mosaic takes
MAX_POSITIONS_PER_SIDE = 8


@dataclass(frozen=True)
class Part:
    """One part of the data.

    Attributes:
        pixels: N images, uint8 [S, S'] each, of any size that holds a patch.
        shares: float32 [N, K], the raters' distribution.
        grades: int64 [N], the raters' consensus, see `trainer.scores.consensus`.
    """

    pixels: tuple[npt.NDArray[np.uint8], ...]
    shares: Tensor
    grades: Tensor

    @staticmethod
    def of(data: ScoredPatches, parts: Sequence[str], part: str) -> "Part":
        """The patches of `data` that stand in `part`; `parts` as `split_patches` gives them."""
        chosen = data.of_part(parts, part)
        return Part(chosen.pixels, torch.from_numpy(chosen.distribution()), torch.from_numpy(chosen.consensus_grades()))

    def __len__(self) -> int:
        return len(self.pixels)

    def patches(self, patch_px: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the patches of all images, in the images' order, as `cut_patches` cuts them.

        Args:
            patch_px: side of the patches.
            batch: patches of a batch at most.

        Yields:
            the image of each patch, int64 [n], and its pixels, uint8 [n, 1, patch_px, patch_px].
        """
        rows: list[int] = []
        patches: list[npt.NDArray[np.uint8]] = []
        for row, pixels in enumerate(self.pixels):
            for patch in cut_patches(pixels, patch_px):
                rows.append(row)
                patches.append(patch)
                if len(rows) == batch:
                    yield torch.tensor(rows), torch.from_numpy(np.stack(patches))[:, None]
                    rows, patches = [], []
        if rows:
            yield torch.tensor(rows), torch.from_numpy(np.stack(patches))[:, None]


def cut_patches(pixels: npt.NDArray[np.uint8], patch_px: int) -> list[npt.NDArray[np.uint8]]:
    """Cut the patches that an image is represented by in validation, calibration and evaluation.

    An image of patch size is its only patch. On a longer side the patches are evenly spread from edge to edge, half a
    patch apart at most, but no more than `MAX_POSITIONS_PER_SIDE`. The positions depend on the sizes alone, never on a
    model's stride, so that a run and its bundles are compared on the same patches.

    Args:
        pixels: uint8 [H, W], both at least `patch_px`.
        patch_px: side of the patches.

    Returns:
        uint8 [patch_px, patch_px] views, row by row.

    Raises:
        ValueError: the image is smaller than a patch.
    """
    if min(pixels.shape) < patch_px:
        raise ValueError(f"image of {pixels.shape[1]}x{pixels.shape[0]} px: wanted at least {patch_px}x{patch_px}")
    tops, lefts = (_positions(length - patch_px, patch_px) for length in pixels.shape)
    return [pixels[top : top + patch_px, left : left + patch_px] for top in tops for left in lefts]


def _positions(spare_px: int, patch_px: int) -> list[int]:
    """Return the first pixels of the patches along a side that is `spare_px` longer than a patch."""
    steps = min(-(-2 * spare_px // patch_px), MAX_POSITIONS_PER_SIDE - 1)
    return [spare_px * step // steps for step in range(steps + 1)] if steps else [0]
