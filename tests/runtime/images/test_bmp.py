import struct
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.errors import UnreadableImage
from runtime.images.bmp import decode_bmp

Grey = npt.NDArray[np.uint8]
Build = Callable[..., bytes]


def test_an_8_bit_palette_bmp_is_one_channel(grey: Grey, bmp: Build) -> None:
    assert np.array_equal(decode_bmp(bmp(grey)), grey)


@pytest.mark.parametrize("bits", [24, 32])
def test_every_channel_of_a_true_colour_bmp_holds_the_grey_levels(grey: Grey, bmp: Build, bits: int) -> None:
    decoded = decode_bmp(bmp(grey, bits))
    assert all(np.array_equal(decoded[:, :, c], grey) for c in range(3))


def test_rows_stored_top_first_come_out_upright(grey: Grey, bmp: Build) -> None:
    assert np.array_equal(decode_bmp(bmp(grey, top_down=True)), grey)


def test_the_palette_is_applied(grey: Grey, bmp: Build) -> None:
    inverted = np.arange(255, -1, -1, dtype=np.uint8)
    assert np.array_equal(decode_bmp(bmp(grey, palette=inverted)), 255 - grey)


@pytest.mark.parametrize("top_down", [False, True])
def test_the_pixels_of_a_vivascope_frame_are_the_files_own_bytes(grey: Grey, bmp: Build, top_down: bool) -> None:
    data = bmp(grey, top_down=top_down)
    decoded = decode_bmp(data)
    assert np.shares_memory(decoded, np.frombuffer(data, np.uint8)), "no copy of a mosaic"
    assert not decoded.flags.writeable


def test_the_oldest_kind_of_header_is_refused() -> None:
    header = struct.pack("<IHHI", 30, 0, 0, 26) + struct.pack("<IHHHH", 12, 1, 1, 1, 24)
    with pytest.raises(UnreadableImage, match="OS/2 BMP is not read"):
        decode_bmp(b"BM" + header + bytes(4))


def test_a_vivascope_frame_has_the_length_that_was_measured() -> None:
    frame = np.zeros((1000, 1000), np.uint8)
    data = cv2.imencode(".bmp", frame)[1].tobytes()
    assert len(data) == 1_001_078
    assert decode_bmp(data).shape == (1000, 1000)


def test_one_missing_byte_is_a_truncated_file(grey: Grey, bmp: Build) -> None:
    whole = bmp(grey)
    with pytest.raises(UnreadableImage, match=f"truncated; seen: {len(whole) - 1} bytes; wanted: {len(whole)}"):
        decode_bmp(whole[:-1])


@pytest.mark.parametrize("claimed", [0, 100])
def test_pixels_are_counted_where_the_length_field_is_wrong(grey: Grey, bmp: Build, claimed: int) -> None:
    whole = bmp(grey, file_bytes=claimed)
    assert np.array_equal(decode_bmp(whole), grey)
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_bmp(whole[:-1])


def test_a_length_field_beyond_the_file_is_a_truncated_file(grey: Grey, bmp: Build) -> None:
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_bmp(bmp(grey, file_bytes=1 << 20))


@pytest.mark.parametrize("length", [2, 17, 18, 25, 26, 53])
def test_a_cut_header_is_a_truncated_file(grey: Grey, bmp: Build, length: int) -> None:
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_bmp(bmp(grey)[:length])


def test_a_decompression_bomb_is_refused_with_its_size(grey: Grey, bmp: Build) -> None:
    data = bytearray(bmp(grey))
    struct.pack_into("<ii", data, 18, 2**31 - 1, -(2**31))
    with pytest.raises(UnreadableImage, match="too large; seen: 2147483647 x 2147483648 pixels"):
        decode_bmp(bytes(data))


def test_an_image_without_pixels_is_refused(grey: Grey, bmp: Build) -> None:
    data = bytearray(bmp(grey))
    struct.pack_into("<i", data, 22, 0)
    with pytest.raises(UnreadableImage, match="without pixels; seen: 83 x 0"):
        decode_bmp(bytes(data))


def test_compressed_and_shallow_bmps_say_so(grey: Grey, bmp: Build) -> None:
    with pytest.raises(UnreadableImage, match="compressed BMP"):
        decode_bmp(bmp(grey, compression=1))
    four_bits = bytearray(bmp(grey))
    struct.pack_into("<H", four_bits, 28, 4)
    with pytest.raises(UnreadableImage, match="4 bits per pixel; wanted: 8, 24 or 32"):
        decode_bmp(bytes(four_bits))


def test_pixels_that_would_start_inside_the_header_are_refused(grey: Grey, bmp: Build) -> None:
    data = bytearray(bmp(grey))
    struct.pack_into("<I", data, 10, 20)
    with pytest.raises(UnreadableImage, match="inside itself"):
        decode_bmp(bytes(data))
