"""A long file is refused by its beginning: what it costs, and what is said of it."""

import io
import os
import struct
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from benchmarks.microscope_files.dicom_files import NATIVE, dicom
from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images import read_frame
from runtime.images.beginning import READ_AT_ONCE_BYTES, check_beginning
from runtime.images.limits import BESIDE_PIXELS, check_length
from runtime.images.source import InMemory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="long files are sparse there only where asked for")

LONG = 3_900_000_000
# of one head that is looked at, and what pydicom makes of it
MOST_BYTES = 24 << 20

GREY = np.random.default_rng(0).integers(0, 256, (50, 60), np.uint8)


def encoded(suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, GREY)[1])


def tiff(**options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, GREY, photometric="minisblack", **options)
    return out.getvalue()


WHOLE: dict[str, bytes] = {
    "bmp": encoded(".bmp"),
    "png": encoded(".png"),
    "jpeg": encoded(".jpg"),
    "tiff": tiff(),
    "tiff, deflated": tiff(compression="zlib"),
    "tiff, tiles": tiff(tile=(16, 16)),
    "bigtiff": tiff(bigtiff=True),
    "imagej": tiff(imagej=True),
    **{f"dicom, {encoding}": dicom(GREY, encoding=encoding) for encoding in (*NATIVE, "RLE", "JPEG-LS")},
    "dicom, floating point": dicom(GREY.astype(np.float32)),
}


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes bytes at the beginning and at the end of a long file with nothing between."""

    def write(begin: bytes, end: bytes = b"", size: int = LONG) -> Path:
        path = tmp_path / "long"
        with path.open("wb") as file:
            file.write(begin)
            file.truncate(size)
            if end:
                file.seek(size - len(end))
                file.write(end)
        return path

    return write


def refusal(path: Path) -> UnreadableImage:
    """The error of a file, which has to cost next to nothing."""
    # what is imported once
    with pytest.raises(UnreadableImage):
        read_frame(path)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImage) as caught:
            read_frame(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    return caught.value


@pytest.mark.timeout(30)
def test_zeros_may_be_a_file_on_its_way(save: Callable[..., Path]) -> None:
    error = refusal(save(b""))
    assert "not an image that is read; seen: first bytes 00 00" in str(error)
    assert not isinstance(error, NeverAnImage)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "begin", [b"\x89PNG\r\n\x1a\n", b"II*\0", b"II+\0", b"\xff\xd8\xff", b"BM", bytes(128) + b"DICM"]
)
def test_a_mark_and_zeros_may_be_a_file_on_its_way(begin: bytes, save: Callable[..., Path]) -> None:
    assert not isinstance(refusal(save(begin)), NeverAnImage)


@pytest.mark.timeout(30)
def test_other_bytes_are_never_an_image(save: Callable[..., Path]) -> None:
    assert isinstance(refusal(save(b"PK\3\4" * 100, b"other")), NeverAnImage)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", WHOLE)
def test_a_small_image_and_gigabytes_behind_it(name: str, save: Callable[..., Path]) -> None:
    error = refusal(save(WHOLE[name]))
    assert "the file is far longer than its image; seen: 3900000000 bytes, of which" in str(error)
    assert not isinstance(error, NeverAnImage), "who reserves room for a file cuts it at the end"
    assert type(refusal(save(WHOLE[name], b"other"))) is NeverAnImage


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", WHOLE)
def test_what_a_maker_keeps_beside_the_pixels_is_no_reason(name: str, save: Callable[..., Path]) -> None:
    path = save(WHOLE[name], size=READ_AT_ONCE_BYTES + 1000)
    if name.startswith("dicom"):
        # zeros are no elements
        with InFile(path) as file:
            check_beginning(file)
    else:
        assert read_frame(path).width == 60


class InFile:
    """A file as a source."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def __enter__(self) -> "InFile":
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def read_at(self, at: int, count: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(at)
            return file.read(count)


@pytest.mark.timeout(30)
def test_a_cut_bmp_is_not_read(save: Callable[..., Path]) -> None:
    header = b"BM" + struct.pack("<IHHI", 0, 0, 0, 54)
    header += struct.pack("<IiiHHIIiiII", 40, 16384, 16384, 1, 32, 0, 0, 0, 0, 0, 0)
    error = refusal(save(header, b"cut", size=(1 << 30) - 1))
    assert "truncated; seen: 1073741823 bytes; wanted: 1073741878 bytes by its header" in str(error)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("side", [0, 1 << 15])
def test_sizes_that_no_image_has_are_refused_unread(side: int, save: Callable[..., Path]) -> None:
    bmp = b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, *[0] * 6)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    entries = b"".join(struct.pack("<HHII", code, 4, 1, side) for code in (256, 257))
    small = b"II*\0" + struct.pack("<IH", 8, 2) + entries
    for data in (bmp, png, small):
        assert isinstance(refusal(save(data, b"other")), NeverAnImage)


@pytest.mark.timeout(30)
def test_a_tiff_whose_directory_is_at_the_end_is_looked_into(save: Callable[..., Path]) -> None:
    data = WHOLE["tiff"]
    size = READ_AT_ONCE_BYTES + len(data)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        moved = bytearray(data)
        for tag in page.tags:
            if tag.valueoffset > tag.offset + 12:
                struct.pack_into("<I", moved, tag.offset + 8, tag.valueoffset + READ_AT_ONCE_BYTES)
        struct.pack_into("<I", moved, page.tags[273].valueoffset, page.dataoffsets[0] + READ_AT_ONCE_BYTES)
        first = page.offset + READ_AT_ONCE_BYTES
    path = save(data[:4] + struct.pack("<I", first), bytes(moved), size=size)
    assert np.array_equal(read_frame(path).pixels, GREY)
    with path.open("r+b") as file_of:
        file_of.truncate(size - 1)
    with pytest.raises(UnreadableImage, match="truncated"):
        read_frame(path)


@pytest.mark.timeout(30)
def test_a_stack_behind_one_page_counts_all_its_images() -> None:
    description = "ImageJ=1.54f\nimages=4000000\nslices=4000000\nunit=micron\nspacing=3.0\n"
    out = io.BytesIO()
    tifffile.imwrite(out, GREY[:1, :60], photometric="minisblack", description=description, metadata=None)

    class Long(InMemory):
        @property
        def size(self) -> int:
            return 4_000_000 * 60 + len(self.data)

    check_beginning(Long(out.getvalue()))


def test_the_longest_file_of_an_image_exactly() -> None:
    check_length(2 * 1000 + BESIDE_PIXELS, 1000)
    with pytest.raises(NeverAnImage, match="far longer than its image; seen: 33556433 bytes, of which 1000"):
        check_length(2 * 1000 + BESIDE_PIXELS + 1, 1000)


@pytest.mark.parametrize("more", [0, 1])
def test_files_are_looked_into_from_a_length_on(more: int, save: Callable[..., Path]) -> None:
    looked: list[int] = []

    class Watched(InFile):
        def read_at(self, at: int, count: int) -> bytes:
            looked.append(at)
            return super().read_at(at, count)

    check_beginning(Watched(save(WHOLE["bmp"], size=READ_AT_ONCE_BYTES + more)))
    assert bool(looked) is bool(more)


def test_the_bytes_that_were_checked_are_those_that_are_read(
    save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(WHOLE["bmp"], size=READ_AT_ONCE_BYTES + 1)
    opened: list[object] = []
    before = os.open

    def note(file: str, *arguments: Any, **options: Any) -> int:
        opened.append(file)
        return before(file, *arguments, **options)

    monkeypatch.setattr(os, "open", note)
    read_frame(path)
    assert opened == [path]
