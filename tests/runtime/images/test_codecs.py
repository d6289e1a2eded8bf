"""What a compressed image says of itself, before it is decompressed."""

import cv2
import imagecodecs
import numpy as np
import pytest

from runtime.errors import NeverAnImage
from runtime.images.codecs import CodedSize, is_whole_jpeg, jpeg_2000_size, jpeg_size

PIXELS = np.random.default_rng(1).integers(0, 256, (24, 36), np.uint8)
JPEG = bytes(cv2.imencode(".jpg", PIXELS)[1])


def test_sizes() -> None:
    assert jpeg_size(JPEG) == CodedSize(36, 24, 1, 8)
    assert jpeg_size(imagecodecs.jpegls_encode(PIXELS.astype(np.uint16) * 257)) == CodedSize(36, 24, 1, 16)
    assert jpeg_2000_size(imagecodecs.jpeg2k_encode(PIXELS, level=0, codecformat="j2k")) == CodedSize(36, 24, 1, 8)
    assert jpeg_size(b"nothing") is None
    assert jpeg_2000_size(b"nothing") is None


def test_many_scans_cost_much_and_are_refused() -> None:
    with pytest.raises(NeverAnImage, match="this kind of JPEG is not read; seen: 33 scans; wanted: at most 32"):
        jpeg_size(JPEG + b"\xff\xda" * 32)


def test_a_jpeg_without_its_end_is_not_whole() -> None:
    assert is_whole_jpeg(JPEG)
    assert is_whole_jpeg(JPEG + b"\0")
    assert not is_whole_jpeg(JPEG[:-1])
