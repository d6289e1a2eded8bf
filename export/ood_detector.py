"""The out-of-distribution detector: how unlike the training images each patch is.

It looks at the mean of every channel of all layers but the first, for what is strange shows in early layers as much as
in late ones (Mahalanobis distances over all layers: Lee et al. 2018, arXiv:1807.03888). Two scores are computed from
them, and the larger counts: a distance from the training patches, in the directions in which other textures differ
most, and the answer of a small network that was trained to separate training patches from procedural textures (outlier
exposure: Hendrycks et al. 2019, arXiv:1812.04606). A limit found on validation patches scales each, so that 1 is the
edge of the familiar.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.network import NetworkConfig, TextureNetwork

# a channel that hardly varies over the training patches would make a large deviation of rounding noise
LEAST_SPREAD = 0.02
# directions of the distance, and width of the small network: more hardly separate better and cost time in every frame
DIRECTIONS = HIDDEN = 16
# share of validation patches, as they are and in variants, that the two limits withhold together; nearly all of these
# are variants far from the patches as they are
WITHHELD = 0.015
# in spreads of the training patches
LEAST_DISTANCE = 1.0
STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 1000, 128, 1e-2, 1e-2
# targets are this far from 0 and 1, so that no score grows without end
SMOOTHING = 0.01
PATCHES_AT_ONCE = 64

Floats = npt.NDArray[np.float64]


class OodDetector(nn.Module):
    """Maps the means of all channels to the unfamiliarity, 1 at the edge of the familiar.

    Each mean is divided by its average over the training patches and passed through tanh, which spreads small values
    and bounds large ones as a logarithm would, at a fraction of its cost. All that is linear is folded into one
    convolution for each layer, so that a frame's means need not be joined.

    Attributes:
        gains: for each layer float [1, C, 1, 1], the reciprocal of each channel's average. They stand apart, so that a
            change of a channel's scale within the network can be undone in one place.
        projections: for each layer a 1x1 convolution; the sum over the layers holds the directions of the distance,
            then the hidden units of the small network.
        score: the small network's last layer: the log odds of an outlier, 0 at the edge of the familiar.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        # as `layer_means` gives them
        self.widths = config.widths[1:] or config.widths
        self.gains = nn.ParameterList(
            [nn.Parameter(torch.ones((1, width, 1, 1)), requires_grad=False) for width in self.widths]
        )
        self.projections = nn.ModuleList(
            [nn.Conv2d(width, DIRECTIONS + HIDDEN, 1, bias=place == 0) for place, width in enumerate(self.widths)]
        )
        self.score = nn.Conv2d(HIDDEN, 1, 1)

    def forward(self, means: Sequence[Tensor]) -> Tensor:
        """Return the unfamiliarity.

        Args:
            means: for each layer float [N, C, h, w], see `TextureNetwork.layer_means`.

        Returns:
            float [N, h, w].
        """
        projected = torch.zeros(())
        for layer, gain, projection in zip(means, self.gains, self.projections, strict=True):
            projected = projected + projection(torch.tanh(layer * gain))
        along, hidden = projected.split([DIRECTIONS, HIDDEN], dim=1)
        distance = torch.sqrt(torch.mean(along * along, dim=1))
        score = self.score(torch.relu(hidden))[:, 0]
        # increasing, 1 where the score is 0, never below 0 and linear where the score is high: squareplus (Barron 2021,
        # arXiv:2112.11687)
        return torch.maximum(distance, (score + torch.sqrt(score * score + 4)) / 2)


@dataclass(frozen=True)
class ChannelMeans:
    """Means of all channels over N patches.

    Attributes:
        layers: for each layer float32 [N, C], see `TextureNetwork.layer_means`.
    """

    layers: tuple[npt.NDArray[np.float32], ...]

    @staticmethod
    def of(network: TextureNetwork, patches: npt.NDArray[np.uint8], stride_px: int) -> "ChannelMeans":
        """Run the network over patches, uint8 [N, patch_px, patch_px], as a map with this stride sees them."""
        found = []
        with torch.inference_mode():
            for start in range(0, len(patches), PATCHES_AT_ONCE):
                some = np.ascontiguousarray(patches[start : start + PATCHES_AT_ONCE, None])
                means = network.layer_means(torch.from_numpy(some).float(), stride_px)
                found.append([layer[:, :, 0, 0].numpy() for layer in means])
        return ChannelMeans(tuple(np.concatenate(layer) for layer in zip(*found, strict=True)))


def fit_detector(
    config: NetworkConfig, familiar: ChannelMeans, outliers: ChannelMeans, validation: ChannelMeans
) -> OodDetector:
    """Fit the detector; the same inputs give the same detector on one machine.

    Args:
        config: of the network.
        familiar: of training patches, as they are and in variants.
        outliers: of what must be refused.
        validation: of validation patches, as they are and in variants; the limits are taken from them.
    """
    averages = [layer.mean(0, dtype=np.float64) for layer in familiar.layers]
    # a channel that is dead on skin is not blown up without end
    gains = [1 / np.maximum(average, 1e-3 * average.mean() + 1e-12) for average in averages]

    def squashed(means: ChannelMeans) -> Floats:
        return np.concatenate([np.tanh(layer * gain) for layer, gain in zip(means.layers, gains, strict=True)], axis=1)

    known, strange, held = squashed(familiar), squashed(outliers), squashed(validation)
    centre, spread = known.mean(0), np.maximum(known.std(0), LEAST_SPREAD)
    known, strange, held = ((each - centre) / spread for each in (known, strange, held))
    directions = _directions(known, strange)
    hidden, score = _train(known, strange)
    distances = np.sqrt(np.sum((held @ directions.T) ** 2, axis=1) / DIRECTIONS)
    with torch.no_grad():
        scores = score(torch.relu(hidden(torch.from_numpy(held))))[:, 0].numpy()
    most_distance, most_score = limits(distances, scores)
    # of a few patches that hardly differ the limit would be next to nothing
    most_distance = max(most_distance, LEAST_DISTANCE)

    detector = OodDetector(config).eval()
    weights = np.zeros((DIRECTIONS + HIDDEN, len(centre)))
    weights[: len(directions)] = directions / most_distance
    weights[DIRECTIONS:] = hidden.weight.detach().numpy()
    weights /= spread
    bias = -weights @ centre
    bias[DIRECTIONS:] += hidden.bias.detach().numpy()
    starts = np.cumsum((0, *detector.widths))
    with torch.no_grad():
        for place, (gain, projection) in enumerate(zip(gains, detector.projections, strict=True)):
            assert isinstance(projection, nn.Conv2d)
            detector.gains[place].copy_(torch.from_numpy(gain)[None, :, None, None])
            of_layer = weights[:, starts[place] : starts[place + 1]]
            projection.weight.copy_(torch.from_numpy(of_layer)[:, :, None, None])
            if projection.bias is not None:
                projection.bias.copy_(torch.from_numpy(bias))
        detector.score.weight.copy_(score.weight[:, :, None, None])
        assert detector.score.bias is not None
        detector.score.bias.copy_(score.bias - most_score)
    return detector


def limits(distances: Floats, scores: Floats, withheld: float = WITHHELD) -> tuple[float, float]:
    """Return the limit of each score, at one quantile of both, so that together they withhold a share of the patches.

    Args:
        distances, scores: float64 [N], of the same validation patches.
        withheld: the share.
    """
    # the quantile lies between this, where both withhold the same patches, and 1
    low, high = 1 - withheld, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        lost = np.mean((distances > np.quantile(distances, middle)) | (scores > np.quantile(scores, middle)))
        low, high = (middle, high) if lost > withheld else (low, middle)
    return float(np.quantile(distances, high)), float(np.quantile(scores, high))


def _directions(familiar: Floats, outliers: Floats) -> Floats:
    """Return the directions in which outliers are furthest from the familiar, in units of its spread there.

    Args:
        familiar: float64 [N, C].
        outliers: float64 [M, C].

    Returns:
        float64 [at most DIRECTIONS, C].
    """
    whitening = np.linalg.inv(np.linalg.cholesky(_shrunk_covariance(familiar - familiar.mean(0))))
    white = outliers @ whitening.T
    # each outlier counts alike, however far away it is
    white /= np.sqrt(np.mean(white * white, axis=1, keepdims=True))
    _, vectors = np.linalg.eigh(white.T @ white)
    found: Floats = vectors[:, ::-1][:, :DIRECTIONS].T @ whitening
    return found


def _shrunk_covariance(centred: Floats) -> Floats:
    """Return the covariance, shrunk towards a multiple of the identity.

    After Ledoit & Wolf 2004, https://doi.org/10.1016/S0047-259X(03)00096-4.

    Args:
        centred: float64 [N, C], of zero mean.
    """
    count, channels = centred.shape
    sample = centred.T @ centred / count
    target = np.trace(sample) / channels * np.eye(channels)
    distance = np.sum((sample - target) ** 2)
    squares = centred * centred
    error = np.sum(squares.T @ squares / count - sample * sample) / count
    share = min(1.0, error / distance) if distance > 0 else 1.0
    # of patches that do not vary at all there is no inverse
    found: Floats = (1 - share) * sample + share * target + 1e-6 * np.eye(channels)
    return found


def _train(familiar: Floats, outliers: Floats) -> tuple[nn.Linear, nn.Linear]:
    """Train the small network to give the log odds of an outlier; of both sides as many are shown."""
    generator = torch.Generator().manual_seed(0)
    hidden, score = (
        nn.Linear(familiar.shape[1], HIDDEN, dtype=torch.float64),
        nn.Linear(HIDDEN, 1, dtype=torch.float64),
    )
    with torch.no_grad():
        for layer in (hidden, score):
            bound = layer.in_features**-0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)
    sides = [torch.from_numpy(side) for side in (familiar, outliers)]
    parameters = [*hidden.parameters(), *score.parameters()]
    optimiser = torch.optim.AdamW(parameters, LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=STEPS)
    wanted = torch.tensor([SMOOTHING, 1 - SMOOTHING], dtype=torch.float64).repeat_interleave(BATCH)
    for _ in range(STEPS):
        shown = [side[torch.randint(len(side), (BATCH,), generator=generator)] for side in sides]
        loss = F.binary_cross_entropy_with_logits(score(torch.relu(hidden(torch.cat(shown))))[:, 0], wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return hidden, score
