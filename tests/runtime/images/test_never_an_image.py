"""Which refusals are for ever, and which may heal: a file on its way must never be taken for one that is done."""

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images import read_frame, read_frames
from runtime.images.limits import MAX_FILE_BYTES

Save = Callable[..., Path]
NOISE = np.random.default_rng(2).integers(1, 256, (24, 36), np.uint8)


def encoded(suffix: str, image: Any = NOISE, **options: Any) -> bytes:
    if suffix != ".tif":
        return bytes(cv2.imencode(suffix, image)[1])
    out = io.BytesIO()
    tifffile.imwrite(out, image, **{"photometric": "minisblack"} | options)
    return out.getvalue()


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def grey_png(*extra: tuple[bytes, bytes], pixels: bytes = zlib.compress(b"\0\1\2" * 2), shape: bytes = b"") -> bytes:
    header = shape or struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    return png((b"IHDR", header), *extra, (b"IDAT", pixels), (b"IEND", b""))


def with_tag(data: bytes, code: int, value: int) -> bytes:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        return changed(data, tiff.pages[0].tags[code].valueoffset, struct.pack("<H", value))


BMP, PNG, JPEG, TIFF = (encoded(suffix) for suffix in (".bmp", ".png", ".jpg", ".tif"))
DEFLATED = encoded(".tif", compression="zlib")
RGB = encoded(".tif", np.dstack([NOISE] * 3), photometric="rgb")
SOF = JPEG.index(b"\xff\xc0")

FOR_EVER = {
    "not an image that is read": b"GIF89a....",
    "OS/2 BMP is not read": b"BM" + struct.pack("<IHHIIHHHH", 30, 0, 0, 26, 12, 1, 1, 1, 24) + b"\1" * 30,
    "this BMP depth is not read": changed(BMP, 28, b"\4"),
    "compressed BMP is not read": changed(BMP, 30, b"\1"),
    "the BMP header puts the pixels inside itself": changed(BMP, 10, b"\5\0"),
    "the header gives an image without pixels": changed(BMP, 18, bytes(4)),
    "the image is too large": changed(BMP, 18, b"\xff\xff\xff\x7f"),
    "the PNG does not begin with its header": png((b"IDAT", b"x"), (b"IEND", b"")),
    "the PNG header is not legal": grey_png(shape=struct.pack(">IIBBBBB", 2, 2, 3, 0, 0, 0, 0)),
    "the PNG holds an animation": grey_png((b"acTL", bytes(8))),
    "the PNG has no legal palette": grey_png(shape=struct.pack(">IIBBBBB", 2, 2, 8, 3, 0, 0, 0)),
    "the PNG has too many chunks": grey_png(*[(b"tEXt", b"")] * 263_000),
    "the image has too many bytes": grey_png(shape=struct.pack(">IIBBBBB", 1 << 14, 1 << 14, 16, 6, 0, 0, 0)),
    "the PNG holds more pixels than its header says": grey_png(pixels=zlib.compress(bytes(100))),
    "the image is too long": grey_png(
        shape=struct.pack(">IIBBBBB", 1 << 21, 1, 1, 0, 0, 0, 0), pixels=zlib.compress(bytes(262_145))
    ),
    "this kind of JPEG is not read; seen: frame type 0xc3": changed(JPEG, SOF + 1, b"\xc3"),
    "this kind of JPEG is not read; seen: 12 bits": changed(JPEG, SOF + 4, b"\x0c"),
    "this kind of JPEG is not read; seen: 33 scans": JPEG[:-2] + b"\xff\xda\0\2" * 32 + JPEG[-2:],
    "the JPEG holds several frame headers": JPEG[:-2] + JPEG[2:],
    "the JPEG header is not legal; seen: sampling": changed(JPEG, SOF + 11, b"\0"),
    "the JPEG header is not legal; seen: 2 bytes": b"\xff\xd8\xff\xc0\0\4\x08\1" + JPEG[2:],
    "the TIFF's directories go round in a circle": b"II*\0\x08\0\0\0\1\0" + b"\1" * 12 + b"\x08\0\0\0" + b"\1" * 50,
    "the TIFF's directory is not legal": b"II*\0\x08\0\0\0\xff\xff" + b"\1" * 800_000,
    "the TIFF's directory contradicts itself": (
        b"II*\0\x08\0\0\0\3\0" + b"\1\1\1\0\x28\0\0\0\0\0\0\0" * 3 + bytes(4) + b"\1" * 50
    ),
    "this volume of a TIFF": encoded(".tif", np.ones((4, 16, 16), np.uint8), volumetric=True, tile=(4, 16, 16)),
    "this colour of a TIFF": encoded(".tif", np.ones((8, 8, 2), np.uint8), planarconfig="contig"),
    "this number format of a TIFF": encoded(".tif", np.ones((8, 8), np.int16)),
    "this compression of a TIFF": with_tag(DEFLATED, 259, 34925),
    "this predictor of a TIFF": with_tag(encoded(".tif", compression="zlib", predictor=True), 317, 3),
    "the TIFF's strips have no rows": with_tag(TIFF, 278, 0),
    "the TIFF's strips do not make up its image": with_tag(TIFF, 278, 5),
}
MAY_HEAL = {
    "the file is empty": b"",
    "not an image that is read; seen: first bytes 00 00": bytes(5000),
    "not an image that is read; seen: first bytes 89 50": PNG[:4],
    "not an image that is read; seen: first bytes 42 4d": BMP[:14].ljust(5000, b"\0"),
    "the file is truncated; seen: 17 bytes; wanted: a BMP header": BMP[:17],
    "the file is truncated; seen: 20 bytes; wanted: a header of": BMP[:20],
    "the file is truncated; seen: 1941 bytes; wanted: 1942": BMP[:-1],
    "the header gives an image without pixels; seen: 0 x 0": BMP[:18].ljust(5000, b"\0"),
    "this BMP depth is not read; seen: 0 bits": BMP[:26].ljust(5000, b"\0"),
    "the file is truncated; seen: 18 bytes; wanted: chunks": PNG[:18],
    "the PNG is damaged; seen: a wrong checksum in chunk b'": PNG[:20].ljust(5000, b"\0"),
    "the PNG's pixel data is damaged; seen: Error": grey_png(pixels=b"\xff" * 50),
    "the PNG's pixel data is damaged; seen: an unknown row filter": grey_png(pixels=zlib.compress(b"\x09\1\2" * 2)),
    "the file is truncated; seen: 3 bytes of pixels": grey_png(pixels=zlib.compress(b"\0\1\2")),
    "the file is truncated; seen: an end marker without": b"\xff\xd8\xff\xd9",
    "this kind of JPEG is not read; seen: 0 bits": JPEG[: SOF + 4].ljust(5000, b"\0"),
    "the JPEG is damaged; seen: 0x68": b"\xff\xd8\xff\xe0\0\x02hello",
    "the file is truncated; seen: a header that names no directory": TIFF[:4].ljust(5000, b"\0"),
    "the file is truncated; seen: a directory without tags": TIFF[:8].ljust(5000, b"\0"),
    "the BigTIFF header is not legal": b"II+\0".ljust(5000, b"\0"),
    "the TIFF's strips are damaged": with_tag(DEFLATED, 257, 5),
    "the TIFF cannot be read": DEFLATED[:-50] + b"\xff" * 50,
}


@pytest.mark.parametrize("reason", FOR_EVER)
def test_what_no_more_bytes_can_mend_is_refused_for_ever(reason: str, save: Save) -> None:
    with pytest.raises(NeverAnImage) as caught:
        read_frame(save(FOR_EVER[reason]))
    assert f"image.bin: {reason}" in str(caught.value)


@pytest.mark.parametrize("reason", MAY_HEAL)
def test_what_may_be_a_file_on_its_way_may_heal(reason: str, save: Save) -> None:
    with pytest.raises(UnreadableImage) as caught:
        read_frame(save(MAY_HEAL[reason]))
    assert f"image.bin: {reason}" in str(caught.value)
    assert not isinstance(caught.value, NeverAnImage)


def test_what_is_no_file_of_bytes_is_refused_for_ever(tmp_path: Path) -> None:
    huge = tmp_path / "huge.bmp"
    with huge.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    for path in (tmp_path, tmp_path / "nul\0.bmp", huge):
        with pytest.raises(NeverAnImage):
            read_frame(path)


@pytest.mark.parametrize(
    "error", [PermissionError(13, "locked"), FileNotFoundError(2, "gone"), OSError(112, "host is down"), MemoryError()]
)
def test_what_the_system_refuses_may_heal(error: Exception, save: Save) -> None:
    def refuse(*_: object) -> bytes:
        raise error

    with pytest.raises(UnreadableImage) as caught:
        read_frames(save(BMP), read=refuse)
    assert not isinstance(caught.value, NeverAnImage)


def test_an_unexpected_trip_of_a_decoder_may_heal(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.images.opencv.cv2.imdecode", lambda *_: 1 / 0)
    with pytest.raises(UnreadableImage, match="ZeroDivisionError") as caught:
        read_frame(save(cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes()))
    assert not isinstance(caught.value, NeverAnImage)


@pytest.mark.parametrize(
    "data",
    [BMP, PNG, JPEG, TIFF, DEFLATED, RGB, encoded(".png", np.uint16(NOISE) * 257), encoded(".tif", rowsperstrip=5)],
    ids=["bmp", "png", "jpeg", "tiff", "deflated", "rgb", "deep", "strips"],
)
@pytest.mark.parametrize("length", ["short", "preallocated"])
def test_no_good_file_is_given_up_however_far_its_copy_has_come(data: bytes, length: str, save: Save) -> None:
    read_frame(save(data))
    for had in [*range(min(len(data), 700)), *range(700, len(data), 97)]:
        path = save(data[:had] if length == "short" else data[:had].ljust(len(data), b"\0"))
        with suppress(UnreadableImage):
            try:
                read_frame(path)
            except NeverAnImage as error:
                pytest.fail(f"{had} bytes: {error}")
