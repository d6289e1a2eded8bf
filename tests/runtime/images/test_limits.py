"""Each limit holds for what is exactly as large, and for nothing that is larger.

Limits are written out here, so that none changes unnoticed.
"""

import hashlib
import io
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from benchmarks.microscope_files.dicom_files import dicom
from runtime.errors import InflamapError, NeverAnImage, UnreadableImage
from runtime.images import EIGHT_BIT, Frame, on_grid, read_frame
from runtime.images.bmp import decode_bmp
from runtime.images.codecs import jpeg_size
from runtime.images.dicom import decode_dicom
from runtime.images.frame import at_scale
from runtime.images.grid import scale_of_grid
from runtime.images.jpeg import decode_jpeg
from runtime.images.limits import check_claim, check_size
from runtime.images.ome import read_ome
from runtime.images.opencv import decode_with_opencv
from runtime.images.opening import read_shared, sha256_shared
from runtime.images.png import decode_png
from runtime.images.source import InMemory
from runtime.images.tiff import decode_tiff
from runtime.images.tiff_directory import check_directory

GREY = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
JPEG = bytes(cv2.imencode(".jpg", GREY)[1])
# a file as long as this system's sparse files are cheap
sparse = pytest.mark.skipif(sys.platform == "win32", reason="long files are sparse there only where asked for")


def refused(call: Callable[[], object], match: str = "") -> bool:
    """Whether a call refuses for ever, for a reason."""
    found: UnreadableImage | None = None
    try:
        call()
    except UnreadableImage as error:
        found = error
    if isinstance(found, NeverAnImage):
        assert match in str(found)
        return True
    assert not match or match not in str(found)
    return False


@sparse
@pytest.mark.timeout(30)
@pytest.mark.parametrize("more", [0, 1])
def test_4_gib_of_a_file(more: int, tmp_path: Path) -> None:
    path = tmp_path / "long.bmp"
    with path.open("wb") as file:
        file.truncate(4 * 1024**3 + more)
    assert refused(lambda: read_frame(path), "too large") is bool(more)


@pytest.mark.parametrize("read", [read_shared, sha256_shared])
def test_the_longest_file_is_read(read: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.images.opening.MAX_FILE_BYTES", 1000)
    (tmp_path / "f").write_bytes(bytes(1000))
    assert read(tmp_path / "f") in (bytes(1000), hashlib.sha256(bytes(1000)).hexdigest())
    (tmp_path / "f").write_bytes(bytes(1001))
    assert refused(lambda: read(tmp_path / "f"), "too large; seen: 1001 bytes; wanted: at most 1000 bytes")


@pytest.mark.parametrize(
    ("size", "is_refused"),
    [
        ((16384, 16384), False),
        ((16384, 16385), True),
        ((2**28, 1), False),
        ((1, 2**28 + 1), True),
        ((1, 1), False),
        ((0, 1), True),
        ((1, 0), True),
    ],
)
def test_2_to_the_28_pixels(size: tuple[int, int], is_refused: bool) -> None:
    assert refused(lambda: check_size(*size)) is is_refused


@pytest.mark.parametrize(
    ("decoded", "file", "is_refused"),
    [
        (2**28, 1, False),
        (2**28 + 1, 1, True),
        (2**28 + 1, 2**23, True),
        (2**28 + 32, 2**23 + 1, False),
        (2**28 + 33, 2**23 + 1, True),
        (32 * 10**8, 10**8, False),
        (32 * 10**8 + 1, 10**8, True),
    ],
)
def test_32_times_the_file_or_2_to_the_28_bytes(decoded: int, file: int, is_refused: bool) -> None:
    assert refused(lambda: check_claim(decoded, file), "claims more pixels") is is_refused


@pytest.mark.parametrize("more", [0, 1])
def test_2_to_the_28_pixels_at_the_models_scale(more: int) -> None:
    # no memory is spent on it
    pixels = np.broadcast_to(np.zeros((), np.uint8), (4096 + more, 16384))
    frame = Frame(pixels, EIGHT_BIT, "", 1.0, "option")
    if more:
        with pytest.raises(InflamapError, match="too large at the model's scale"):
            on_grid(frame, 0.5)
    else:
        assert on_grid(frame, 0.5).shape == (8192, 32768)


def of_scans(count: int) -> bytes:
    """A JPEG with its only scan repeated, so that it is read as far as its scans are counted."""
    at = JPEG.index(b"\xff\xda")
    return JPEG[:at] + JPEG[at:-2] * count + b"\xff\xd9"


@pytest.mark.parametrize("count", [32, 33])
def test_32_scans(count: int) -> None:
    assert refused(lambda: decode_jpeg(of_scans(count)), f"{count} scans") is (count > 32)
    assert refused(lambda: jpeg_size(of_scans(count)), f"{count} scans") is (count > 32)


@pytest.mark.parametrize("more", [0, 1])
def test_2_to_the_16_segments_beside_the_first(more: int) -> None:
    own = JPEG.count(b"\xff\xdb") + JPEG.count(b"\xff\xc4") + 3
    data = JPEG[:2] + b"\xff\xfe\0\2" * (2**16 + 1 - own + more) + JPEG[2:]
    assert refused(lambda: decode_jpeg(data), "segments") is bool(more)


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *extra: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + pixels + chunk(b"IEND")


@pytest.mark.parametrize("more", [0, 1])
def test_2_to_the_18_chunks(more: int) -> None:
    data = png(3, 3, chunk(b"tEXt") * (2**18 - 3 + more))
    assert refused(lambda: decode_png(data), "too many chunks") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_a_million_pixels_along_a_side(more: int) -> None:
    assert refused(lambda: decode_png(png(1_000_000 + more, 1)), "too long") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_99_hundredths_of_it_of_a_png(more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.images.png.MAX_BYTES", 10_000)
    # with a byte before each row
    assert refused(lambda: decode_png(png(9899 + more, 1)), "too many bytes") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_2_to_the_31_bytes_for_opencv(more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(cv2.imencode(".bmp", GREY)[1])
    monkeypatch.setattr("runtime.images.opencv.MAX_BYTES", len(data) - more)
    assert refused(lambda: decode_with_opencv(data, 30, 20), "too many bytes") is bool(more)


def directory(tags: int, *, then: int = 0) -> bytes:
    """A TIFF's directory of tags with a byte each."""
    raw = b"".join(struct.pack("<HHII", 60_000 + number, 1, 1, 0) for number in range(tags))
    return struct.pack("<H", tags) + raw + struct.pack("<I", then)


def tiff_of(*directories: bytes, length: int = 0) -> InMemory:
    return InMemory((b"II*\0" + struct.pack("<I", 8) + b"".join(directories)).ljust(length, b"\1"))


@pytest.mark.parametrize("more", [0, 1])
def test_4096_tags(more: int) -> None:
    assert refused(lambda: check_directory(tiff_of(directory(4096 + more))), "4097 tags") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_1024_pages(more: int) -> None:
    size = len(directory(1))
    count = 1024 + more
    pages = [directory(1, then=8 + size * (number + 1) if number < count - 1 else 0) for number in range(count)]
    assert refused(lambda: check_directory(tiff_of(*pages)), "too many pages") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_2_to_the_20_values_of_a_tag(more: int) -> None:
    # of two bytes each: bytes are no numbers
    entry = struct.pack("<HHHIII", 1, 60_000, 3, 2**20 + more, 0, 0)
    assert refused(lambda: check_directory(tiff_of(entry, length=3 << 20)), "values of tag 60000") is bool(more)
    entry = struct.pack("<HHHIII", 1, 60_000, 1, 2**20 + more, 0, 0)
    assert not refused(lambda: check_directory(tiff_of(entry, length=3 << 20)))


@pytest.mark.parametrize("more", [0, 1])
def test_2_to_the_22_values_of_all_tags(more: int) -> None:
    counts = [2**20 - 1] * 4 + [4 + more]
    raw = b"".join(struct.pack("<HHII", 60_000 + n, 3, count, 0) for n, count in enumerate(counts))
    file = tiff_of(struct.pack("<H", 5) + raw + bytes(4), length=10 << 20)
    assert refused(lambda: check_directory(file), "directories contradict each other") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_values_of_all_directories_of_twice_the_file_and_2_to_the_20_bytes(more: int) -> None:
    # two bytes each, and the same ones, in a file of 2^21
    counts = (2**20, 2**20, 2**19 + more)
    thens = (26, 44, 0)
    pages = [struct.pack("<HHHIII", 1, 60_000, 3, count, 0, then) for count, then in zip(counts, thens, strict=True)]
    file = tiff_of(*pages, length=2**21)
    assert refused(lambda: check_directory(file), "directories contradict each other") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_1024_frames(more: int) -> None:
    data = dicom(np.zeros((1024 + more, 1, 2), np.uint8))
    assert refused(lambda: decode_dicom(data), "number of frames") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_what_a_deflated_dicom_file_may_become(more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dicom(GREY, encoding="deflated")
    at = 132 + 12 + int.from_bytes(data[140:144], "little")
    inflated = len(zlib.decompress(data[at:], wbits=-15))
    monkeypatch.setattr("runtime.images.dicom_dataset.most_decoded", lambda _: inflated - more)
    assert refused(lambda: decode_dicom(data), "inflates to too much") is bool(more)


def ome(blocks: str = "", length: int = 0) -> str:
    begin, end = '<OME><Image><Pixels PhysicalSizeX="0.5">', "</Pixels></Image></OME>"
    return begin + blocks + " " * (length - len(begin) - len(blocks) - len(end)) + end


@pytest.mark.parametrize("more", [0, 1])
def test_2_to_the_22_characters_of_ome(more: int) -> None:
    assert refused(lambda: read_ome(ome(length=2**22 + more), 1), "OME-XML is not read") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_2_to_the_16_planes_of_ome(more: int) -> None:
    # a block counts as itself and as the pages that it names
    blocks = '<TiffData IFD="0" PlaneCount="1"/>' * (2**15 - 1) + f'<TiffData IFD="0" PlaneCount="{1 + more}"/>'
    assert refused(lambda: read_ome(ome(blocks), 2), "again and again") is bool(more)


@pytest.mark.parametrize("more", [0, 1])
def test_levels_of_12_bits(more: int, tmp_path: Path) -> None:
    pixels = np.full((4, 4), 4095 + more, np.uint16)
    (tmp_path / "f.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    frame = read_frame(tmp_path / "f.png")
    assert (frame.depth is not None) is bool(more)


@pytest.mark.parametrize(("other", "is_square"), [(0.50999, True), (0.5101, False), (0.49001, True), (0.4899, False)])
def test_sides_that_differ_by_2_percent(other: float, is_square: bool) -> None:
    assert (scale_of_grid(other, 0.5)[0] is not None) is is_square


@pytest.mark.parametrize(("told", "is_noted"), [(0.50999, False), (0.5101, True), (0.49001, False), (0.4899, True)])
def test_scales_that_differ_by_2_percent(told: float, is_noted: bool) -> None:
    frame = Frame(GREY, EIGHT_BIT, "", told, "tiff")
    assert bool(at_scale(frame, 0.5, "option").notes) is is_noted


@pytest.mark.parametrize(("px_a_cm", "um"), [(1000, 10.0), (999, None), (1001, 10_000 / 1001)])
def test_10_um_are_no_printers(px_a_cm: int, um: float | None) -> None:
    out = io.BytesIO()
    tifffile.imwrite(
        out, GREY, photometric="minisblack", metadata=None, resolution=(px_a_cm, px_a_cm), resolutionunit=3
    )
    decoded = decode_tiff(out.getvalue())
    assert (decoded.um_per_px, decoded.objections) == (um if um is None else pytest.approx(um), ())


@pytest.mark.parametrize(("px", "is_a_printers"), [((1, 1), True), ((999, 1000), False)])
def test_a_pixel_of_an_inch_stands_for_no_scale(px: tuple[int, int], is_a_printers: bool) -> None:
    out = io.BytesIO()
    tifffile.imwrite(out, GREY, photometric="minisblack", metadata=None, resolution=(px, px), resolutionunit=2)
    decoded = decode_tiff(out.getvalue())
    assert decoded.um_per_px is None
    assert (decoded.objections == ()) is is_a_printers


@pytest.mark.parametrize("missing", [0, 1])
def test_a_bmp_whose_pixels_end_with_the_file(missing: int) -> None:
    data = bytearray(cv2.imencode(".bmp", GREY)[1].tobytes())
    struct.pack_into("<I", data, 2, 0)
    if missing:
        with pytest.raises(UnreadableImage, match="truncated"):
            decode_bmp(bytes(data[:-1]))
    else:
        assert np.array_equal(decode_bmp(bytes(data)), GREY)
