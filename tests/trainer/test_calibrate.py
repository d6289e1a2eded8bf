"""The temperature that the end of training measures is an honest one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.calibrate import set_temperature
from trainer.network import NetworkConfig, TextureNetwork
from trainer.parts import Part


def part(images: Sequence[npt.NDArray[np.uint8]], grades: Tensor | None = None) -> Part:
    """A part whose raters are as undecided as can be: only their median is to count here."""
    grades = torch.zeros(len(images), dtype=torch.int64) if grades is None else grades
    return Part(tuple(images), torch.full((len(images), 5), 0.2), grades)


class Given(TextureNetwork):
    """Gives patches the logits of the number in their first two pixels."""

    def __init__(self, config: NetworkConfig, logits: Tensor) -> None:
        super().__init__(config)
        self.logits = logits

    def cell_logits(self, grey: Tensor) -> Tensor:
        return self.logits[(grey[:, 0, 0, 0] + 256 * grey[:, 0, 0, 1]).long(), :, None, None]


def numbered(count: int, patches: int = 1) -> list[npt.NDArray[np.uint8]]:
    """`count` images, uint8 [32, 32 or more], of so many patches each, 16 px apart; `Given` tells all patches apart."""
    numbers = np.arange(count * patches).reshape(count, patches)
    images = np.zeros((count, 32, 32 + 16 * (patches - 1)), np.uint8)
    images[:, 0, : 16 * patches : 16] = numbers % 256
    images[:, 0, 1 : 16 * patches : 16] = numbers // 256
    return list(images)


@pytest.mark.parametrize("confidence", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_too_much_and_too_little_confidence(tiny, confidence):
    generator = torch.Generator().manual_seed(1)
    honest = torch.randn((4000, 5), generator=generator) * 2
    truth = torch.multinomial(torch.softmax(honest, 1), 1, generator=generator)[:, 0]
    network = Given(tiny, (honest * confidence))
    set_temperature(network, part(numbered(4000), truth))
    assert float(network.temperature) == pytest.approx(confidence, rel=0.08)
    before = F.cross_entropy(honest * confidence, truth)
    after = F.cross_entropy(honest * confidence / network.temperature, truth)
    assert after <= before + 1e-3
    assert confidence == 1 or after < before - 0.03


def test_confidence_is_what_was_right_and_half_a_miss(tiny):
    # the likelihood would ask for an endless sureness where nothing was missed
    truth = torch.arange(40) % 5
    logits = F.one_hot(truth, 5).float()
    network = Given(tiny, logits)
    set_temperature(network, part(numbered(40), truth))
    sure = torch.softmax(logits / network.temperature, 1).amax(1)
    assert sure.mean() == pytest.approx(40.5 / 41, abs=1e-3)


def test_confidence_is_accuracy_where_no_temperature_gives_the_true_distribution(tiny):
    # right in 9 of 10 of the images, whether more or less sure of them
    logits = torch.zeros(1000, 5)
    logits[:, 2] = torch.linspace(1, 6, 1000)
    truth = torch.full((1000,), 2)
    truth[::10] = 0
    network = Given(tiny, logits)
    set_temperature(network, part(numbered(1000), truth))
    assert torch.softmax(logits / network.temperature, 1).amax(1).mean() == pytest.approx(0.9, abs=2e-3)


def test_the_temperature_is_that_of_a_patch_whatever_the_size_of_the_images(tiny):
    # patches of one image differ by chance, so its mean is right more often than any of them
    generator = torch.Generator().manual_seed(2)
    truth = torch.randint(0, 5, (3000,), generator=generator)
    evidence = F.one_hot(truth, 5)[:, None] * 2.0 + torch.randn((3000, 5, 5), generator=generator)
    logits = 2 * evidence.flatten(0, 1)
    in_images, alone = Given(tiny, logits * 2.5), Given(tiny, logits * 2.5)
    found = set_temperature(in_images, part(numbered(3000, 5), truth))
    wanted = set_temperature(alone, part(numbered(15000), truth.repeat_interleave(5)))
    assert (found.images, found.patches) == (3000, 15000)
    assert (wanted.images, wanted.patches) == (15000, 15000)
    assert found.temperature == pytest.approx(wanted.temperature, rel=1e-2)
    assert found.accuracy == pytest.approx(found.confidence, abs=1e-3)
    by_image = evidence.mean(1).argmax(1) == truth
    assert by_image.float().mean() > found.accuracy + 0.05


def test_every_image_has_the_same_weight(tiny):
    # one image of five patches, all wrong, beside five images of one patch, all right: right in five of six
    images = [*numbered(1, 5), *numbered(10)[5:]]
    logits = torch.zeros(10, 5)
    logits[:, 1] = 2.0
    truth = torch.tensor([0, 1, 1, 1, 1, 1])
    found = set_temperature(Given(tiny, logits), part(images, truth))
    assert (found.images, found.patches) == (6, 10)
    assert found.accuracy == pytest.approx(5 / 6)
    assert found.confidence == pytest.approx(5.5 / 7, abs=1e-3)


def test_what_was_found_is_told_in_one_line_and_in_json(tiny):
    truth = torch.arange(40) % 5
    network = Given(tiny, F.one_hot(truth, 5).float())
    found = set_temperature(network, part(numbered(40), truth))
    assert float(network.temperature) == pytest.approx(found.temperature)
    assert found.summary == (
        f"temperature {found.temperature:.2f}: mean confidence of a patch 0.988, accuracy 1.000, on 40 patches of 40 "
        "validation images (confidence 0.405 at temperature 1)"
    )
    assert found.to_json() == {
        "images": 40,
        "patches": 40,
        "accuracy": 1.0,
        "confidence": pytest.approx(40.5 / 41, abs=1e-3),
        "confidence_before": pytest.approx(np.e / (np.e + 4), abs=1e-6),
        "warning": None,
    }


def test_nothing_right_ends_at_the_upper_bound_and_says_so(tiny):
    truth = torch.arange(40) % 5
    network = Given(tiny, -F.one_hot(truth, 5).float())
    found = set_temperature(network, part(numbered(40), truth))
    assert float(network.temperature) == found.temperature == 10.0
    assert found.warning is not None
    assert found.warning.startswith(
        "the temperature reached its bound of 10: mean confidence 0.204 on the validation part stays above "
        "accuracy 0.012"
    )
    assert found.to_json()["warning"] == found.warning


def test_a_network_that_hardly_dares_ends_at_the_lower_bound_and_says_so(tiny):
    truth = torch.arange(40) % 5
    network = Given(tiny, 0.1 * F.one_hot(truth, 5).float())
    found = set_temperature(network, part(numbered(40), truth))
    assert float(network.temperature) == pytest.approx(0.1)
    assert found.warning is not None
    assert "reached its bound of 0.1: mean confidence 0.405" in found.warning
    assert "stays below accuracy 0.988, so confidences of this model are not calibrated" in found.warning


def test_equal_logits_leave_the_temperature_at_1_and_say_so(tiny):
    truth = torch.arange(40) % 5
    network = Given(tiny, 1e-6 * F.one_hot(truth, 5).float())
    found = set_temperature(network, part(numbered(40), truth))
    assert float(network.temperature) == found.temperature == 1.0
    assert found.warning is not None
    assert found.warning.startswith("the temperature cannot be fitted: the network gives all grades nearly the same")
