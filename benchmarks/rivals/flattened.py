"""A plain network: the texture network's own convolutions, and a head that knows where in the patch a feature lies."""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from trainer.network import NetworkConfig, TextureNetwork

# as in AlexNet's fully connected layers: with it the head, which holds nearly all weights, learns less by heart
DROPOUT = 0.5


class FlattenedNetwork(nn.Module):
    """Grey patches to grade logits, and whole frames to maps.

    The features of a patch are flattened and fully connected to `config.hidden` values, those to the grades. The first
    of these layers is kept as a convolution with a kernel as large as the patch's features: its weights are those of
    the fully connected layer, and it can be laid on every patch of a frame.

    Args:
        config: of the texture network whose convolutions, patch and hidden width are taken over.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        twin = TextureNetwork(config)
        self.normalisation, self.body = twin.normalisation, twin.body
        self.flattened = nn.Conv2d(config.widths[-1], config.hidden, config.window)
        self.head = nn.Sequential(
            nn.ReLU(inplace=True), nn.Dropout(DROPOUT), nn.Conv2d(config.hidden, len(config.grades), 1)
        )

    def cell_logits(self, grey: Tensor, stride_px: int) -> Tensor:
        """Logits of every patch of a frame: the convolutions once over it, the head at each of the map's cells.

        Args:
            grey: float [N, 1, H, W], grey levels 0 to 255.
            stride_px: pixels between patches, a multiple of `config.total_stride`.

        Returns:
            float [N, K, h, w] with h = (H - patch_px) // stride_px + 1.
        """
        if stride_px % self.config.total_stride:
            raise ValueError(
                f"stride {stride_px} px: wanted a multiple of {self.config.total_stride}, the convolutions' own stride"
            )
        features = self.body(self.normalisation(grey))
        step = stride_px // self.config.total_stride
        hidden = F.conv2d(features, self.flattened.weight, self.flattened.bias, stride=step)
        return cast(Tensor, self.head(hidden))

    def forward(self, grey: Tensor) -> Tensor:
        """Return the logits of patches, as the texture network: float [N, 1, patch_px, patch_px] to [N, K]."""
        cells = self.cell_logits(grey, self.config.total_stride)
        if cells.shape[2:] != (1, 1):
            raise ValueError(f"images of {tuple(grey.shape[2:])} px: wanted patches of {self.config.patch_px} px")
        return cells[:, :, 0, 0]
