"""The temperature that the end of training measures is an honest one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.calibrate import set_temperature
from trainer.network import NetworkConfig, TextureNetwork, image_logits
from trainer.parts import Part


def part(images: Sequence[npt.NDArray[np.uint8]], grades: Tensor | None = None) -> Part:
    """A part whose raters are as undecided as can be: only their median is to count here."""
    grades = torch.zeros(len(images), dtype=torch.int64) if grades is None else grades
    return Part(tuple(images), torch.full((len(images), 5), 0.2), grades)


class Told(TextureNetwork):
    """Gives the logits it was told for the image of each grey level, one cell or several."""

    def __init__(self, config: NetworkConfig, cells: Tensor) -> None:
        super().__init__(config)
        self.cells = cells

    def cell_logits(self, grey: Tensor) -> Tensor:
        return self.cells[(grey[:, 0, 0, 0] + 256 * grey[:, 0, 0, 1]).long()]


def named(count: int) -> list[npt.NDArray[np.uint8]]:
    """Images that tell `Told` which one they are."""
    return [np.array([[number % 256, number // 256]], np.uint8) for number in range(count)]


@pytest.mark.parametrize("confidence", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_too_much_and_too_little_confidence(tiny, confidence):
    generator = torch.Generator().manual_seed(1)
    honest = torch.randn((4000, 5), generator=generator) * 2
    truth = torch.multinomial(torch.softmax(honest, 1), 1, generator=generator)[:, 0]
    network = Told(tiny, (honest * confidence)[:, :, None, None])
    set_temperature(network, part(named(4000), truth))
    assert float(network.temperature) == pytest.approx(confidence, rel=0.08)
    before = F.cross_entropy(honest * confidence, truth)
    after = F.cross_entropy(honest * confidence / network.temperature, truth)
    assert after <= before + 1e-3
    assert confidence == 1 or after < before - 0.03


def test_confidence_is_what_was_right_and_half_a_miss(tiny):
    # the likelihood would ask for an endless sureness where nothing was missed
    truth = torch.arange(40) % 5
    logits = F.one_hot(truth, 5).float()
    network = Told(tiny, logits[:, :, None, None])
    set_temperature(network, part(named(40), truth))
    sure = torch.softmax(logits / network.temperature, 1).amax(1)
    assert sure.mean() == pytest.approx(40.5 / 41, abs=1e-3)


def test_confidence_is_accuracy_where_no_temperature_gives_the_true_distribution(tiny):
    # right in 9 of 10 of the images, whether more or less sure of them
    logits = torch.zeros(1000, 5)
    logits[:, 2] = torch.linspace(1, 6, 1000)
    truth = torch.full((1000,), 2)
    truth[::10] = 0
    network = Told(tiny, logits[:, :, None, None])
    set_temperature(network, part(named(1000), truth))
    assert torch.softmax(logits / network.temperature, 1).amax(1).mean() == pytest.approx(0.9, abs=2e-3)


def test_the_temperature_stays_bounded_where_nothing_was_right(tiny):
    truth = torch.arange(40) % 5
    network = Told(tiny, -F.one_hot(truth, 5).float()[:, :, None, None])
    set_temperature(network, part(named(40), truth))
    assert float(network.temperature) == pytest.approx(10.0, rel=1e-3)


def test_the_temperature_makes_the_mean_over_a_larger_images_patches_honest(tiny):
    # cells that disagree: their mean is less sure than any of them, so each may be surer
    generator = torch.Generator().manual_seed(2)
    cells = torch.randn((20000, 5, 2, 3), generator=generator) * 3
    truth = torch.multinomial(image_logits(cells).exp(), 1, generator=generator)[:, 0]
    network = Told(tiny, cells * 2.5)
    set_temperature(network, part(named(20000), truth))
    assert float(network.temperature) == pytest.approx(2.5, rel=0.1)
