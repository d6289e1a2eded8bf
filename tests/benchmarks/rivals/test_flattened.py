"""The flattened head: fully connected, and so tied to places in the patch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.rivals.cost import parameters
from benchmarks.rivals.flattened import FlattenedNetwork
from trainer.network import TextureNetwork


@pytest.fixture(scope="module")
def network(tiny) -> FlattenedNetwork:
    torch.manual_seed(5)
    return FlattenedNetwork(tiny).eval()


def test_its_convolutions_are_the_texture_networks_own(network, tiny):
    ours = TextureNetwork(tiny).eval()
    ours.body.load_state_dict(network.body.state_dict())
    grey = torch.rand(1, 1, 40, 40) * 255
    torch.testing.assert_close(network.body(network.normalisation(grey)), ours.body(ours.normalisation(grey)))


def test_its_head_is_fully_connected_to_the_flattened_features(network, draw_grey, tiny):
    patch = draw_grey(32, 32, count=3)
    with torch.inference_mode():
        flat = network.body(network.normalisation(patch)).flatten(1)
        hidden = flat @ network.flattened.weight.flatten(1).T + network.flattened.bias
        last = network.head[-1]
        by_hand = hidden.relu() @ last.weight.flatten(1).T + last.bias
        torch.testing.assert_close(network(patch), by_hand)
    assert flat.shape[1] == tiny.widths[-1] * tiny.window**2
    assert parameters(network.flattened) == tiny.hidden * (flat.shape[1] + 1)


def test_it_drops_half_of_the_hidden_values_in_training_only(network, draw_grey, tiny):
    training = FlattenedNetwork(tiny)
    hidden = torch.ones(1, tiny.hidden, 50, 50)
    kept = training.head[1](hidden)
    assert (kept == 0).float().mean() == pytest.approx(0.5, abs=0.02)
    patch = draw_grey(32, 32)
    assert torch.equal(network(patch), network(patch))


@settings(deadline=None, max_examples=25)
@given(height=st.integers(32, 70), width=st.integers(32, 70), step=st.integers(1, 4))
def test_a_cell_of_its_map_is_the_patch_below_it(network, draw_grey, height, width, step):
    frame, stride = draw_grey(height, width), step * network.config.total_stride
    with torch.inference_mode():
        cells = network.cell_logits(frame, stride)
        patches = [
            frame[0, :, top : top + 32, left : left + 32]
            for top in range(0, height - 31, stride)
            for left in range(0, width - 31, stride)
        ]
        torch.testing.assert_close(cells[0].flatten(1).T, network(torch.stack(patches)), atol=1e-5, rtol=1e-4)
    assert cells.shape[2:] == ((height - 32) // stride + 1, (width - 32) // stride + 1)


def test_an_image_larger_than_a_patch_is_refused(network, draw_grey):
    with pytest.raises(ValueError, match=r"images of \(40, 36\) px: wanted patches of 32 px"):
        network(draw_grey(40, 36))


def test_a_stride_that_the_convolutions_cannot_take_is_refused(network, draw_grey):
    with pytest.raises(ValueError, match="stride 6 px: wanted a multiple of 4"):
        network.cell_logits(draw_grey(40, 40), 6)
