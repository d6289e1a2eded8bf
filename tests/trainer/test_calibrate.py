"""What the end of training measures: an honest temperature, and where the familiar ends."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trainer import calibrate
from trainer.augment import Augmentation, augment
from trainer.calibrate import predict_logits, set_familiarity, set_temperature
from trainer.network import TextureNetwork
from trainer.parts import Part


def part(grey: Tensor, grades: Tensor | None = None) -> Part:
    """A part whose raters are as undecided as can be: only their median is to count here."""
    grades = torch.zeros(len(grey), dtype=torch.int64) if grades is None else grades
    return Part(grey, torch.full((len(grey), 5), 0.2), grades)


@pytest.mark.parametrize("confidence", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_too_much_and_too_little_confidence(tiny, monkeypatch, confidence):
    generator = torch.Generator().manual_seed(1)
    honest = torch.randn((4000, 5), generator=generator) * 2
    truth = torch.multinomial(torch.softmax(honest, 1), 1, generator=generator)[:, 0]
    monkeypatch.setattr(calibrate, "predict_logits", lambda *_anything: honest * confidence)
    network = TextureNetwork(tiny)
    set_temperature(network, part(honest, truth))
    assert float(network.temperature) == pytest.approx(confidence, rel=0.08)
    before = F.cross_entropy(honest * confidence, truth)
    after = F.cross_entropy(honest * confidence / network.temperature, truth)
    assert after <= before
    assert confidence == 1 or after < before - 0.03


@pytest.mark.parametrize(("right", "bound"), [(True, 0.1), (False, 10.0)])
def test_the_temperature_stays_within_bounds_where_validation_cannot_tell(tiny, monkeypatch, right, bound):
    truth = torch.arange(40) % 5
    logits = torch.nn.functional.one_hot(truth, 5).float() * (1 if right else -1)
    monkeypatch.setattr(calibrate, "predict_logits", lambda *_anything: logits)
    network = TextureNetwork(tiny)
    set_temperature(network, part(logits, truth))
    assert float(network.temperature) == pytest.approx(bound)


def test_logits_are_those_of_the_middle_of_each_patch(trained):
    grey = torch.randint(0, 256, (5, 1, 40, 40), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    found = predict_logits(trained.network, grey, batch=2)
    with torch.inference_mode():
        torch.testing.assert_close(found, trained.network(grey[:, :, 4:36, 4:36].float()))


def test_one_validation_patch_in_two_hundred_lies_beyond_the_familiar(tiny, draw_texture):
    torch.manual_seed(4)
    network = TextureNetwork(tiny).eval()
    rng = np.random.default_rng(4)
    grey = torch.from_numpy(np.stack([draw_texture(number % 3, rng, 32) for number in range(1200)]))[:, None]
    settings = Augmentation()
    set_familiarity(network, part(grey[:400]), part(grey[400:]), settings, 0)

    def unfamiliarity(patches: Tensor, seed: int) -> Tensor:
        variants = augment(patches.float(), settings, torch.Generator().manual_seed(seed))
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
    assert unfamiliarity(noise).min() > 1
    assert unfamiliarity(noise).median() > 1.5
    assert unfamiliarity(np.full((1, 32, 32), 255, np.uint8)).min() > 2
    # of 19 validation patches the limit is coarse
    assert (unfamiliarity(held_out) <= 1).float().mean() > 0.75
