"""T-CNN-3 (Andrearczyk & Whelan 2016, https://doi.org/10.1016/j.patrec.2016.08.016): AlexNet cut after its third
convolution, whose maps are averaged to energies before AlexNet's own fully connected layers.

Where the paper trains AlexNet's way for 227x227 RGB, what is more favourable to it on grey patches is done here:

- one input channel instead of three equal ones, which loses nothing and saves two thirds of the first convolution;
- the trainer's own normalisation of grey levels in place of a mean image;
- weights as torch draws them: drawn after He et al. 2015 (arXiv:1502.01852) it began at six times the loss and had not
  caught up after thirty steps (phantom patches, AdamW at 3e-4).
"""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.network import GreyNormalisation

TOTAL_STRIDE = 16


class TCNN3(nn.Module):
    """Grey patches to grade logits, and whole frames to maps.

    Args:
        grades: number K of grades.
        channels: of the input; 1 for grey, 3 to count what the paper counts.
        patch_px: side of the patch that one cell of a map is made from; single patches may have any size from 67 px.
    """

    def __init__(self, grades: int, *, channels: int = 1, patch_px: int = 128) -> None:
        super().__init__()
        self.patch_px = patch_px
        self.normalisation = GreyNormalisation()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 96, 11, stride=4),
            nn.ReLU(inplace=True),
            nn.LocalResponseNorm(5),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(inplace=True),
            nn.LocalResponseNorm(5),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        # fully connected layers as convolutions of one cell: the same figures, and a map where there are many cells
        self.head = nn.Sequential(
            nn.Conv2d(384, 4096, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Conv2d(4096, 4096, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Conv2d(4096, grades, 1),
        )

    def energies(self, grey: Tensor, stride_px: int = TOTAL_STRIDE) -> Tensor:
        """Mean of every feature over each patch, the convolutions run once over the whole frame.

        Two of the convolutions pad, so that a patch cut out has an edge that the same patch in a frame has not: but for
        a frame of exactly one patch the map is near the patches' scores, not equal to them.

        Args:
            grey: float [N, channels, H, W], grey levels 0 to 255.
            stride_px: pixels between patches, a multiple of `TOTAL_STRIDE`.

        Returns:
            float [N, 384, h, w] with h = (H - patch_px) // stride_px + 1.
        """
        if stride_px % TOTAL_STRIDE:
            raise ValueError(
                f"stride {stride_px} px: wanted a multiple of {TOTAL_STRIDE}, the convolutions' own stride"
            )
        rows, columns = ((side - self.patch_px) // stride_px + 1 for side in grey.shape[2:])
        pooled = F.avg_pool2d(
            self.body(self.normalisation(grey)), _features(self.patch_px), stride=stride_px // TOTAL_STRIDE
        )
        # a frame may hold a feature more than its last patch needs
        return pooled[:, :, :rows, :columns]

    def forward(self, grey: Tensor) -> Tensor:
        """Logits of whole images by the energies of all their features: float [N, channels, H, W] to float [N, K]."""
        features = self.body(self.normalisation(grey))
        return cast(Tensor, self.head(features.mean((2, 3), keepdim=True)))[:, :, 0, 0]


def _features(side_px: int) -> int:
    """Features along a side: a convolution of 11 at stride 4, then twice a maximum of 3 at stride 2."""
    side = (side_px - 11) // 4 + 1
    for _ in range(2):
        side = (side - 3) // 2 + 1
    return side
