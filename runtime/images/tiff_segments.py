"""The strips and tiles of a TIFF's page: whether they are whole. tifffile would fill gaps with black."""

import math
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.codecs import CodedSize, codec, is_whole_jpeg, jpeg_2000_size, jpeg_size
from runtime.images.inflate import Inflating
from runtime.images.limits import check_size, truncated

# numbers of the TIFF 6.0 specification and its supplements
PLAIN, JPEG = 1, 7
DEFLATE = frozenset({8, 32946})
# by the name of their codec; what it gives is a string of bytes
_BYTES = {5: "lzw", 32773: "packbits", 50000: "zstd"}
# and an image; the second and third are Aperio's, the fourth Leica's
JPEG_2000 = frozenset({34712, 33003, 33005, 33004})
COMPRESSIONS = frozenset({PLAIN, JPEG}) | DEFLATE | frozenset(_BYTES) | JPEG_2000
# a predictor that is undone by imagecodecs alone
_FLOATING_POINT = 3


def check_segments(page: Any, data: bytes) -> None:
    """Every strip or tile lies in the file and holds all its pixels.

    Args:
        page: tifffile's, of a kind that is read.
        data: the whole file.

    Raises:
        UnreadableImage: truncated or damaged, or a codec is missing.
        NeverAnImage: not as many as make up the image.
    """
    if page.predictor == _FLOATING_POINT:
        codec("floatpred")
    offsets, counts = page.dataoffsets, page.databytecounts
    number, wanted = _segment_bytes(page)
    if not len(offsets) == len(counts) == number:
        raise NeverAnImage(
            "the TIFF's strips do not make up its image",
            seen=f"{len(offsets)} strips",
            wanted=f"{number}",
        )
    for offset, count, (least, most) in zip(offsets, counts, wanted, strict=True):
        if offset <= 0 or offset + count > len(data):
            raise truncated(f"{len(data)} bytes", f"a strip of {count} bytes at byte {offset}")
        held = count if page.compression == PLAIN else _held(page, memoryview(data)[offset : offset + count], most)
        if held < least:
            raise truncated(f"a strip of {held} bytes", f"{least} bytes of pixels")


def _held(page: Any, segment: memoryview, most: int) -> int:
    """How many bytes of pixels a compressed segment holds, told without spending memory on more than `most`."""
    compression, whole = int(page.compression), True
    if compression in DEFLATE:
        held, whole = _inflated_bytes(segment, most)
    elif compression in _BYTES:
        try:
            held = len(codec(_BYTES[compression])(segment, out=bytearray(most + 1)))
        except UnreadableImage:
            raise
        except Exception as error:  # each codec has its own
            raise UnreadableImage("the TIFF's strips are damaged", seen=type(error).__name__) from None
    else:
        return _coded(page, bytes(segment))
    if held > most or not whole:
        raise UnreadableImage("the TIFF's strips are damaged", seen=f"{held} bytes", wanted=f"at most {most}")
    return held


def _coded(page: Any, segment: bytes) -> int:
    """The same of one that is an image with a header of its own."""
    if page.compression == JPEG:
        told = jpeg_size(segment)
        codec("jpeg8")
        if told is not None and not is_whole_jpeg(segment):
            raise truncated("a strip of JPEG without its end marker", "the rest of it")
    else:
        told = jpeg_2000_size(segment)
        codec("jpeg2k")
    if told is None:
        raise UnreadableImage("the TIFF's strips are damaged", wanted="a header that gives their size")
    _check_coded(told, page)
    return told.width * told.height * told.samples * (int(page.bitspersample) // 8)


def _check_coded(told: CodedSize, page: Any) -> None:
    width, height = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
    together = 1 if int(page.planarconfig) == 2 else int(page.samplesperpixel)
    if told.width != width or told.height > height or told.samples != together or told.bits != page.bitspersample:
        raise NeverAnImage(
            "the TIFF's strips contradict its header",
            seen=f"{told.width} x {told.height}, {told.samples} samples of {told.bits} bits",
            wanted=f"{width} x {height}, {together} of {page.bitspersample}",
        )


def _inflated_bytes(deflated: memoryview, most: int) -> tuple[int, bool]:
    """How many bytes a segment inflates to, counted until there are more than `most`; whether its stream ended."""
    inflating, held = Inflating(deflated), 0
    for piece in inflating:
        held += len(piece)
        if held > most:
            break
    return held, inflating.ended


def _segment_bytes(page: Any) -> tuple[int, Iterator[tuple[int, int]]]:
    """How many strips or tiles there should be, and (least, most) bytes of pixels in each, in file order.

    Not a list: a header of a few bytes may ask for as many strips as there may be pixels.
    """
    height, width = int(page.imagelength), int(page.imagewidth)
    planes, together = (page.samplesperpixel, 1) if int(page.planarconfig) == 2 else (1, page.samplesperpixel)
    pixel_bytes = int(together) * (page.bitspersample // 8)
    if page.is_tiled:
        across, down = int(page.tilewidth), int(page.tilelength)
        check_size(across, down)
        columns, rows = math.ceil(width / across), math.ceil(height / down)
        # what the tiles hold beyond the image is inflated too
        check_size(columns * across, rows * down)
        tile, number = across * down * pixel_bytes, columns * rows * int(planes)
        return number, repeat((tile, tile), number)
    rows = min(int(page.rowsperstrip), height)
    if rows < 1:
        raise NeverAnImage("the TIFF's strips have no rows", seen=f"{rows}")
    row, tops = width * pixel_bytes, range(0, height, rows)
    strips = ((min(rows, height - top) * row, rows * row) for _ in range(int(planes)) for top in tops)
    return len(tops) * int(planes), strips
