"""Is drawing the batches what training waits for?

    python -m benchmarks.data_loading

Times training steps of the shipped network on batches cut, turned and augmented as training does it, in turn with the
same steps on a batch that lies ready in memory. Exit code 1 when the former reach less than 0.8 of the latter's rate.
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from trainer import loss as losses
from trainer.augment import draw_batch
from trainer.network import NetworkConfig, TextureNetwork
from trainer.optimise import FitSettings
from trainer.parts import Part

LOWEST_RATIO = 0.8
PATCHES, PATCH_FILE_PX = 512, 160
STEPS, ROUNDS = 5, 9


def main() -> int:
    ready, drawn = measure()
    ratio = ready / drawn
    print(
        f"a step on a batch in memory {1000 * ready:.1f} ms, on one drawn for it {1000 * drawn:.1f} ms: "
        f"{ratio:.2f} of the rate (at least {LOWEST_RATIO})"
    )
    return 0 if ratio >= LOWEST_RATIO else 1


def measure() -> tuple[float, float]:
    """Median seconds a step, on a batch in memory and on drawn ones, in turn."""
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

    def steps(batch: Callable[[], Tensor]) -> float:
        started = time.perf_counter()
        for _ in range(STEPS):
            batch_loss = criterion(network(batch()), part.shares[rows]).mean()
            optimiser.zero_grad()
            batch_loss.backward()
            optimiser.step()
            batch_loss.item()
        return (time.perf_counter() - started) / STEPS

    rows = rng.permutation(PATCHES)[: settings.batch]
    fixed = draw()
    ready, drawn = [], []
    for _ in range(ROUNDS):
        ready.append(steps(lambda: fixed))
        drawn.append(steps(draw))
    # the first round also loads and allocates, which no later one does
    return statistics.median(ready[1:]), statistics.median(drawn[1:])


if __name__ == "__main__":
    sys.exit(main())
