"""A network's answers on a whole part."""

import numpy as np
import torch

from trainer import predict as predict_module
from trainer.network import TextureNetwork
from trainer.parts import Part
from trainer.predict import predict


def test_answers_come_in_the_parts_order_whatever_the_images_sizes(tiny, monkeypatch):
    monkeypatch.setattr(predict_module, "BATCH", 2)
    torch.manual_seed(1)
    network = TextureNetwork(tiny)
    rng = np.random.default_rng(1)
    sides = (32, 40, 32, 33, 40, 32, 32)
    images = tuple(rng.integers(0, 256, (side, 48), np.uint8) for side in sides)
    found = predict(network, Part(images, torch.zeros(len(sides), 3), torch.zeros(len(sides), dtype=torch.int64)))
    assert found.shape == (len(sides), 3)
    assert not network.training
    for image, logits in zip(images, found, strict=True):
        with torch.inference_mode():
            alone = network(torch.from_numpy(image)[None, None].float())[0]
        torch.testing.assert_close(logits, alone)


def test_of_an_image_without_end_the_middle_is_looked_at(tiny, monkeypatch):
    monkeypatch.setattr(predict_module, "LARGEST_PX", 36)
    network = TextureNetwork(tiny)
    image = np.random.default_rng(2).integers(0, 256, (200, 34), np.uint8)
    part = Part((image,), torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64))
    with torch.inference_mode():
        middle = network.eval()(torch.from_numpy(image[82:118])[None, None].float())
    torch.testing.assert_close(predict(network, part), middle)
