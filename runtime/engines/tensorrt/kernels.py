"""Kernels that `tensorrt_rtx` compiled for the sizes of images it met, kept between starts beside their plan.

Nothing here has to succeed: what is not kept is compiled again, which makes the first image of a size slow.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from runtime.engines.tensorrt.plan_cache import KernelsKey, PlanCache

# each adds the sizes that one run met first; where all images differ in size, no kernel is met again anyway
MOST_WRITES = 8
# beyond some 100 MB NVIDIA expects that reading them takes longer than it saves (release notes of TensorRT-RTX 1.0)
LARGEST = 64 * 2**20


class Kernels:
    """The kernels of one plan. They live at least as long as the execution contexts made with the same config."""

    def __init__(self, config: Any, cache: PlanCache, key: KernelsKey) -> None:
        """Take those of earlier starts.

        Args:
            config: the library's `IRuntimeConfig`, which no context was made with yet.
            cache: where they are kept.
            key: what they depend on. The library itself refuses those of another machine once more.
        """
        self._cache, self._key = cache, key
        self._sizes: set[tuple[int, ...]] = set()
        self._writes_left = MOST_WRITES
        self._written = ""
        self._store = config.create_runtime_cache()
        if self._store is None:
            return
        kept = cache.read(key)
        if kept is not None and self._store.deserialize(kept):
            self._written = sha256(kept).hexdigest()
        config.set_runtime_cache(self._store)

    def keep(self, shapes: Iterable[tuple[int, ...]]) -> None:
        """Write the kernels where a run met images of new shapes, and compiled something for them.

        Args:
            shapes: [N, 1, H, W] of all that the run put on the GPU, tiles at the edges too.
        """
        new = set(shapes) - self._sizes
        if self._store is None or not self._writes_left or not new:
            return
        self._sizes |= new
        serialized = self._store.serialize()
        kernels = b"" if serialized is None else bytes(serialized)
        digest = sha256(kernels).hexdigest()
        if 0 < len(kernels) <= LARGEST and digest != self._written:
            self._writes_left -= 1
            self._written = digest
            self._cache.write(self._key, kernels)
