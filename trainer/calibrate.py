"""Measure the temperature of the softmax at the end of training."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from trainer.network import TextureNetwork
from trainer.parts import Part
from trainer.predict import patch_logits

# a network that learned nothing would ask for an endless temperature
TEMPERATURES = (0.1, 10.0)
# of the mean confidence between these: with less, the logits of all grades are equal but for rounding
SMALLEST_RANGE = 1e-3


@dataclass(frozen=True)
class Calibration:
    """The temperature of a network's softmax, and how confidence compares with accuracy on the validation part.

    The three shares are means over images of the means over the patches of each.

    Attributes:
        temperature: what the logits are divided by.
        images, patches: of the validation part.
        accuracy: share of patches whose most probable grade is that of the image's raters.
        confidence: mean probability of the most probable grade at `temperature`.
        confidence_before: the same at temperature 1.
        warning: why confidence does not match accuracy; None where it does.
    """

    temperature: float
    images: int
    patches: int
    accuracy: float
    confidence: float
    confidence_before: float
    warning: str | None

    @property
    def summary(self) -> str:
        """One line for the training log."""
        return (
            f"temperature {self.temperature:.2f}: mean confidence of a patch {self.confidence:.3f}, accuracy "
            f"{self.accuracy:.3f}, on {self.patches} patches of {self.images} validation images "
            f"(confidence {self.confidence_before:.3f} at temperature 1)"
        )

    def to_json(self) -> dict[str, Any]:
        """Return `calibration` of run.json; `temperature` stands beside it."""
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in asdict(self).items()
            if name != "temperature"
        }


def set_temperature(network: TextureNetwork, val: Part) -> Calibration:
    """Set the softmax's temperature so that the mean confidence of patches on the validation part is their accuracy.

    Training aims at the raters' distribution, which is broader than what is known of their consensus; a probability
    that the software shows is to be that of the consensus, by which it is judged. Confidence is held to accuracy itself
    (expectation consistency: Clarté et al. 2023, arXiv:2303.02644), for one temperature does not make the one
    distribution of the other, and the likelihood then gives way to the few patches that are missed by far. Half a miss
    is counted beside those seen: no part is large enough to make a model certain.

    The temperature is that of a patch, which is what a cell of a map is: a larger image counts by each of its patches,
    with the weight of one image. Fitted on images as a whole, a temperature is far too low for their cells, because an
    image is right more often than the patches in it (docs/calibration.md).
    """
    logits, rows = patch_logits(network, val, network.config.patch_px)
    weights = (1 / torch.bincount(rows).double())[rows] / len(val)
    right = logits.argmax(1) == val.grades[rows]
    accuracy = float(weights @ right.double())
    wanted = (accuracy * len(val) + 0.5) / (len(val) + 1)

    def confidence(temperature: float) -> float:
        return float(weights @ torch.softmax(logits.double() / temperature, dim=1).amax(1))

    temperature, warning = fit_temperature(confidence, wanted)
    network.temperature.fill_(temperature)
    return Calibration(
        temperature=temperature,
        images=len(val),
        patches=len(rows),
        accuracy=accuracy,
        confidence=confidence(temperature),
        confidence_before=confidence(1.0),
        warning=warning,
    )


def fit_temperature(confidence: Callable[[float], float], wanted: float) -> tuple[float, str | None]:
    """Return the temperature at which the mean confidence is `wanted`, and a warning where there is none.

    Args:
        confidence: mean confidence at a temperature, with which it falls.
        wanted: 0 to 1.
    """
    coldest, hottest = TEMPERATURES
    highest, lowest = confidence(coldest), confidence(hottest)
    if not highest - lowest > SMALLEST_RANGE:
        return 1.0, (
            "the temperature cannot be fitted: the network gives all grades nearly the same probability, "
            f"{highest:.3f} at most on average; the temperature stays at 1; "
            "train for more epochs, or check the scores and images of the data set"
        )
    for bound, reached, side in ((coldest, wanted >= highest, "below"), (hottest, wanted <= lowest, "above")):
        if reached:
            return bound, (
                f"the temperature reached its bound of {bound:g}: mean confidence {confidence(bound):.3f} on the "
                f"validation part stays {side} accuracy {wanted:.3f}, so confidences of this model are not calibrated; "
                "train for more epochs, or check the scores of the validation part"
            )
    low, high = math.log(coldest), math.log(hottest)
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if confidence(math.exp(middle)) > wanted else (low, middle)
    return math.exp((low + high) / 2), None
