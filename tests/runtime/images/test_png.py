import struct
import zlib

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.errors import UnreadableImage
from runtime.images.png import decode_png

Grey = npt.NDArray[np.uint8]
Chunk = tuple[bytes, bytes]


def encoded(image: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> bytes:
    return bytes(cv2.imencode(".png", image)[1])


def png(*chunks: Chunk) -> bytes:
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def header(width: int, height: int, depth: int = 8, colour: int = 0, interlaced: int = 0) -> Chunk:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


def rows(image: npt.NDArray[np.uint8]) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in image)


def grey_png(grey: Grey, *extra: Chunk, data: bytes | None = None) -> bytes:
    height, width = grey.shape
    body = zlib.compress(rows(grey)) if data is None else data
    return png(header(width, height), *extra, (b"IDAT", body), (b"IEND", b""))


def test_grey_rgb_and_alpha_keep_their_levels(grey: Grey) -> None:
    assert np.array_equal(decode_png(encoded(grey)), grey)
    for channels in (3, 4):
        image = np.repeat(grey[:, :, None], channels, axis=2)
        assert np.array_equal(decode_png(encoded(image)), image)


def test_sixteen_bits_keep_their_depth(grey: Grey) -> None:
    deep = grey.astype(np.uint16) * 256 + grey[::-1]
    decoded = decode_png(encoded(deep))
    assert decoded.dtype == np.uint16
    assert np.array_equal(decoded, deep)


def test_a_palette_is_applied(grey: Grey) -> None:
    inverted = bytes(255 - level for level in range(256) for _ in range(3))
    data = png(
        header(*grey.shape[::-1], colour=3), (b"PLTE", inverted), (b"IDAT", zlib.compress(rows(grey))), (b"IEND", b"")
    )
    assert np.array_equal(decode_png(data)[:, :, 0], 255 - grey)


def test_alpha_beside_grey_is_dropped(grey: Grey) -> None:
    pairs = np.dstack([grey, np.zeros_like(grey)]).reshape(grey.shape[0], -1)
    data = png(header(*grey.shape[::-1], colour=4), (b"IDAT", zlib.compress(rows(pairs))), (b"IEND", b""))
    assert np.array_equal(decode_png(data)[:, :, 0], grey)


def test_an_interlaced_image_is_read(grey: Grey) -> None:
    steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    body = b"".join(rows(grey[y::dy, x::dx]) for x, y, dx, dy in steps)
    data = png(header(*grey.shape[::-1], interlaced=1), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    assert np.array_equal(decode_png(data), grey)


def test_an_interlaced_image_too_small_for_some_passes_is_read() -> None:
    data = png(header(1, 1, interlaced=1), (b"IDAT", zlib.compress(b"\0\x2a")), (b"IEND", b""))
    assert decode_png(data).tolist() == [[42]]


def test_gamma_and_a_broken_colour_profile_change_no_level_and_print_nothing(
    grey: Grey, capfd: pytest.CaptureFixture[str]
) -> None:
    gamma, profile = (b"gAMA", struct.pack(">I", 220000)), (b"iCCP", b"icc\0\0broken")
    assert np.array_equal(decode_png(grey_png(grey, gamma, profile)), grey)
    assert capfd.readouterr() == ("", "")


def test_every_cut_of_a_file_is_called_truncated(grey: Grey) -> None:
    whole = encoded(grey)
    for length in range(8, len(whole), 97):
        with pytest.raises(UnreadableImage, match="truncated"):
            decode_png(whole[:length])
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_png(whole[:-1])


def test_any_flipped_byte_is_found(grey: Grey) -> None:
    whole = encoded(grey)
    for at in range(8, len(whole), 61):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        with pytest.raises(UnreadableImage):
            decode_png(bytes(damaged))


@pytest.mark.parametrize(("part", "reason"), [(0.0, "truncated"), (0.5, "truncated"), (2.0, "more pixels than")])
def test_more_or_fewer_rows_than_the_header_says_are_refused(
    grey: Grey, part: float, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = zlib.compress((rows(grey) * 2)[: int(len(rows(grey)) * part)])
    with pytest.raises(UnreadableImage, match=reason):
        decode_png(grey_png(grey, data=wrong))
    assert capfd.readouterr() == ("", "")


def test_pixel_data_cut_within_its_stream_is_refused(grey: Grey) -> None:
    with pytest.raises(UnreadableImage, match="truncated"):
        decode_png(grey_png(grey, data=zlib.compress(rows(grey))[:-1]))
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_png(grey_png(grey, data=b"\xff" * 500))


def test_an_unknown_row_filter_is_refused(grey: Grey) -> None:
    with pytest.raises(UnreadableImage, match="row filter"):
        decode_png(grey_png(grey, data=zlib.compress(b"\x09" + rows(grey)[1:])))


def test_a_bomb_is_refused_before_it_is_inflated() -> None:
    bomb = zlib.compress(bytes(1 << 20))
    with pytest.raises(UnreadableImage, match="too large; seen: 100000 x 100000 pixels"):
        decode_png(png(header(100_000, 100_000), (b"IDAT", bomb), (b"IEND", b"")))
    with pytest.raises(UnreadableImage, match="pixel data for 268451840 bytes"):
        decode_png(png(header(16384, 16384), (b"IDAT", bomb[:1000]), (b"IEND", b"")))
    with pytest.raises(UnreadableImage, match="more pixels than its header says; wanted: 110 bytes"):
        decode_png(png(header(10, 10), (b"IDAT", bomb), (b"IEND", b"")))


@pytest.mark.parametrize(("depth", "colour"), [(3, 0), (8, 5), (4, 2), (16, 3), (0, 0)])
def test_headers_outside_the_standard_are_refused(depth: int, colour: int, capfd: pytest.CaptureFixture[str]) -> None:
    data = png(header(4, 4, depth, colour), (b"IDAT", zlib.compress(bytes(20))), (b"IEND", b""))
    with pytest.raises(UnreadableImage, match="header is not legal"):
        decode_png(data)
    assert capfd.readouterr() == ("", "")


def test_an_animation_is_refused_rather_than_read_by_half(grey: Grey) -> None:
    with pytest.raises(UnreadableImage, match="animation"):
        decode_png(grey_png(grey, (b"acTL", bytes(8))))


def test_a_palette_image_without_a_palette_is_refused(grey: Grey) -> None:
    data = png(header(*grey.shape[::-1], colour=3), (b"IDAT", zlib.compress(rows(grey))), (b"IEND", b""))
    with pytest.raises(UnreadableImage, match="palette"):
        decode_png(data)


def test_a_file_that_does_not_begin_with_a_header_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="does not begin with its header"):
        decode_png(png((b"IEND", b"")))
