"""Predictions for images by their patches: the same for training's validation, a run and a bundle of any stride."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
import torch

from runtime.dense_map import Geometry
from runtime.engines import EngineOutput
from trainer import predict as predict_module
from trainer.network import NetworkConfig, TextureNetwork
from trainer.parts import Part, cut_patches
from trainer.predict import image_logits, patch_logits, predict, predict_with_engine
from trainer.torch_engine import TorchEngine

SHAPES = ((32, 32), (50, 50), (32, 47), (36, 120), (32, 32), (50, 50), (300, 33))


@pytest.fixture(scope="module")
def network(tiny) -> TextureNetwork:
    """Random weights, confident enough for patches of one image to differ."""
    torch.manual_seed(1)
    network = TextureNetwork(tiny).eval()
    with torch.no_grad():
        network.head[2].weight *= 40
        network.temperature.fill_(0.3)
    return network


@pytest.fixture(scope="module")
def images() -> tuple[npt.NDArray[np.uint8], ...]:
    rng = np.random.default_rng(1)
    return tuple((rng.integers(0, 256, shape) * np.linspace(0.2, 1, shape[1])).astype(np.uint8) for shape in SHAPES)


@pytest.fixture
def part(images) -> Part:
    return Part(images, torch.zeros(len(images), 3), torch.zeros(len(images), dtype=torch.int64))


@pytest.mark.parametrize("batch", [2, 64])
def test_an_images_logits_are_the_mean_over_its_patches(network, part, monkeypatch, batch):
    monkeypatch.setattr(predict_module, "BATCH", batch)
    network.train()
    found = predict(network, part, 32)
    assert not network.training
    assert found.shape == (len(part), 3)
    for image, logits in zip(part.pixels, found, strict=True):
        patches = torch.from_numpy(np.stack(cut_patches(image, 32)))[:, None].float()
        with torch.inference_mode():
            wanted = network(patches)
        if image.shape != (32, 32):
            assert wanted.std(0).max() > 0.1
        torch.testing.assert_close(logits, wanted.mean(0))


def test_a_patchs_logits_stay_as_they_are_to_the_last_bit(network, part):
    logits, rows = patch_logits(network, part, 32)
    assert torch.equal(predict(network, part, 32)[0], logits[0])
    assert rows.bincount().tolist() == [len(cut_patches(image, 32)) for image in part.pixels]


def test_logits_and_logarithms_of_probabilities_combine_alike():
    logits = torch.randn((20, 5), generator=torch.Generator().manual_seed(1)) * 4
    rows = torch.arange(20) // 5
    by_logits = torch.softmax(image_logits(logits, rows), 1)
    by_logarithms = torch.softmax(image_logits(torch.log_softmax(logits, 1), rows), 1)
    torch.testing.assert_close(by_logits, by_logarithms)
    assert by_logits.shape == (4, 5)


# a stride larger than what an image has beyond a patch would leave the map one cell at the corner
@pytest.mark.parametrize("stride_px", [4, 8, 16, 64])
def test_validation_a_run_and_a_bundle_of_any_stride_give_an_image_the_same_probabilities(
    network, part, tiny, stride_px
):
    done: list[int] = []
    found = predict_with_engine(
        part.pixels, TorchEngine(network, stride_px), Geometry(32, stride_px, tiny.um_per_px), done.append
    )
    wanted = torch.softmax(predict(network, part, 32) / network.temperature, 1)
    assert found.dtype == np.float32
    assert wanted.amax(1).min() < 0.9
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)
    alone = TorchEngine(network, stride_px).run(part.pixels[0][None, None]).probabilities
    np.testing.assert_array_equal(found[0], alone[0, :, 0, 0])
    assert done == list(range(1, len(part) + 1))


def test_probabilities_too_small_for_float32_weigh_as_the_smallest(tiny):
    class Certain:
        """An engine that is certain of another grade for each patch, as one whose probabilities underflow."""

        name, precision = "certain", "fp32"

        def __init__(self) -> None:
            self.calls = 0

        def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
            assert images.shape == (1, 1, 32, 32)
            probabilities = np.zeros((1, 3, 1, 1), np.float32)
            # what one engine gives as a subnormal number, another flushes to zero
            probabilities[0, :, 0, 0] = [(1, 0, 0), (0, 1, 1e-42)][self.calls % 2]
            self.calls += 1
            return EngineOutput(probabilities, np.zeros((1, 1, 1), np.float32))

    images = [np.zeros((32, 48), np.uint8), np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.uint8)]
    found = predict_with_engine(images, Certain(), Geometry(32, 8, tiny.um_per_px))
    np.testing.assert_allclose(found[0], [0.5, 0.5, 0.0], atol=1e-6)
    # a patch alone is not touched
    np.testing.assert_array_equal(found[1:], np.float32([(1, 0, 0), (0, 1, 1e-42)]))


def test_a_network_that_overflows_its_softmax_is_read_alike_at_every_stride(network, part, tiny):
    config: NetworkConfig = dataclasses.replace(tiny)
    certain = TextureNetwork(config).eval()
    certain.load_state_dict(network.state_dict())
    certain.temperature.fill_(1e-3)
    first, second = (
        predict_with_engine(part.pixels, TorchEngine(certain, stride), Geometry(32, stride, 0.5)) for stride in (4, 16)
    )
    assert np.isfinite(first).all()
    np.testing.assert_allclose(first, second, atol=1e-6)
