"""The model that ships as a torch module, from its ONNX file: its training is not at hand, and its weights are."""

from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from trainer.network import MapNetwork, NetworkConfig, TextureNetwork


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
    centring = next(node for node in graph.node if node.op_type == "Sub")
    whitening = next(node for node in graph.node if node.op_type == "Conv" and node.input[0] == centring.output[0])
    state = {name.removeprefix("network."): array for name, array in arrays.items() if name.startswith("network.")}
    state["familiar_mean"] = arrays[centring.input[1]].flatten()
    state["familiar_whitening"] = arrays[whitening.input[1]][:, :, 0, 0]
    network.load_state_dict(state)
    return MapNetwork(network, stride_px).eval()
