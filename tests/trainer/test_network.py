"""The network's geometry, on which the dense map stands, and its files."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from runtime.dense_map import Geometry
from trainer.network import (
    NETWORK_VERSION,
    NetworkConfig,
    TextureNetwork,
    load_network,
    save_network,
)


@pytest.fixture(scope="module")
def network(tiny) -> TextureNetwork:
    """Random weights, sharp enough for scores to differ from place to place."""
    torch.manual_seed(3)
    network = TextureNetwork(tiny).eval()
    with torch.no_grad():
        network.head[2].weight *= 40
        network.temperature.fill_(0.7)
    return network


def frames(height: int, width: int, count: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(0, 256, (count, 1, height, width), generator=generator, dtype=torch.uint8)


# geometry


@pytest.mark.parametrize("patch_px", [4, 30, 31, 33])
def test_a_patch_that_the_convolutions_do_not_fill_is_refused(tiny, patch_px):
    with pytest.raises(ValueError, match=f"patch_px {patch_px} does not fit the convolutions: wanted 8 \\+ a multiple"):
        dataclasses.replace(tiny, patch_px=patch_px)


def test_the_default_scores_128_px_patches_and_can_step_by_eight():
    config = NetworkConfig()
    assert config.patch_px == 128
    assert 8 % config.total_stride == 0
    assert all(width % 16 == 0 for width in (*config.widths, config.hidden))


@pytest.mark.parametrize("config", [NetworkConfig(), None], ids=["default", "tiny"])
def test_one_score_sees_exactly_its_patch(config, tiny):
    config = config or tiny
    network = TextureNetwork(config).eval()
    with torch.no_grad():
        for weight in network.body.parameters():
            weight.abs_()
    side, step = config.patch_px, config.total_stride
    image = torch.full((1, 1, side + step, side + 2 * step), 255.0, requires_grad=True)
    energies = network.energies(image)
    assert energies.shape[2:] == (2, 3)
    energies[:, :, 1, 1].sum().backward()
    assert image.grad is not None
    seen = image.grad[0, 0] != 0
    assert seen[step : step + side, step : step + side].all()
    assert seen.sum() == side * side


def test_one_pixel_less_is_no_patch(network):
    assert network.energies(torch.zeros(1, 1, 32, 32)).shape == (1, 16, 1, 1)
    with pytest.raises(RuntimeError):
        network.energies(torch.zeros(1, 1, 31, 32))


@pytest.mark.parametrize("stride_px", [4, 8, 12])
def test_every_size_gives_as_many_cells_as_the_contract_says(network, tiny, stride_px):
    geometry = Geometry(tiny.patch_px, stride_px, tiny.um_per_px)
    for extra in range(2 * stride_px + 1):
        height, width = tiny.patch_px + extra, tiny.patch_px + (5 * extra) % (2 * stride_px + 1)
        energies = network.energies(frames(height, width).float(), stride_px)
        assert energies.shape[2:] == (geometry.cells(height), geometry.cells(width))


@given(
    height=st.integers(32, 32 + 24),
    width=st.integers(32, 32 + 24),
    stride_px=st.sampled_from([4, 8, 12]),
)
def test_a_map_cell_is_the_score_of_the_patch_below_it(network, height, width, stride_px):
    frame = frames(height, width)
    with torch.inference_mode():
        probabilities = network.cell_probabilities(frame.float(), stride_px)
        patches = frame.unfold(2, 32, stride_px).unfold(3, 32, stride_px).reshape(-1, 1, 32, 32)
        alone = network.cell_probabilities(patches.float(), stride_px)
        logits = network(patches.float())
    torch.testing.assert_close(probabilities[0].flatten(1).T, alone[:, :, 0, 0], atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.softmax(logits / 0.7, 1), alone[:, :, 0, 0], atol=1e-5, rtol=0)


DEEP = NetworkConfig(grades=("0", "1"), kernels=(4, 3, 3, 1), strides=(2, 2, 2, 1), widths=(16,) * 4, patch_px=48)


@pytest.fixture(scope="module")
def deep() -> TextureNetwork:
    torch.manual_seed(5)
    return TextureNetwork(DEEP).eval()


@pytest.mark.parametrize("config", [NetworkConfig(), DEEP], ids=["default", "deep"])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 40])
def test_the_means_of_every_layer_see_the_patch_and_no_pixel_more_or_less(config, steps):
    field, jump = 1, 1
    for kernel, stride, (group, few, window) in zip(
        config.kernels, config.strides, config.pooling(steps * config.total_stride), strict=True
    ):
        field, jump = field + (kernel - 1) * jump, jump * stride
        assert 1 <= few <= group
        assert field + ((window - 1) * group + few - 1) * jump == config.patch_px


@given(height=st.integers(48, 48 + 40), width=st.integers(48, 48 + 40), stride_px=st.sampled_from([8, 16, 24]))
def test_the_means_of_a_map_cell_are_those_of_the_patch_below_it(deep, height, width, stride_px):
    frame = frames(height, width).float()
    patches = frame.unfold(2, 48, stride_px).unfold(3, 48, stride_px).reshape(-1, 1, 48, 48)
    with torch.inference_mode():
        whole, alone = deep.layer_means(frame, stride_px), deep.layer_means(patches, stride_px)
        energies = deep.energies(frame, stride_px)
    assert len(whole) == 3
    torch.testing.assert_close(whole[-1], energies)
    for layer, of_patches in zip(whole, alone, strict=True):
        assert layer.shape[2:] == energies.shape[2:]
        torch.testing.assert_close(layer[0].flatten(1).T, of_patches[:, :, 0, 0], atol=1e-5, rtol=1e-5)


def test_a_patch_need_not_be_a_multiple_of_the_convolutions_stride():
    config = NetworkConfig(grades=("0", "1"), kernels=(3,), strides=(2,), widths=(16,), patch_px=33, hidden=16)
    assert TextureNetwork(config).eval()(torch.zeros(2, 1, 33, 33)).shape == (2, 2)


def test_a_stride_between_the_features_is_refused(network):
    with pytest.raises(ValueError, match="stride 6 px: wanted a multiple of 4"):
        network.energies(torch.zeros(1, 1, 40, 40), 6)


def test_cell_probabilities_are_those_at_the_fitted_temperature(network):
    with torch.inference_mode():
        probabilities = network.cell_probabilities(frames(40, 36, 2).float(), 4)
        logits = network.cell_logits(frames(40, 36, 2).float())
    assert probabilities.shape == (2, 3, 3, 2)
    torch.testing.assert_close(probabilities, torch.softmax(logits / 0.7, 1))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(2, 3, 2))
    assert 0.4 < probabilities.amax(1).max() < 1


def test_its_logits_are_those_of_patches_alone(network):
    patches = frames(32, 32, 2).float()
    with torch.inference_mode():
        torch.testing.assert_close(network(patches), network.cell_logits(patches)[:, :, 0, 0])
    with pytest.raises(ValueError, match=r"images of \(32, 36\) px: wanted patches of 32 px"):
        network(frames(32, 36).float())


# files


def test_what_is_saved_is_loaded_to_the_last_bit(network, tiny, tmp_path):
    save_network(network, tmp_path)
    again = load_network(tmp_path)
    assert again.config == tiny
    assert not again.training
    frame = frames(44, 48)
    with torch.inference_mode():
        assert torch.equal(again.cell_probabilities(frame.float(), 4), network.cell_probabilities(frame.float(), 4))


def other_version(folder: Path) -> None:
    document = json.loads((folder / "network.json").read_text())
    (folder / "network.json").write_text(json.dumps(document | {"version": 99}))


def unknown_setting(folder: Path) -> None:
    document = json.loads((folder / "network.json").read_text())
    (folder / "network.json").write_text(json.dumps(document | {"padding": 1}))


def other_widths(folder: Path) -> None:
    document = json.loads((folder / "network.json").read_text())
    (folder / "network.json").write_text(json.dumps(document | {"widths": [16, 32]}))


def cut_weights(folder: Path) -> None:
    path = folder / "network.safetensors"
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (other_version, f"network version 99, wanted {NETWORK_VERSION}: train it again"),
        (unknown_setting, "do not fit: .*padding"),
        (other_widths, "do not fit: .*size mismatch"),
        (cut_weights, "do not fit"),
    ],
)
def test_files_that_are_not_as_they_were_written_are_refused(network, tmp_path, spoil, fault):
    save_network(network, tmp_path)
    spoil(tmp_path)
    with pytest.raises(ValueError, match=f"(?s){fault}"):
        load_network(tmp_path)


def test_a_folder_without_a_network_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_network(tmp_path)
