"""T-CNN-3 is the published network: its layers, its size, its count."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.rivals.cost import parameters
from benchmarks.rivals.tcnn3 import TCNN3, TOTAL_STRIDE
from runtime.dense_map import Geometry
from trainer.network import GreyNormalisation


@pytest.fixture(scope="module")
def network() -> TCNN3:
    torch.manual_seed(5)
    return TCNN3(5).eval()


@pytest.fixture(scope="module")
def hollow(network) -> TCNN3:
    """Its shapes without their content."""
    return copy.deepcopy(network).to("meta")


def test_for_colour_it_has_the_published_number_of_parameters():
    network = TCNN3(5, channels=3)
    assert parameters(network) / 1e6 == pytest.approx(19.6, abs=0.05)
    assert parameters(network.head) / parameters(network) == pytest.approx(0.94, abs=0.005)


def test_its_layers_stand_in_the_published_order(network):
    kinds = [type(layer).__name__ for layer in network.body]
    block = ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert kinds == [*block, *block, "Conv2d", "ReLU"]
    assert [type(layer).__name__ for layer in network.head] == [*["Conv2d", "ReLU", "Dropout"] * 2, "Conv2d"]
    assert [layer.p for layer in network.head if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize("side", [128, 129, 200])
def test_patches_of_128_px_and_more_become_one_row_of_logits_each(network, draw_grey, side):
    with torch.inference_mode():
        logits = network(draw_grey(side, side, count=2))
    assert logits.shape == (2, 5)
    assert not torch.allclose(logits[0], logits[1])


def test_it_knows_how_much_of_a_feature_there_is_and_not_where(network, draw_grey):
    patch = draw_grey(128, 128)
    with torch.inference_mode():
        features = network.body(network.normalisation(patch))
        by_hand = network.head(features.flatten(2)[..., torch.randperm(36)].mean(2)[:, :, None, None])
        torch.testing.assert_close(network(patch), by_hand[:, :, 0, 0])


def test_grey_levels_are_normalised_as_in_the_trainer(network, draw_grey):
    patch = draw_grey(128, 128)
    with torch.inference_mode():
        by_hand = network.body(GreyNormalisation()(patch)).mean((2, 3), keepdim=True)
        torch.testing.assert_close(network.energies(patch), by_hand)


@settings(deadline=None, max_examples=20)
@given(height=st.integers(128, 260), width=st.integers(128, 260), step=st.integers(1, 3))
def test_its_map_has_a_cell_for_each_patch(hollow, height, width, step):
    stride = step * TOTAL_STRIDE
    cells = hollow.energies(torch.empty((1, 1, height, width), device="meta"), stride).shape
    geometry = Geometry(128, stride, 0.5)
    assert cells == (1, 384, geometry.cells(height), geometry.cells(width))


def test_a_cell_of_its_map_is_the_mean_over_the_patch_below_it(network, draw_grey):
    frame = draw_grey(192, 224)
    with torch.inference_mode():
        features = network.body(network.normalisation(frame))
        cells = network.energies(frame, 32)
    torch.testing.assert_close(cells[..., 2, 3], features[:, :, 4:10, 6:12].mean((2, 3)))


def test_a_stride_that_the_convolutions_cannot_take_is_refused(network, draw_grey):
    with pytest.raises(ValueError, match="stride 8 px: wanted a multiple of 16"):
        network.energies(draw_grey(128, 128), 8)
