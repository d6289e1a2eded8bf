"""Files of many megabytes, good and bad, each of which takes little room on the disk."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.microscope_files.dicom_files import dicom

MEGABYTE = 1_000_000
# told and plausible, and outside of what the shipped model knows: withheld before it is mapped
UM_PER_PX = 5.0
ABSURD_OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="1" SizeY="1" SizeZ="1" '
    'SizeC="1" SizeT="1" PhysicalSizeX="1e300" PhysicalSizeY="1e-300"><TiffData/>'
    '<Plane TheZ="0" TheC="0" TheT="0" PositionZ="1e305" PositionZUnit="m"/></Pixels></Image></OME>'
)

Write = Callable[[Path, int], None]


def _sparse_tiff(path: Path, shape: tuple[int, ...], kind: type[np.integer], **options: object) -> None:
    """A TIFF of zeros with some levels in its first and last rows."""
    pixels = tifffile.memmap(path, shape=shape, dtype=kind, photometric="minisblack", **options)
    flat = pixels.reshape(-1)
    flat[:1000] = flat[-1000:] = np.arange(1000) % 200
    pixels.flush()


def _side(megabytes: int, bytes_a_pixel: int = 1) -> int:
    return int((megabytes * MEGABYTE / bytes_a_pixel) ** 0.5)


def tiff_of_8_bits(path: Path, megabytes: int) -> None:
    side = _side(megabytes)
    px_a_cm = 10_000 / UM_PER_PX
    _sparse_tiff(path, (side, side), np.uint8, metadata=None, resolution=(px_a_cm, px_a_cm), resolutionunit=3)


def tiff_of_16_bits(path: Path, megabytes: int) -> None:
    side = _side(megabytes, 2)
    _sparse_tiff(path, (side, side), np.uint16, metadata=None)


def tiff_of_many_pages(path: Path, megabytes: int) -> None:
    side = _side(megabytes) // 20
    _sparse_tiff(path, (400, side, side), np.uint8, metadata=None)


def tiff_with_absurd_numbers(path: Path, megabytes: int) -> None:
    side = _side(megabytes)
    _sparse_tiff(path, (side, side), np.uint8, metadata=None, description=ABSURD_OME)


def tiff_deflated_with_damage(path: Path, megabytes: int) -> None:
    rows = np.random.default_rng(5).integers(0, 256, (megabytes, 1000, 1000), np.uint8).reshape(-1, 1000)
    tifffile.imwrite(path, rows, compression="zlib", compressionargs={"level": 0}, rowsperstrip=1000, metadata=None)
    with path.open("r+b") as file:
        file.seek(-1000, 2)
        file.write(b"\xff" * 900)


def _bmp_header(width: int, height: int) -> bytes:
    palette = b"".join(bytes((level, level, level, 0)) for level in range(256))
    at = 54 + len(palette)
    return (
        b"BM"
        + struct.pack("<IHHI", 0, 0, 0, at)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, *[0] * 6)
        + palette
    )


def bmp_cut(path: Path, megabytes: int) -> None:
    side = _side(megabytes) // 4 * 4
    _long(path, _bmp_header(side, side), side * side)


def bmp_small_and_nothing_behind(path: Path, megabytes: int) -> None:
    _long(path, _bmp_header(200, 200) + bytes(40_000), 20 * megabytes * MEGABYTE)


def nothing(path: Path, megabytes: int) -> None:
    _long(path, b"", 20 * megabytes * MEGABYTE)


def _long(path: Path, begin: bytes, size: int) -> None:
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(size)
        file.seek(size - 3)
        file.write(b"cut")


def png_cut(path: Path, megabytes: int) -> None:
    """A PNG with all its pixels, and without an end."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = bytes(megabytes * (MEGABYTE + 1000))
    header = struct.pack(">IIBBBBB", 1000, 1000 * megabytes, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels)


def dicom_cut(path: Path, megabytes: int) -> None:
    side = _side(megabytes)
    path.write_bytes(dicom(np.zeros((side, side), np.uint8)))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - MEGABYTE)


LARGE_FILES: dict[str, Write] = {
    each.__name__: each
    for each in (
        tiff_of_8_bits,
        tiff_of_16_bits,
        tiff_of_many_pages,
        tiff_with_absurd_numbers,
        tiff_deflated_with_damage,
        bmp_cut,
        bmp_small_and_nothing_behind,
        nothing,
        png_cut,
        dicom_cut,
    )
}
