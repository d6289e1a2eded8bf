"""The training loop: when it stops, what it keeps, and that its chance is its seed's alone."""

import copy
import dataclasses
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from trainer.network import TextureNetwork
from trainer.optimise import FEWEST_STEPS, FitSettings, _order, optimise
from trainer.parts import Part

SETTINGS = FitSettings(epochs=2, batch=16, seed=3)


@pytest.fixture(scope="module")
def parts(draw_texture) -> tuple[Part, Part]:
    """Training and validation part of drawn textures."""

    def part(count: int, seed: int) -> Part:
        rng = np.random.default_rng(seed)
        grades = torch.arange(count) % 3
        shares = torch.nn.functional.one_hot(grades, 3).float()
        return Part(tuple(draw_texture(int(grade), rng) for grade in grades), shares, grades)

    return part(48, 1), part(15, 2)


@pytest.fixture(scope="module")
def train(tiny, parts) -> Callable[..., dict[str, Any]]:
    def run(
        settings: FitSettings = SETTINGS,
        *rest: Any,
        part: Part = parts[0],
        val: Part = parts[1],
        **more: Any,
    ) -> dict[str, Any]:
        fabric = Fabric(accelerator="cpu", devices=1)
        return optimise(fabric, partial(TextureNetwork, tiny), tiny.patch_px, part, val, settings, *rest, **more)

    return run


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_state_kept_at_any_epochs_end_leads_to_the_same_end(train):
    kept: list[dict[str, Any]] = []
    whole = train(dataclasses.replace(SETTINGS, epochs=3), keep=lambda state: kept.append(copy.deepcopy(state)))
    for state in kept:
        again = train(dataclasses.replace(SETTINGS, epochs=3), state)
        assert same(again["best"], whole["best"])
        assert same(again["network"], whole["network"])
        assert again["history"] == whole["history"]
    assert [len(state["history"]) for state in kept] == [1, 2, 3]


def test_what_happens_elsewhere_in_the_process_changes_nothing(train):
    first = train()
    torch.rand(100)
    np.random.default_rng().random(5)
    assert same(train()["best"], first["best"])


def test_training_stops_when_patience_is_spent(train, parts):
    # raters of the validation part who contradict those of the training part: the loss can only rise
    val = dataclasses.replace(parts[1], shares=parts[1].shares.roll(1, dims=1))
    settings = FitSettings(epochs=40, patience=60, batch=8, learning_rate=2e-2, seed=1)
    history = train(settings, val=val)["history"]
    losses = [entry["val_loss"] for entry in history]
    assert len(history) < 40
    # 20 steps an epoch
    assert len(history) - 1 - losses.index(min(losses)) == 3


def test_a_run_whose_patience_was_spent_does_not_go_on(train, parts):
    val = dataclasses.replace(parts[1], shares=parts[1].shares.roll(1, dims=1))
    settings = FitSettings(epochs=40, patience=60, batch=8, learning_rate=2e-2, seed=1)
    ended = train(settings, val=val)
    assert train(settings, ended, val=val)["history"] == ended["history"]


def test_the_part_that_is_chosen_by_teaches_nothing(train, parts):
    other = dataclasses.replace(parts[1], shares=parts[1].shares.roll(1, dims=1))
    assert same(train(val=other)["network"], train()["network"])


def test_a_small_data_set_is_passed_over_often_enough_to_be_learned(train, parts):
    few = Part(parts[0].pixels[:7], parts[0].shares[:7], parts[0].grades[:7])
    told: list[tuple[str, int, int]] = []
    seen: Counter[int] = Counter()
    train_few = partial(train, dataclasses.replace(SETTINGS, epochs=1, batch=4), part=few)
    train_few(progress=lambda *step: told.append(step))
    assert told == [("epoch 1/1", step, FEWEST_STEPS) for step in range(1, FEWEST_STEPS + 1)]
    seen.update(_order(7, FEWEST_STEPS * 4, np.random.default_rng(0)).tolist())
    assert set(seen) == set(range(7))
    assert max(seen.values()) - min(seen.values()) <= 1
