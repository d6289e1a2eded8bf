"""A network's answers on a whole part, without learning from it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainer.parts import Part

# larger images are cut to their middle: enough patches to know an image by, and no frame of a mosaic's size in memory
LARGEST_PX = 512
BATCH = 64


def predict(network: nn.Module, part: Part) -> Tensor:
    """Logits float [N, K] on the CPU, of whole images."""
    return each_batch(network, part, network)


def each_batch(network: nn.Module, part: Part, answer: Callable[[Tensor], Tensor]) -> Tensor:
    """What `answer` gives for each image of `part`, in the part's order: float [N, ...] on the CPU.

    Args:
        network: is put into evaluation mode; its device takes the images.
        part: the images.
        answer: float [n, 1, S, S'] of grey levels to float [n, ...].
    """
    device = next(network.parameters()).device
    network.eval()
    rows, found = [], []
    with torch.inference_mode():
        for some, grey in part.batches(LARGEST_PX, BATCH):
            rows.append(some)
            found.append(answer(grey.to(device).float()).cpu())
    return torch.cat(found)[torch.cat(rows).argsort()].clone()
