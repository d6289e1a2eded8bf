"""Files as microscopes, exporters and broken copies leave them."""

import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest


@pytest.fixture(scope="session")
def grey() -> npt.NDArray[np.uint8]:
    """A textured 8-bit image, [60, 84]; the odd sizes make row padding matter."""
    noise = np.random.default_rng(7).integers(0, 256, (61, 83), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1)


@pytest.fixture
def save(tmp_path: Path) -> Callable[[bytes], Path]:
    """Writes bytes to a file and gives its path."""

    def write(data: bytes, name: str = "image.bin") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture(scope="session")
def bmp() -> Callable[..., bytes]:
    """Builds a BMP of rows of grey levels, as its specification says, one channel a plane."""

    def build(
        grey: npt.NDArray[np.uint8],
        bits: int = 8,
        *,
        top_down: bool = False,
        compression: int = 0,
        palette: npt.NDArray[np.uint8] | None = None,
        file_bytes: int | None = None,
    ) -> bytes:
        height, width = grey.shape
        pixels = grey if bits == 8 else np.repeat(grey[:, :, None], bits // 8, axis=2)
        rows = pixels.reshape(height, -1)
        rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
        colours = b""
        if bits == 8:
            levels = np.arange(256, dtype=np.uint8) if palette is None else palette
            colours = b"".join(bytes([level, level, level, 0]) for level in levels)
        at = 54 + len(colours)
        body = (rows if top_down else rows[::-1]).tobytes()
        total = at + len(body) if file_bytes is None else file_bytes
        info = struct.pack(
            "<IiiHHIIiiII",
            40,
            width,
            -height if top_down else height,
            1,
            bits,
            compression,
            0,
            0,
            0,
            len(colours) // 4,
            0,
        )
        return b"BM" + struct.pack("<IHHI", total, 0, 0, at) + info + colours + body

    return build
