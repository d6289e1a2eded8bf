"""Four ways to fit the temperature of a trained network's softmax on the validation part."""

import math

import torch
from torch import Tensor

from trainer.calibrate import TEMPERATURES, fit_temperature, set_temperature
from trainer.network import TextureNetwork
from trainer.parts import Part
from trainer.predict import patch_logits

NONE, IMAGES, LIKELIHOOD, PATCHES = "temperature 1", "mean probability of images", "likelihood of patches", "patches"


def fit_temperatures(network: TextureNetwork, val: Part) -> dict[str, float]:
    """Return the temperature by the name of the way it was fitted; `PATCHES` is the way of `inflamap train`."""
    logits, rows = patch_logits(network, val, network.config.patch_px)
    return {
        NONE: 1.0,
        IMAGES: _by_images(network, val),
        LIKELIHOOD: _by_likelihood(logits, rows, val.grades),
        PATCHES: set_temperature(network, val).temperature,
    }


def _by_images(network: TextureNetwork, val: Part) -> float:
    """Hold the confidence of an image's mean probability, over all positions, to the accuracy of the image."""
    with torch.inference_mode():
        cells = [
            network.cell_logits(torch.from_numpy(pixels)[None, None].float())[0].flatten(1) for pixels in val.pixels
        ]

    def mean_probabilities(temperature: float) -> Tensor:
        return torch.stack([torch.softmax(some / temperature, 0).mean(1) for some in cells])

    def excess(temperature: float) -> float:
        found = mean_probabilities(temperature)
        right = int((found.argmax(1) == val.grades).sum())
        return float(found.amax(1).mean()) - (right + 0.5) / (len(val) + 1)

    # votes of patches change with the temperature, so the difference of both is held to 0
    return fit_temperature(excess, 0.0)[0]


def _by_likelihood(logits: Tensor, rows: Tensor, grades: Tensor) -> float:
    """Maximise the likelihood of the median grades under the patches' probabilities, each image with one weight."""
    weights = (1 / torch.bincount(rows))[rows]
    coldest, hottest = map(math.log10, TEMPERATURES)
    tried: list[float] = torch.logspace(coldest, hottest, 401).tolist()
    losses = [
        float(weights @ torch.nn.functional.cross_entropy(logits / one, grades[rows], reduction="none"))
        for one in tried
    ]
    return tried[losses.index(min(losses))]
