"""Losses on the softmax over the grades."""

from collections.abc import Callable

import torch
from torch import Tensor

LOSSES = ("ordinal", "cross-entropy")
Loss = Callable[[Tensor, Tensor], Tensor]


def called(name: str) -> Loss:
    """The loss of that name, one of `LOSSES`."""
    return {"ordinal": ordinal, "cross-entropy": cross_entropy}[name]


def cross_entropy(logits: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy against the raters' distribution; float [N, K] both to float [N]."""
    return -(shares * torch.log_softmax(logits, dim=1)).sum(1)


def ordinal(logits: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy plus the squared earth mover's distance (Hou et al. 2016, arXiv:1611.05916); float [N, K] to [N].

    The distance compares cumulative distributions, so that a miss by two grades costs more than one by one, and the
    cross-entropy keeps the probabilities calibrated; both act on the one softmax.
    """
    apart = torch.cumsum(torch.softmax(logits, dim=1) - shares, dim=1)
    return cross_entropy(logits, shares) + (apart * apart).sum(1)
