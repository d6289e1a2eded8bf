"""Predictions for patches, and for images by the patches in them."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from runtime.dense_map import Geometry, dense_map
from runtime.engines import Engine
from trainer.parts import Part, cut_patches

BATCH = 64
# engines differ in how they round the smallest float32 numbers, or flush them to zero
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)


def predict(network: nn.Module, part: Part, patch_px: int) -> Tensor:
    """Return the logits of each image of a part: float [N, K] on the CPU, see `image_logits`.

    Args:
        network: maps grey levels, float [n, 1, patch_px, patch_px], to logits [n, K]. It is put into evaluation mode,
            and its device takes the patches.
        part: the images.
        patch_px: side of the network's patches.
    """
    return image_logits(*patch_logits(network, part, patch_px))


def patch_logits(network: nn.Module, part: Part, patch_px: int) -> tuple[Tensor, Tensor]:
    """Return the logits of all patches of a part, float [M, K], and the image of each, int64 [M], both on the CPU.

    Args: as of `predict`.
    """
    device = next(network.parameters()).device
    network.eval()
    found, rows = [], []
    with torch.inference_mode():
        for some, grey in part.patches(patch_px, BATCH):
            rows.append(some)
            found.append(network(grey.to(device).float()).cpu())
    # a clone outside of inference mode can take part in training
    return torch.cat(found).clone(), torch.cat(rows)


def image_logits(logits: Tensor, rows: Tensor) -> Tensor:
    """Return the logits of images: the mean over the logits of their patches.

    A constant added to the logits of a patch changes no softmax, so logarithms of probabilities serve as well. The mean
    of logits weighs the evidence of every patch; a mean of probabilities turns into a majority vote as the patches
    become confident.

    Args:
        logits: float [M, K], of patches.
        rows: int64 [M], the image of each patch; each of 0 to N - 1 at least once.

    Returns:
        float [N, K]; of an image with one patch that patch's own.
    """
    counts = torch.bincount(rows)
    sums = torch.zeros((len(counts), logits.shape[1]), dtype=logits.dtype).index_add_(0, rows, logits)
    return sums / counts[:, None]


def predict_with_engine(
    images: Sequence[npt.NDArray[np.uint8]],
    engine: Engine,
    geometry: Geometry,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> npt.NDArray[np.float32]:
    """Return an engine's probabilities of each image: float32 [N, K], from the same patches as `predict`.

    Each patch goes through the dense map as a frame of exactly patch size, so that neither its position nor its
    probabilities depend on the stride of the model. An image of patch size keeps them to the last bit.

    Args:
        images: N images, uint8 [S, S'], both at least a patch.
        engine: the model.
        geometry: the model's geometry.
        on_progress: called with the number of images done.
    """
    found, rows = [], []
    for row, pixels in enumerate(images):
        for patch in cut_patches(pixels, geometry.patch_px):
            rows.append(row)
            found.append(dense_map(patch, engine, geometry).probabilities[:, 0, 0])
        on_progress(row + 1)
    patches, image_of = torch.from_numpy(np.stack(found)), torch.tensor(rows)
    logarithms = patches.double().clamp(min=SMALLEST_PROBABILITY).log()
    probabilities = torch.softmax(image_logits(logarithms, image_of), dim=1).float()
    alone = torch.bincount(image_of) == 1
    probabilities[alone] = patches[alone[image_of]]
    array: npt.NDArray[np.float32] = probabilities.numpy()
    return array
