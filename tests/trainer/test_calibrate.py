"""What the end of training measures: an honest temperature, and where the familiar ends."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.augment import Augmentation, augment
from trainer.calibrate import set_familiarity, set_temperature
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


def test_one_validation_patch_in_two_hundred_lies_beyond_the_familiar(tiny, draw_texture):
    torch.manual_seed(4)
    network = TextureNetwork(tiny).eval()
    rng = np.random.default_rng(4)
    images = [draw_texture(number % 3, rng, 32) for number in range(1200)]
    grey = torch.from_numpy(np.stack(images))[:, None]
    settings = Augmentation()
    set_familiarity(network, part(images[:400]), part(images[400:]), settings, 0)

    def unfamiliarity(patches: Tensor, seed: int) -> Tensor:
        variants = augment(patches, settings, torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            return network.unfamiliarity(network.energies(variants)).flatten()

    again = torch.cat([unfamiliarity(grey[400:], seed) for seed in range(1, 6)])
    assert 0.001 < (again > 1).float().mean() < 0.015
    # the distance is in spreads of the training patches' energies, whatever their own size
    train = unfamiliarity(grey[:400], 9) * network.unfamiliar_scale
    assert float(train.square().mean()) == pytest.approx(1, abs=0.1)


def test_what_the_network_never_saw_lies_far_beyond_the_familiar(trained):
    def unfamiliarity(images: npt.NDArray[np.uint8]) -> Tensor:
        with torch.inference_mode():
            energies = trained.network.energies(torch.from_numpy(images)[:, None].float())
            return trained.network.unfamiliarity(energies).flatten()

    noise = np.random.default_rng(1).integers(0, 256, (50, 32, 32), np.uint8)
    held_out = np.stack(
        [pixels[:32, :32] for pixels, part in zip(trained.data.pixels, trained.parts, strict=True) if part == "test"]
    )
    assert unfamiliarity(held_out).max() < 1
    assert unfamiliarity(noise).min() > unfamiliarity(held_out).max()
    assert unfamiliarity(np.full((1, 32, 32), 255, np.uint8)).min() > 2
