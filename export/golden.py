"""Golden frames: few images that every engine must answer as the trained network does, wherever it is loaded."""

import numpy as np
import numpy.typing as npt
import torch

from export.onnx_graph import PARITY
from runtime.bundle_arrays import GoldenFrames
from runtime.engines import Engine
from trainer.network import MapNetwork, TextureNetwork

# engines round at other places than the file's letter does, and are allowed so many times its own difference
ALLOWANCE = 2.0
# and no less than this: (in probability, in unfamiliarity); a difference below changes no grade that was not open
LEAST = {"fp32": (PARITY, PARITY), "fp16": (2e-3, 1e-2), "int8": (2e-2, 5e-2)}


def golden_images(patches: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Two frames of two by two patches: several cells, seams included, and every grey level that is usual.

    Args:
        patches: uint8 [N, P, P], at least one.

    Returns:
        uint8 [2, 1, 2 P, 2 P].
    """
    chosen = np.linspace(0, len(patches) - 1, 8).astype(int)
    side = patches.shape[1]
    quads = patches[chosen].reshape(2, 2, 2, side, side)
    frames: npt.NDArray[np.uint8] = quads.transpose(0, 1, 3, 2, 4).reshape(2, 1, 2 * side, 2 * side)
    return frames


def golden_frames(network: TextureNetwork, stride_px: int, images: npt.NDArray[np.uint8], facts: str) -> GoldenFrames:
    """The trained network's own outputs: what every engine is held to.

    Args:
        network: trained.
        stride_px: as exported.
        images: what `golden_images` gave.
        facts: the manifest's, see `runtime.manifest.facts_of`.
    """
    probabilities, unfamiliarity = answers(network, stride_px, images)
    return GoldenFrames(images, probabilities, unfamiliarity, facts)


def answers(
    network: TextureNetwork, stride_px: int, images: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The trained network's outputs: float32 [N, K, h, w] and [N, h, w] for uint8 [N, 1, H, W]."""
    model = MapNetwork(network, stride_px).eval()
    with torch.inference_mode():
        probabilities, unfamiliarity = model(torch.from_numpy(images))
    return probabilities.numpy(), unfamiliarity.numpy()


def tolerances(file: Engine, golden: GoldenFrames) -> tuple[float, float]:
    """How far an engine that runs a file may be from the golden outputs, in probability and in unfamiliarity.

    Args:
        file: the file run exactly, not the engine that will be held to it; it has passed the gate.
        golden: the golden frames.
    """
    output = file.run(golden.frames)
    apart = (
        float(np.abs(output.probabilities - golden.probabilities).max()),
        float(np.abs(output.unfamiliarity - golden.unfamiliarity).max()),
    )
    least = LEAST[file.precision]
    # rounded up, for a person reads it
    probability, unfamiliarity = (
        max(floor, float(np.format_float_positional(ALLOWANCE * value, precision=2, fractional=False)))
        for floor, value in zip(least, apart, strict=True)
    )
    return probability, unfamiliarity
