"""A trained network behind the engines' protocol."""

import numpy as np
import numpy.typing as npt
import torch

from runtime.engines import EngineOutput
from trainer.network import TextureNetwork


class TorchEngine:
    """A run's network behind the engines' protocol, so that it goes the one path that every model goes.

    A run has no out-of-distribution detector, which `export` fits: to it, every patch is familiar.
    """

    name, precision = "torch-fp32", "fp32"

    def __init__(self, network: TextureNetwork, stride_px: int) -> None:
        self._network, self._stride_px = network.eval(), stride_px

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        """See `Engine.run`."""
        with torch.inference_mode():
            probabilities = self._network.cell_probabilities(torch.from_numpy(images).float(), self._stride_px).numpy()
        return EngineOutput(probabilities, np.zeros((len(images), *probabilities.shape[2:]), np.float32))
