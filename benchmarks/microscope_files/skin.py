"""A frame of skin, and what a way of writing it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.microscope_files.captions import KNOWN_FONTS

Pixels = npt.NDArray[Any]
VIVASCOPE = (0.5, "vivascope")


@dataclass(frozen=True)
class Skin:
    """A frame, uint8 [1000, 1000], and the same with more levels, each of which means the same grey in 8 bits."""

    eight: npt.NDArray[np.uint8]

    def of_bits(self, bits: int) -> npt.NDArray[np.uint16]:
        """Levels between those of 8 bits are used, up to a third of the way to the next."""
        step = (2**bits - 1) / 255
        jitter = np.random.default_rng(bits).uniform(-step / 3, step / 3, self.eight.shape)
        levels: npt.NDArray[np.uint16] = np.clip(np.rint(self.eight * step + jitter), 0, 2**bits - 1).astype(np.uint16)
        return levels

    @cached_property
    def sixteen(self) -> npt.NDArray[np.uint16]:
        return self.of_bits(16)

    @property
    def captioned(self) -> npt.NDArray[np.uint8]:
        """With 45 rows of caption below, cut to the frame's width."""
        said = KNOWN_FONTS["DejaVu Sans"]("v0000012.bmp  X: 1.25 mm  Y: -0.50 mm  Z: 35.2 um", 20)
        return np.vstack([self.eight, said[:, : self.eight.shape[1]]])

    @property
    def bgr(self) -> npt.NDArray[np.uint8]:
        return np.repeat(self.eight[:, :, None], 3, axis=2)


@dataclass(frozen=True)
class Variant:
    """A way to write the frame.

    Attributes:
        format, name: what it is called.
        suffix: of its file.
        encode: the bytes of the file.
        bits: significant bits that a record should tell; None for floating point.
        bits_from: what tells them.
        scale: µm per pixel that a record should tell, and what tells it.
        depth: µm below the surface, of each slice, and what tells it.
        levels: the levels that are to come out exactly; None where the format itself loses some.
        said: options that the user has to give.
        withheld: a word of the reason, where there must be no score.
        refused: a word of the error, where the file is not read.
    """

    format: str
    name: str
    suffix: str
    encode: Callable[[Skin], bytes]
    bits: int | None = 8
    bits_from: str = "type"
    scale: tuple[float | None, str] = VIVASCOPE
    depth: tuple[tuple[float | None, ...], str] = ((None,), "unknown")
    levels: Callable[[Skin], Pixels] | None = lambda skin: skin.eight
    said: dict[str, Any] = field(default_factory=dict)
    withheld: str = ""
    refused: str = ""


def three(skin: Skin) -> npt.NDArray[np.uint8]:
    """A stack of three slices, all the same."""
    return np.stack([skin.eight] * 3)
