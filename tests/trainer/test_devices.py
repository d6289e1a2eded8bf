"""One process or several: the same training, and its callbacks called here."""

from functools import partial

import numpy as np
import pytest
import torch

from runtime.errors import CheckFailed
from trainer.devices import Devices, run_on
from trainer.network import NetworkConfig, TextureNetwork
from trainer.optimise import FitSettings, optimise
from trainer.parts import Part

TWO = Devices("cpu", 2)


def part(count: int) -> Part:
    rng = np.random.default_rng(count)
    grades = torch.arange(count) % 3
    images = tuple((rng.random((32, 32)) * 80 * (int(grade) + 1)).astype(np.uint8) for grade in grades)
    return Part(images, torch.nn.functional.one_hot(grades, 3).float(), grades)


def train(devices: Devices, config: NetworkConfig, said: list[str], **settings: float) -> dict[str, object]:
    return run_on(
        devices,
        optimise,
        partial(TextureNetwork, config),
        config.patch_px,
        part(24),
        part(9),
        FitSettings(epochs=2, batch=8, **settings),
        keep=lambda state: said.append(f"kept {len(state['history'])}"),
        progress=lambda label, done, total: said.append(f"{label} {done}/{total}"),
        say=lambda line: said.append(line[:9]),
    )


def test_two_processes_train_one_network(tiny):
    said: list[str] = []
    found = train(TWO, tiny, said)
    assert len(found["history"]) == 2
    assert all(torch.isfinite(values).all() for values in found["best"].values())
    # each step and epoch is told once, by the first process, in order
    steps = [[f"epoch {epoch}/2 {step}/20" for step in range(1, 21)] for epoch in (1, 2)]
    assert said == [*steps[0], "epoch   1", "kept 1", *steps[1], "epoch   2", "kept 2"]
    # each saw its own half of every batch: alone, either would have come to other weights
    assert not torch.equal(found["network"]["head.0.weight"], train(Devices(), tiny, [])["network"]["head.0.weight"])


def test_an_error_in_every_process_is_raised_here_as_it_is(tiny):
    with pytest.raises(CheckFailed, match="training diverged in epoch 1"):
        train(TWO, tiny, [], learning_rate=1e30)


def test_a_machine_without_a_gpu_trains_on_its_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Devices.found() == Devices("cpu", 1, "32-true")


@pytest.mark.parametrize(("fast", "precision"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_all_gpus_are_used_in_mixed_precision(monkeypatch, fast, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_asked: fast)
    assert Devices.found() == Devices("cuda", 3, precision)
