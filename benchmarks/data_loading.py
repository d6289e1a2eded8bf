"""Is drawing the batches what training waits for?

    python -m benchmarks.data_loading

Times training steps of the shipped network on batches cut and turned as training does it, in turn with the same steps
on a batch that lies in memory. Augmentation belongs to the step, which does it on the device; beside it the rate is
printed against steps on a batch that was augmented beforehand. Exit code 1 when the steps on drawn batches reach less
than 0.8 of the rate of those on one in memory.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.child_process import exit_with
from trainer import loss as losses
from trainer.augment import augment, cut, draw_batch
from trainer.network import NetworkConfig, TextureNetwork
from trainer.optimise import FitSettings
from trainer.parts import Part

LOWEST_RATIO = 0.8
PATCHES, PATCH_FILE_PX = 512, 160
# single steps in turn: what else the machine does in a moment slows one step of many, and the median passes over it
ROUNDS = 80


def main() -> int:
    bare, ready, drawn = measure()
    ratio = ready / drawn
    print(
        f"a step on a batch in memory {1000 * ready:.1f} ms, on one drawn for it {1000 * drawn:.1f} ms: "
        f"{ratio:.2f} of the rate (at least {LOWEST_RATIO}); "
        f"{bare / drawn:.2f} of that on a batch augmented beforehand, {1000 * bare:.1f} ms"
    )
    return 0 if ratio >= LOWEST_RATIO else 1


def measure() -> tuple[float, float, float]:
    """Median seconds a step, on an augmented batch, on one in memory and on drawn ones, in turn."""
    config, settings = NetworkConfig(), FitSettings()
    rng = np.random.default_rng(0)
    # larger than a patch, so that cutting is part of it
    images = rng.integers(0, 256, (PATCHES, PATCH_FILE_PX, PATCH_FILE_PX), np.uint8)
    grades = torch.arange(PATCHES) % len(config.grades)
    part = Part(tuple(images), torch.nn.functional.one_hot(grades, len(config.grades)).float(), grades)
    network = TextureNetwork(config).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    criterion = losses.called(settings.loss)

    def draw() -> Tensor:
        return draw_batch(part, rows, config.patch_px, settings.augmentation, rng)

    def step(batch: Callable[[], Tensor]) -> float:
        started = time.perf_counter()
        batch_loss = criterion(network(batch()), part.shares[rows]).mean()
        optimiser.zero_grad()
        batch_loss.backward()
        optimiser.step()
        batch_loss.item()
        return time.perf_counter() - started

    rows = rng.permutation(PATCHES)[: settings.batch]
    augmented = draw()
    fixed = torch.from_numpy(cut([part.pixels[row] for row in rows], config.patch_px, settings.augmentation, rng))
    generator = torch.Generator().manual_seed(0)
    ways = (lambda: augmented, lambda: augment(fixed, settings.augmentation, generator), draw)
    times = [[step(way) for way in ways] for _ in range(ROUNDS)]
    bare, ready, drawn = (statistics.median(of) for of in zip(*times, strict=True))
    return bare, ready, drawn


if __name__ == "__main__":
    exit_with(main)
