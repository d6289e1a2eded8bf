"""What was read, or could not be, leaves memory at once, and not when Python happens to look for garbage."""

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.microscope_files.variants import Skin, Variant, variants
from runtime.errors import UnreadableImage
from runtime.images import Frame, read_frames

# those that begin where another ends say nothing new
_FRACTIONS = (1.0, 0.99, 0.5, 0.1)


@pytest.fixture(scope="module")
def skin_frame() -> Skin:
    """Grain and no more."""
    noise = np.random.default_rng(3).integers(0, 250, (200, 210), np.uint8)
    return Skin(np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8))


@pytest.fixture(scope="module", autouse=True)
def _brief_searches() -> Iterator[None]:
    """A search looks through what these tests have made, and no more."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextmanager
def uncollected_garbage() -> Iterator[list[object]]:
    """Gives the objects that only a search for garbage would find."""
    found: list[object] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def read_or_refuse(path: Path) -> tuple[Frame, ...] | None:
    try:
        return read_frames(path)
    except UnreadableImage:
        return None


@pytest.mark.parametrize("variant", list(variants()), ids=lambda each: f"{each.format}: {each.name}")
def test_nothing_is_left_of_a_file_whole_or_cut(variant: Variant, skin_frame: Skin, tmp_path: Path) -> None:
    data = variant.encode(skin_frame)
    path = tmp_path / f"frame{variant.suffix}"
    for fraction in _FRACTIONS:
        path.write_bytes(data[: int(fraction * len(data))])
        # what is imported and remembered for good
        read_or_refuse(path)
        with uncollected_garbage() as garbage:
            read_or_refuse(path)
        assert garbage == [], fraction


def test_nothing_is_left_of_a_damaged_file(skin_frame: Skin, tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    path = tmp_path / "frame"
    for variant in variants():
        data = bytearray(variant.encode(skin_frame))
        for at in [*rng.integers(0, 400, 4), *rng.integers(0, len(data), 20)]:
            data[at] ^= 1 << rng.integers(0, 8)
        path.write_bytes(data)
        read_or_refuse(path)
        with uncollected_garbage() as garbage:
            read_or_refuse(path)
        assert garbage == [], variant.name


def test_an_error_keeps_nothing_of_its_file(skin_frame: Skin, tmp_path: Path) -> None:
    for variant in variants():
        path = tmp_path / f"cut{variant.suffix}"
        data = variant.encode(skin_frame)
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(UnreadableImage) as caught:
            read_frames(path)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None), variant.name
        for entry in caught.traceback[1:]:
            kept = [name for name, value in entry.frame.f_locals.items() if isinstance(value, bytes)]
            assert kept == [], (variant.name, entry.name)


def kept_bytes(pixels: Any) -> int:
    """How many bytes an array keeps in memory, by what it is a view of."""
    while isinstance(pixels, np.ndarray) and pixels.base is not None:
        pixels = pixels.base
    return pixels.nbytes if isinstance(pixels, np.ndarray) else len(pixels)


@pytest.mark.parametrize("more", [0, 5 << 20])
@pytest.mark.parametrize("suffix", [".bmp", ".tif"])
def test_pixels_keep_no_more_of_a_file_than_they_are(more: int, suffix: str, skin_frame: Skin, tmp_path: Path) -> None:
    variant = next(each for each in variants() if each.suffix == suffix)
    path = tmp_path / f"frame{suffix}"
    path.write_bytes(variant.encode(skin_frame) + b"\1" * more)
    (frame,) = read_frames(path)
    assert kept_bytes(frame.pixels) <= 1.12 * frame.pixels.nbytes
    assert frame.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
