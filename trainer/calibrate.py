"""Measure the temperature of the softmax at the end of training."""

import math

import torch

from trainer.network import TextureNetwork, image_logits
from trainer.parts import Part
from trainer.predict import BATCH, LARGEST_PX

# a network that learned nothing would ask for an endless temperature
TEMPERATURES = (0.1, 10.0)


def set_temperature(network: TextureNetwork, val: Part) -> None:
    """Set the softmax's temperature so that the mean confidence on the validation part is the accuracy there.

    Training aims at the raters' distribution, which is broader than what is known of their median; a probability that
    the software shows is to be that of the median grade, by which it is judged. Confidence is held to accuracy itself
    (expectation consistency: Clarté et al. 2023, arXiv:2303.02644), for one temperature does not make the one
    distribution of the other, and the likelihood then gives way to the few patches that are missed by far. Half a miss
    is counted beside those seen: no part is large enough to make a model certain.
    """
    with torch.no_grad():
        cells = [(val.grades[rows], network.cell_logits(grey.float())) for rows, grey in val.batches(LARGEST_PX, BATCH)]

    def answers(temperature: float) -> tuple[float, float]:
        """Mean confidence and share of right answers."""
        found = [(grades, torch.softmax(image_logits(some, temperature), dim=1).max(dim=1)) for grades, some in cells]
        sure = sum(float(best.values.sum()) for _, best in found)
        right = sum(int((best.indices == grades).sum()) for grades, best in found)
        return sure / len(val), (right + 0.5) / (len(val) + 1)

    # the higher the temperature, the less confidence
    low, high = (math.log(bound) for bound in TEMPERATURES)
    while high - low > 1e-4:
        middle = (low + high) / 2
        confidence, accuracy = answers(math.exp(middle))
        low, high = (middle, high) if confidence > accuracy else (low, middle)
    network.temperature.fill_(math.exp((low + high) / 2))
