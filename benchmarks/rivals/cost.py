"""What a rival costs: parameters, multiply-accumulates and milliseconds for the map of one frame.

T-CNN-3 over a 1000x1000 frame, in 10^9 multiply-accumulates, by this count:

    layer                    features     grey     RGB
    convolution 11x11/4      248x248      0.714    2.143
    convolution 5x5          123x123      4.648    4.648
    convolution 3x3           61x61       3.292    3.292
    convolutions, once                    8.654   10.083
    fully connected, at each of 3025 cells (16 px stride, 5 grades)  55.6

The round 9.6 that is quoted for it is 0.497, its count for one 227x227 RGB patch, times (1000/227)²: with the fully
connected layers' 0.018, and without the edges. The comparison takes the lowest of these, the grey convolutions alone.
"""

import copy
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.rivals.flattened import FlattenedNetwork
from benchmarks.rivals.lbp_glcm import patch_features
from benchmarks.rivals.tcnn3 import TCNN3
from trainer.network import TextureNetwork

FRAME_PX = 1000
STRIDE_PX = 16

Network = TextureNetwork | TCNN3 | FlattenedNetwork


@dataclass(frozen=True)
class FrameMacs:
    """Multiply-accumulates of the map of one frame.

    Those of convolutions and matrix products; pooling, normalisation and activations are counted for none.

    Attributes:
        layers: of each convolution of the body, run once over the frame.
        head: of all that follows, at every cell of the map.
    """

    layers: tuple[int, ...]
    head: int

    @property
    def body(self) -> int:
        """Of the convolutions together."""
        return sum(self.layers)

    @property
    def total(self) -> int:
        """Of body and head."""
        return self.body + self.head


@dataclass(frozen=True)
class Work:
    """Something to be timed.

    Attributes:
        run: does it once.
        times: how often the map of one frame needs it.
    """

    run: Callable[[], object]
    times: float = 1.0


def parameters(module: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in module.parameters())


def frame_macs(network: Network, *, frame_px: int = FRAME_PX, stride_px: int = STRIDE_PX) -> FrameMacs:
    """Count by torch's own counter, on tensors without content.

    Args:
        network: counted for as many input channels as its first convolution has.
        frame_px: side of the frame.
        stride_px: pixels between the map's cells.
    """
    hollow = copy.deepcopy(network).to("meta").eval()
    first = hollow.body[0]
    assert isinstance(first, nn.Conv2d)
    frame = torch.empty((1, first.in_channels, frame_px, frame_px), device="meta")
    layers = []
    features = hollow.normalisation(frame)
    for layer in hollow.body:
        with FlopCounterMode(display=False) as counter:
            features = layer(features)
        if isinstance(layer, nn.Conv2d):
            layers.append(_macs(counter))
    with FlopCounterMode(display=False) as counter:
        map_logits(hollow, frame, stride_px)
    return FrameMacs(tuple(layers), _macs(counter) - sum(layers))


def frame_ms(works: Mapping[str, Work], *, repeats: int) -> dict[str, float]:
    """Median milliseconds a frame of each work, all of them in turn in every repeat.

    On a machine with other work only the ratios mean something. What is measured on a few patches and not on a frame is
    multiplied by its `times`.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    # the first call of each also loads and allocates, which no later one does
    for repeat in range(repeats + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work.run()
            if repeat:
                seconds[name].append((time.perf_counter() - started) * work.times)
    return {name: statistics.median(values) * 1000 for name, values in seconds.items()}


def network_work(network: Network, frame: npt.NDArray[np.uint8], *, stride_px: int = STRIDE_PX) -> Work:
    """The map of a frame, uint8 [H, W], by torch on as many threads as it has been given."""
    grey = torch.from_numpy(frame)[None, None]
    ready = copy.deepcopy(network).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run() -> None:
        with torch.inference_mode():
            map_logits(ready, grey.float(), stride_px)

    return Work(run)


def features_work(patches: npt.NDArray[np.uint8], *, frame_px: int = FRAME_PX, stride_px: int = STRIDE_PX) -> Work:
    """The features for LBP and GLCM of all cells of a frame, measured on some patches, uint8 [N, S, S], by one process.

    The forest's vote on them is left out: it adds less than a hundredth.
    """

    def run() -> None:
        for patch in patches:
            patch_features(patch)

    cells = ((frame_px - patches.shape[1]) // stride_px + 1) ** 2
    return Work(run, cells / len(patches))


def map_logits(network: Network, grey: Tensor, stride_px: int = STRIDE_PX) -> Tensor:
    """Logits of every patch of a frame, float [N, K, h, w], for float [N, 1, H, W] of grey levels 0 to 255."""
    if isinstance(network, FlattenedNetwork):
        return network.cell_logits(grey, stride_px)
    return cast(Tensor, network.head(network.energies(grey, stride_px)))


def _macs(counter: FlopCounterMode) -> int:
    """The counter takes a multiplication and an addition for two."""
    return int(counter.get_total_flops()) // 2
