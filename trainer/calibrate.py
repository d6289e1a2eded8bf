"""What the end of training measures: the softmax's temperature, and what familiar images look like."""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.augment import Augmentation, augment, random_crop
from trainer.network import NetworkConfig, TextureNetwork
from trainer.parts import Part


def predict_logits(network: torch.nn.Module, grey: Tensor, batch: int = 256) -> Tensor:
    """Logits of the middle of each patch, float [N, K] on the CPU, for uint8 [N, 1, S, S]."""
    config = network.config
    assert isinstance(config, NetworkConfig)
    start = (grey.shape[-1] - config.patch_px) // 2
    cut = grey[:, :, start : start + config.patch_px, start : start + config.patch_px]
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(some.to(device).float()).cpu() for some in cut.split(batch)])


def set_temperature(network: TextureNetwork, val: Part) -> None:
    """Fit the softmax's temperature on the validation part (Guo et al. 2017, arXiv:1706.04599).

    Training aims at the raters' distribution, which is broader than what is known of their median; a probability that
    the software shows is to be that of the median grade, by which it is judged.
    """
    logits = predict_logits(network, val.grey).clone()
    log_temperature = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.LBFGS([log_temperature], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(logits / log_temperature.exp(), val.grades)
        value.backward()
        return value

    optimiser.step(closure)
    # a network that learned nothing would ask for an endless temperature
    network.temperature.copy_(log_temperature.detach().exp().clamp(0.1, 10.0))


def set_familiarity(network: TextureNetwork, train: Part, val: Part, settings: Augmentation, seed: int) -> None:
    """Measure what the energies of familiar images look like.

    Mean and covariance come from augmented training patches, for the network learned to take those changes calmly; the
    scale makes 1 the distance that 1 in 200 validation patches exceeds.
    """
    generator = torch.Generator().manual_seed(seed)

    def energies(part: Part) -> Tensor:
        side = network.config.patch_px
        with torch.inference_mode():
            return torch.cat(
                [
                    network.energies(augment(random_crop(some, side, generator).float(), settings, generator))[
                        :, :, 0, 0
                    ]
                    for some in part.grey.split(256)
                ]
            ).double()

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
