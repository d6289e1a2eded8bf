"""The shipped model as a torch module, rebuilt from the weights in its ONNX file."""

from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from export.map_network import MapNetwork
from export.ood_detector import OodDetector
from trainer.network import NetworkConfig, TextureNetwork


def shipped_network(model: bytes, grades: tuple[str, ...], stride_px: int) -> MapNetwork:
    """The map network over the weights of a model file.

    Args:
        model: FP32, as `inflamap export` writes it: batch normalisation and grey levels folded into the convolutions.
        grades: names of its grades.
        stride_px: of its map.

    Raises:
        KeyError, RuntimeError: the file is of another network.
    """
    graph = onnx.ModelProto.FromString(model).graph
    arrays: dict[str, Any] = {tensor.name: torch.tensor(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    network = TextureNetwork(NetworkConfig(grades=grades))
    config = network.config
    layers: list[nn.Module] = []
    channels = 1
    for kernel, stride, width in zip(config.kernels, config.strides, config.widths, strict=True):
        layers += [nn.Conv2d(channels, width, kernel, stride), nn.ReLU(inplace=True)]
        channels = width
    network.normalisation, network.body = nn.Identity(), nn.Sequential(*layers)
    detector = OodDetector(config)
    for module, prefix in ((network, "network."), (detector, "detector.")):
        module.load_state_dict(
            {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        )
    return MapNetwork(network, detector, stride_px)
