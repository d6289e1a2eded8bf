"""What a frame costs, counted against sums done by hand."""

import time

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.rivals.cost import (
    FrameMacs,
    Work,
    features_work,
    frame_macs,
    frame_ms,
    map_logits,
    network_work,
    parameters,
)
from benchmarks.rivals.flattened import FlattenedNetwork
from benchmarks.rivals.tcnn3 import TCNN3
from trainer.network import TextureNetwork


def test_parameters_are_weights_and_biases():
    assert parameters(nn.Sequential(nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4))) == 4 * 3 * 25 + 4 + 8


def test_t_cnn_3_takes_the_published_count_for_a_colour_patch():
    found = frame_macs(TCNN3(5, channels=3, patch_px=227), frame_px=227)
    assert [round(layer / 1e6) for layer in (*found.layers, found.head)] == [105, 224, 150, 18]
    assert found.total / 1e6 == pytest.approx(497, abs=0.5)


@pytest.mark.parametrize(("channels", "first"), [(1, 0.714), (3, 2.143)])
def test_t_cnn_3_runs_its_convolutions_once_over_the_frame(channels, first):
    found = frame_macs(TCNN3(5, channels=channels))
    assert [layer / 1e9 for layer in found.layers] == pytest.approx([first, 4.648, 3.292], abs=1e-3)
    assert found.head == 55**2 * (384 * 4096 + 4096 * 4096 + 4096 * 5)


def test_ours_runs_its_convolutions_once_and_its_head_at_each_cell(tiny):
    found = frame_macs(TextureNetwork(tiny), frame_px=100, stride_px=8)
    assert found == FrameMacs((49**2 * 16 * 16, 24**2 * 16 * 16 * 9), head=9**2 * (16 * 16 + 16 * 3))
    assert found.total == found.body + found.head == sum(found.layers) + found.head


def test_the_flattened_head_is_paid_for_at_each_cell(tiny):
    ours, found = (frame_macs(kind(tiny), frame_px=100, stride_px=8) for kind in (TextureNetwork, FlattenedNetwork))
    assert found.layers == ours.layers
    assert found.head == 9**2 * (16 * tiny.window**2 * 16 + 16 * 3)


def test_counting_leaves_the_network_as_it_was(tiny):
    network = TextureNetwork(tiny)
    frame_macs(network, frame_px=64)
    assert network.training
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}


def test_the_map_timed_and_counted_is_that_of_the_patches(tiny, draw_grey):
    frame = draw_grey(48, 64)
    for network in (TextureNetwork(tiny).eval(), FlattenedNetwork(tiny).eval()):
        with torch.inference_mode():
            cells = map_logits(network, frame)
            torch.testing.assert_close(cells[..., 1, 2], network(frame[..., 16:48, 32:64]), atol=1e-5, rtol=1e-4)
        assert cells.shape == (1, 3, 2, 3)


def test_works_take_turns_and_a_share_of_a_frame_counts_as_often_as_needed():
    turns: list[str] = []

    def work(name: str, seconds: float) -> Work:
        return Work(lambda: (turns.append(name), time.sleep(seconds)), times=10.0 if name == "b" else 1.0)

    found = frame_ms({"a": work("a", 0.02), "b": work("b", 0.004)}, repeats=3)
    assert turns == ["a", "b"] * 4
    # a sleep lasts at least as long as asked for
    assert found["a"] >= 20
    assert found["b"] >= 40


def test_the_median_does_not_mind_one_slow_repeat():
    seconds = iter([0.0, 0.5, 0.0, 0.0])
    assert frame_ms({"a": Work(lambda: time.sleep(next(seconds)))}, repeats=3)["a"] < 100


def test_a_networks_work_is_its_map_of_the_frame(tiny, monkeypatch):
    seen = []
    network = TextureNetwork(tiny)
    monkeypatch.setattr("benchmarks.rivals.cost.map_logits", lambda *asked: seen.append(asked))
    work = network_work(network, np.full((64, 48), 200, np.uint8), stride_px=8)
    work.run()
    (timed, grey, stride) = seen[0]
    assert work.times == 1
    assert not timed.training
    assert network.training
    assert stride == 8
    assert torch.equal(grey, torch.full((1, 1, 64, 48), 200.0))


def test_features_are_measured_on_some_patches_and_count_for_every_cell(monkeypatch):
    seen = []
    monkeypatch.setattr("benchmarks.rivals.cost.patch_features", seen.append)
    work = features_work(np.zeros((5, 128, 128), np.uint8))
    work.run()
    assert len(seen) == 5
    assert work.times == 3025 / 5
