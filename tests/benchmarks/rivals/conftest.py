"""A texture network small enough to compare with in moments."""

import pytest
import torch
from torch import Tensor

from trainer.network import NetworkConfig


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny() -> NetworkConfig:
    return NetworkConfig(
        grades=("0", "1", "2"), kernels=(4, 3), strides=(2, 2), widths=(16, 16), patch_px=32, hidden=16
    )


@pytest.fixture(scope="session")
def draw_grey():
    """Draws grey levels without any order: float [N, channels, H, W]."""

    def draw(height: int, width: int, *, count: int = 1, channels: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(height * 1000 + width)
        return torch.randint(0, 256, (count, channels, height, width), generator=generator).float()

    return draw
