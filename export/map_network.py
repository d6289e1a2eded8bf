"""The network as it is deployed: frames in, probabilities and unfamiliarity out, everything inside."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from export.ood_detector import PATCHES_AT_ONCE, OodDetector
from trainer.network import TextureNetwork


class MapNetwork(nn.Module):
    """A trained network and its out-of-distribution detector over whole frames.

    Args:
        network: trained.
        detector: fitted to it.
        stride_px: pixels between neighbouring cells, a multiple of the network's own stride.
    """

    def __init__(self, network: TextureNetwork, detector: OodDetector, stride_px: int) -> None:
        super().__init__()
        self.network, self.detector, self.stride_px = network, detector, stride_px
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 [N, 1, H, W] to probabilities, float [N, K, h, w], and unfamiliarity, float [N, h, w]."""
        means = self.network.layer_means(image.float(), self.stride_px)
        return self.network.probabilities(means[-1]), self.detector(means)

    def answers(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the outputs for images, uint8 [N, 1, H, W]: float32 [N, K, h, w] and [N, h, w]."""
        with torch.inference_mode():
            probabilities, unfamiliarity = self(torch.from_numpy(np.ascontiguousarray(images)))
        return probabilities.numpy(), unfamiliarity.numpy()

    def unfamiliarity(self, patches: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the unfamiliarity of patches, uint8 [N, patch_px, patch_px]: float32 [N]."""
        return np.concatenate(
            [
                self.answers(patches[start : start + PATCHES_AT_ONCE, None])[1].reshape(-1)
                for start in range(0, len(patches), PATCHES_AT_ONCE)
            ]
        )
