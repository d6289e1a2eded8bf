"""What the end of training measures: the softmax's temperature, and what familiar images look like."""

import math

import numpy as np
import torch
from torch import Tensor

from trainer.augment import Augmentation, draw_batch
from trainer.network import TextureNetwork, image_logits
from trainer.parts import Part
from trainer.predict import BATCH, LARGEST_PX

# keeps this draw apart from those of training, whose keys are (seed, epoch, ...)
FAMILIARITY = 2**32
FEWEST_VARIANTS = 1000
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


def set_familiarity(network: TextureNetwork, train: Part, val: Part, settings: Augmentation, seed: int) -> None:
    """Measure what the energies of familiar images look like.

    Mean and covariance come from augmented training patches, for the network learned to take those changes calmly; the
    scale makes 1 the distance that 1 in 200 validation patches exceeds.
    """
    rng = np.random.default_rng((seed, FAMILIARITY))

    def energies(part: Part) -> Tensor:
        found = []
        # of a small part each patch is drawn in several variants, or its extremes would be a matter of luck
        shown = np.tile(np.arange(len(part)), math.ceil(FEWEST_VARIANTS / len(part)))
        with torch.inference_mode():
            for rows in np.array_split(shown, math.ceil(len(shown) / BATCH)):
                patches = draw_batch(part, rows, network.config.patch_px, settings, rng)
                found.append(network.energies(patches)[:, :, 0, 0])
        return torch.cat(found).double()

    familiar = energies(train)
    covariance = torch.cov(familiar.T)
    values, vectors = torch.linalg.eigh(covariance)
    # directions in which training images hardly differ would make a distance of rounding noise
    values = values.clamp(min=1e-3 * float(values.mean()))
    network.familiar_mean.copy_(familiar.mean(0))
    network.familiar_whitening.copy_((vectors / values.sqrt()).T)
    network.unfamiliar_scale.fill_(1.0)
    distances = network.unfamiliarity(energies(val).float()[:, :, None, None])
    network.unfamiliar_scale.fill_(float(torch.quantile(distances.flatten(), 0.995)))
