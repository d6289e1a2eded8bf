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
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric

from trainer.loss import ordinal
from trainer.network import TextureNetwork
from trainer.optimise import FEWEST_STEPS, FitSettings, _order, kept_epoch, optimise
from trainer.parts import Part
from trainer.predict import predict

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
    assert len(history) < 40
    # 20 steps an epoch
    assert len(history) - kept_epoch(history) == 3


def test_the_last_epoch_within_one_standard_error_of_the_lowest_loss_is_kept():
    def kept(*losses: float) -> int:
        return kept_epoch([{"val_loss": loss, "val_loss_error": 0.02} for loss in losses])

    assert kept() == 0
    assert kept(0.9) == 1
    assert kept(0.9, 0.5, 0.51, 0.7) == 3
    assert kept(0.9, 0.5, 0.53, 0.7) == 2
    assert kept(0.5, 0.9, 0.5, 0.6) == 3
    assert kept(0.5, 0.51, 0.3, 0.6) == 3


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1)), min_size=1))
def test_an_epoch_once_passed_over_is_never_kept_later(entries):
    """Training keeps the weights of one epoch alone: those it let go cannot be asked for again."""
    history = [{"val_loss": loss, "val_loss_error": error} for loss, error in entries]
    held = 0
    for epoch in range(1, len(history) + 1):
        if kept_epoch(history[:epoch]) == epoch:
            held = epoch
        assert kept_epoch(history[:epoch]) == held


def test_the_error_is_that_of_the_mean_loss(train, parts, tiny):
    state = train()
    network = TextureNetwork(tiny)
    network.load_state_dict(state["best"])
    losses = ordinal(predict(network.eval(), parts[1], 32), parts[1].shares)
    entry = state["history"][kept_epoch(state["history"]) - 1]
    assert entry["val_loss"] == pytest.approx(float(losses.mean()), rel=1e-5)
    assert entry["val_loss_error"] == pytest.approx(float(losses.std(correction=0)) / len(losses) ** 0.5, rel=1e-4)


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
