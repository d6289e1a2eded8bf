"""Files made to do harm: each is refused, or read, at once and in little memory, whatever its header claims."""

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images import read_frame

MOST_MB = 16
MOST_S = 1.0
BIG = 2**31


class Case(NamedTuple):
    """A file and what comes of it: words of the refusal and whether it is for ever, or a frame where there are none."""

    data: bytes
    reason: str
    never: bool = True


def zeros(count: int) -> bytes:
    deflater = zlib.compressobj(9)
    return b"".join(deflater.compress(bytes(1 << 20)) for _ in range(count >> 20)) + deflater.flush()


def png(size: tuple[int, int], pixels: bytes, *extra: tuple[bytes, bytes], depth: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), *extra, (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def bmp(width: int, height: int, *, at: int = 54, length: int = 0) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHI", length, 0, 0, at)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
        + b"\x55" * 300
    )


def tiff(*tags: tuple[int, int], then: int = 0, pixels: bytes = b"\x55" * 100, **changed: int) -> bytes:
    """A TIFF of 10 x 10 grey pixels in one strip, with LONG tags put in or changed; the strip at byte 1000."""
    width, height, rows = (changed.get(name, 10) for name in ("width", "height", "rows"))
    entries = {256: width, 257: height, 258: 8, 259: changed.get("compression", 1), 262: 1}
    entries |= {273: 1000, 277: 1, 278: rows, 279: len(pixels)} | dict(tags)
    raw = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in sorted(entries.items()))
    return (b"II*\0" + struct.pack("<IH", 8, len(entries)) + raw + struct.pack("<I", then)).ljust(1000, b"\0") + pixels


def with_entry(data: bytes, code: int, kind: int, count: int, offset: int) -> bytes:
    """A TIFF of `tiff` with one tag given more values."""
    for at in range(10, 200, 12):
        if struct.unpack_from("<H", data, at)[0] == code:
            return data[:at] + struct.pack("<HHII", code, kind, count, offset) + data[at + 12 :]
    raise KeyError(code)


def directories(*following: int) -> bytes:
    """Directories of one tag each, 18 bytes apart from byte 8, and where each says that the next one is."""
    one = struct.pack("<HHHII", 1, 256, 4, 1, 10)
    return b"II*\0" + struct.pack("<I", 8) + b"".join(one + struct.pack("<I", offset) for offset in following)


def crowded(tags: int) -> bytes:
    """A TIFF whose tags all have the same 100 KB as their values."""
    raw = b"".join(struct.pack("<HHII", 60000 + n, 3, 50_000, 60_000) for n in range(tags))
    return (b"II*\0" + struct.pack("<IH", 8, tags) + raw + bytes(4)).ljust(60_000, b"\1") + b"\1" * 100_000


def segment(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body


def jpeg(width: int, height: int, *, frame: int = 0xC0, factors: int = 0x11, scans: int = 1, coded: int = 10) -> bytes:
    header = segment(frame, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, factors, 0]))
    scan = segment(0xDA, bytes([1, 1, 0, 0, 63, 0])) + b"\x55" * coded
    return b"\xff\xd8" + segment(0xDB, bytes([0, *[1] * 64])) + header + scan * scans + b"\xff\xd9"


BOMB = zeros(64 << 20)
SMALL = zlib.compress(bytes(110))
JPEG = bytes(cv2.imencode(".jpg", np.zeros((10, 10), np.uint8))[1])

CASES = {
    "bmp of 2^31 by 2^31": Case(bmp(BIG - 1, -BIG), "too large"),
    "bmp of a negative width": Case(bmp(-10, 10), "without pixels"),
    "bmp of no width": Case(bmp(0, 10), "without pixels"),
    "bmp of no height": Case(bmp(10, 0), "without pixels"),
    "bmp with pixels at -1": Case(bmp(10, 10, at=2**32 - 1), "truncated", never=False),
    "bmp with pixels in its header": Case(bmp(9, 9, at=5), "inside itself"),
    "bmp that claims 4 GB": Case(bmp(10, 10, length=2**32 - 1), "truncated", never=False),
    "png of 2^31 by 2^31": Case(png((BIG, BIG), SMALL), "too large"),
    "png of no width": Case(png((0, 10), SMALL), "without pixels"),
    "png of 2^28 pixels in 100 bytes": Case(png((1 << 14, 1 << 14), SMALL), "truncated", never=False),
    "png of 2^31 bytes": Case(png((1 << 14, 1 << 14), SMALL, depth=16, colour=6), "too many bytes"),
    "png that inflates to 64 MB more": Case(png((10, 10), BOMB), "more pixels than its header says"),
    "png of a million and one columns": Case(png((1_000_001, 1), zlib.compress(bytes(1_000_002))), "too long"),
    "png with a text of 64 MB": Case(png((10, 10), SMALL, (b"zTXt", b"Comment\0\0" + BOMB)), ""),
    "png with a text in Unicode of 64 MB": Case(png((10, 10), SMALL, (b"iTXt", b"Comment\0\1\0\0\0" + BOMB)), ""),
    "png with a colour profile of 64 MB": Case(png((10, 10), SMALL, (b"iCCP", b"icc\0\0" + BOMB)), ""),
    "png of a great many chunks": Case(png((10, 10), SMALL, *[(b"tEXt", b"")] * 300_000), "too many chunks"),
    "tiff of 2^31 by 2^31": Case(tiff(width=BIG, height=BIG), "too large"),
    "tiff of no width": Case(tiff(width=0), "without pixels"),
    "tiff whose strip inflates to 64 MB": Case(tiff(pixels=BOMB, compression=8), "strips are damaged", never=False),
    "tiff of 2^28 pixels in 100 bytes": Case(tiff(width=1 << 14, height=1 << 14, rows=1 << 14), "truncated", False),
    "tiff of 2^28 strips": Case(tiff(width=1, height=1 << 28, rows=1), "strips do not make up its image"),
    "tiff of 2^28 tiles": Case(tiff((322, 1), (323, 1), width=1 << 14, height=1 << 14), "strips do not make up"),
    "tiff of small rows in large tiles": Case(tiff((322, 1), (323, 1 << 28), (324, 1000), (325, 100)), "too large"),
    "tiff of strips without rows": Case(tiff(rows=0), "strips have no rows"),
    "tiff whose strip is beyond the end": Case(tiff((273, 2**32 - 1)), "truncated", never=False),
    "tiff whose strip wraps round": Case(tiff((279, 2**32 - 1)), "truncated", never=False),
    "tiff with 2^32 strip offsets": Case(with_entry(tiff(), 273, 4, 2**32 - 1, 8), "truncated", never=False),
    "tiff with a million strip offsets": Case(
        with_entry(tiff(pixels=b"\1" * 2_200_000), 273, 3, (1 << 20) + 1, 1000), "directory is not legal"
    ),
    "tiff whose tags share their values": Case(crowded(4000), "contradicts itself"),
    "tiff of too many tags": Case(crowded(4500), "4500 tags"),
    "tiff whose directory follows itself": Case(directories(8) + b"\1" * 20, "in a circle"),
    "tiff whose directories end in a circle": Case(
        directories(*range(26, 26 + 18 * 199, 18), 8 + 18 * 150) + b"\1" * 4096, "in a circle"
    ),
    "tiff of endless directories": Case(directories(*range(26, 26 + 18 * 50_000, 18)), "too many pages"),
    "tiff whose directory is beyond the end": Case(b"II*\0\xff\xff\xff\xff" + b"\1" * 100, "truncated", never=False),
    "tiff whose directory is its header": Case(b"II*\0" + bytes(4) + b"\1" * 100, "truncated", never=False),
    "bigtiff whose directory is beyond the end": Case(b"II+\0\x08\0\0\0" + b"\xff" * 100, "truncated", never=False),
    "jpeg of 65535 by 65535": Case(jpeg(65535, 65535), "too large"),
    "jpeg of no height": Case(jpeg(10, 0), "without pixels"),
    "jpeg of 2^28 pixels in 10 bytes": Case(jpeg(1 << 14, 1 << 14), "truncated", never=False),
    "jpeg of a sampling beyond the standard": Case(jpeg(1 << 14, 1 << 14, factors=0xFF), "header is not legal"),
    "jpeg of a great many scans": Case(jpeg(4096, 4096, frame=0xC2, scans=1000, coded=40_000 >> 7), "33 scans"),
    "jpeg of a great many segments": Case(b"\xff\xd8" + segment(0xFE) * 100_000 + JPEG[2:], "segments"),
    "jpeg of several frames": Case(JPEG[:-2] + JPEG[2:], "several frame headers"),
    "jpeg of a megabyte of fill": Case(b"\xff\xd8" + b"\xff" * (1 << 20), "truncated", never=False),
    "jpeg whose segment is beyond the end": Case(b"\xff\xd8\xff\xe1\xff\xff" + b"\1" * 100, "truncated", never=False),
}

# one process for all: it reads a small file of each kind first, so that what is measured is the file and no import
MEASURE = """
import json, sys, time
from pathlib import Path
from runtime.errors import UnreadableImage
from runtime.images import read_frame

def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

def measure(path):
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, started = kilobytes("VmRSS"), time.process_time()
    try:
        read_frame(Path(path))
    except UnreadableImage:
        pass
    return time.process_time() - started, (kilobytes("VmHWM") - before) / 1024

warm, *paths = sys.argv[1:]
for path in Path(warm).iterdir():
    measure(path)
print(json.dumps({Path(path).name: measure(path) for path in paths}))
"""


@pytest.fixture(scope="module")
def spent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """(seconds of processor, megabytes at the peak) of each case, by name."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of memory is measured on Linux")
    warm, folder = tmp_path_factory.mktemp("warm"), tmp_path_factory.mktemp("hostile")
    for suffix in (".bmp", ".png", ".jpg"):
        (warm / f"small{suffix}").write_bytes(bytes(cv2.imencode(suffix, np.zeros((10, 10), np.uint8))[1]))
    (warm / "small.tif").write_bytes(tiff())
    for name, case in CASES.items():
        (folder / name).write_bytes(case.data)
    paths = [str(folder / name) for name in CASES]
    said = subprocess.run([sys.executable, "-c", MEASURE, str(warm), *paths], capture_output=True, check=True)
    measured: dict[str, Any] = json.loads(said.stdout)
    return measured


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_told_for_what_it_is(name: str, tmp_path: Path) -> None:
    case, path = CASES[name], tmp_path / "image"
    path.write_bytes(case.data)
    if not case.reason:
        assert read_frame(path).pixels.shape == (10, 10)
        return
    with pytest.raises(UnreadableImage, match=case.reason) as caught:
        read_frame(path)
    assert isinstance(caught.value, NeverAnImage) == case.never


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_costs_little_time_and_memory(name: str, spent: dict[str, Any]) -> None:
    seconds, megabytes = spent[name]
    assert seconds < MOST_S
    assert megabytes < MOST_MB + 3 * len(CASES[name].data) / 2**20
