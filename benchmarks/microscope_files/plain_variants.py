"""BMP, PNG and JPEG, in every way that is known."""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np
import PIL.Image

from benchmarks.microscope_files.skin import Pixels, Skin, Variant
from trainer.phantom.files import encode_bmp


def plain_variants() -> Iterator[Variant]:
    """All of them, in the order of the document."""
    yield from _bmp()
    yield from _png()
    yield from _jpeg()


def _bmp() -> Iterator[Variant]:
    yield Variant("BMP", "8 bit, palette of greys (VivaScope)", ".bmp", lambda skin: encode_bmp(skin.eight))
    yield Variant(
        "BMP",
        "8 bit with a caption (X, Y, Z)",
        ".bmp",
        lambda skin: encode_bmp(skin.captioned),
        depth=((35.2,), "caption"),
    )
    yield Variant("BMP", "8 bit, palette turned round", ".bmp", _bmp_turned)
    yield Variant("BMP", "24 bit", ".bmp", lambda skin: _cv2(".bmp", skin.bgr))
    yield Variant("BMP", "32 bit", ".bmp", lambda skin: _pil(skin.bgr[:, :, [0, 1, 2, 0]], "RGBA", "BMP"))
    yield Variant("BMP", "8 bit, under another suffix", ".dat", lambda skin: encode_bmp(skin.eight))


def _png() -> Iterator[Variant]:
    yield Variant("PNG", "8 bit grey", ".png", lambda skin: _cv2(".png", skin.eight))
    yield Variant("PNG", "8 bit RGB", ".png", lambda skin: _cv2(".png", skin.bgr))
    yield Variant("PNG", "palette", ".png", lambda skin: _pil(skin.eight, "L", "PNG", convert="P"))
    yield Variant("PNG", "16 bit grey", ".png", lambda skin: _cv2(".png", skin.sixteen), 16, levels=lambda s: s.sixteen)
    yield Variant(
        "PNG",
        "16 bit grey, of which 12 are used and nothing says so",
        ".png",
        lambda skin: _cv2(".png", skin.of_bits(12)),
        None,
        "unknown",
        levels=lambda skin: skin.of_bits(12),
        withheld="depth of grey unknown",
    )
    yield Variant(
        "PNG",
        "the same with `--grey-range 0:4095`",
        ".png",
        lambda skin: _cv2(".png", skin.of_bits(12)),
        None,
        "option",
        levels=lambda skin: skin.of_bits(12),
        said={"grey_range": (0.0, 4095.0)},
    )
    yield Variant("PNG", "animated", ".png", _animated, refused="animation")


def _jpeg() -> Iterator[Variant]:
    for quality in (75, 95):
        yield Variant(
            "JPEG",
            f"grey, quality {quality}",
            ".jpg",
            partial(_jpg, quality=quality),
            levels=None,
        )
    yield Variant("JPEG", "grey saved as colour", ".jpg", lambda skin: _cv2(".jpg", skin.bgr), levels=None)
    yield Variant(
        "JPEG",
        "progressive",
        ".jpg",
        lambda skin: _cv2(".jpg", skin.eight, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        levels=None,
    )
    yield Variant(
        "JPEG",
        "with a caption, quality 90",
        ".jpg",
        lambda skin: _cv2(".jpg", skin.captioned, [cv2.IMWRITE_JPEG_QUALITY, 90]),
        depth=((35.2,), "caption"),
        levels=None,
    )


def _jpg(skin: Skin, *, quality: int) -> bytes:
    return _cv2(".jpg", skin.eight, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _cv2(suffix: str, pixels: Pixels, options: list[int] | None = None) -> bytes:
    return cv2.imencode(suffix, pixels, options or [])[1].tobytes()


def _pil(pixels: Pixels, mode: str, form: str, *, convert: str | None = None) -> bytes:
    image = PIL.Image.frombytes(mode, pixels.shape[1::-1], np.ascontiguousarray(pixels).tobytes())
    out = io.BytesIO()
    (image.convert(convert) if convert else image).save(out, form)
    return out.getvalue()


def _bmp_turned(skin: Skin) -> bytes:
    data = bytearray(encode_bmp(255 - skin.eight))
    for level in range(256):
        struct.pack_into("<BBBB", data, 54 + 4 * level, *(255 - level,) * 3, 0)
    return bytes(data)


def _animated(skin: Skin) -> bytes:
    data = _cv2(".png", skin.eight)
    chunk = b"acTL" + struct.pack(">II", 2, 0)
    return data[:33] + struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
