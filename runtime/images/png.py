"""PNG: chunks with checksums, so that every damaged byte can be told."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.inflate import Inflating
from runtime.images.limits import check_claim, check_size, truncated
from runtime.images.opencv import MAX_BYTES, decode_with_opencv

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
# a chunk costs a microsecond whatever it holds; writers put 8 KB of pixels and more into each
_MOST_CHUNKS = 1 << 18
# first column, first row, column step, row step of Adam7's seven passes
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def decode_png(data: bytes) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Decodes a whole PNG with every checksum right.

    Returns:
        uint8 or uint16 [H, W] or [H, W, 3 or 4] in BGR(A) order, grey levels as stored (no gamma applied).

    Raises:
        UnreadableImage: truncated or damaged.
        NeverAnImage: animated, too large, or not legal PNG; the checksums say that it was meant so.
    """
    found = {b"IHDR": bytearray(), b"PLTE": bytearray(), b"IDAT": bytearray()}
    first, animated = b"", False
    for kind, body in _chunks(data):
        first = first or kind
        animated |= kind == b"acTL"
        if kind in found:
            found[kind] += body
    header, palette = bytes(found[b"IHDR"]), bytes(found[b"PLTE"][:769])
    width, height, depth, colour = _checked_header(first, header)
    if animated:
        raise NeverAnImage("the PNG holds an animation", wanted="one image", next_step="save the frames singly")
    if colour == _PALETTE and not (0 < len(palette) <= 768 and len(palette) % 3 == 0):
        raise NeverAnImage("the PNG has no legal palette", seen=f"{len(palette)} bytes")

    # libpng prints what it dislikes straight to stderr (an odd colour profile is enough), so it is handed the
    # pixels and nothing else; stored uncompressed, they cost it next to nothing to inflate again
    plain = bytearray(_SIGNATURE) + _chunk(b"IHDR", header)
    if colour == _PALETTE:
        plain += _chunk(b"PLTE", palette.ljust(3 << depth, b"\0"))
    stored = zlib.compressobj(0)
    # piece by piece: rows and plain file side by side would be twice a mosaic
    for rows in _inflate(found.pop(b"IDAT"), header):
        plain += _chunk(b"IDAT", stored.compress(rows))
    plain += _chunk(b"IDAT", stored.flush()) + _chunk(b"IEND", b"")
    return decode_with_opencv(plain, width, height)


def png_pixel_bytes(head: bytes) -> int:
    """Return how many bytes of pixels a PNG has by its first chunk; errors as of `decode_png`."""
    at = len(_SIGNATURE) + 8
    header = head[at : at + 13]
    length, kind = struct.unpack_from(">I4s", head, len(_SIGNATURE))
    _checked_header(kind, header if length == len(header) else b"")
    return sum(rows * row_bytes for rows, row_bytes in _row_bytes(header))


def _checked_header(kind: bytes, header: bytes) -> tuple[int, int, int, int]:
    """(width, height, depth, kind of colour) of the first chunk, which has to be the header."""
    if kind != b"IHDR" or len(header) != 13:
        raise NeverAnImage("the PNG does not begin with its header", seen=repr(kind))
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    check_size(width, height)
    if depth not in _DEPTHS.get(colour, ()) or header[10:12] != b"\0\0" or interlaced > 1:
        raise NeverAnImage("the PNG header is not legal", seen=header[8:].hex(" "))
    return width, height, depth, colour


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view, at, kind, seen = memoryview(data), len(_SIGNATURE), b"", 0
    while kind != b"IEND":
        if len(data) < at + 12:
            raise truncated(f"{len(data)} bytes", "chunks up to IEND")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if len(data) < end:
            raise truncated(f"{len(data)} bytes", f"{end} bytes by its chunk {kind!r}")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnreadableImage(
                "the PNG is damaged",
                seen=f"a wrong checksum in chunk {kind!r}",
                next_step="copy the file again",
            )
        seen += 1
        if seen > _MOST_CHUNKS:
            raise NeverAnImage("the PNG has too many chunks", seen=f"more than {_MOST_CHUNKS}")
        yield kind, view[at + 8 : end - 4]
        at = end


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _inflate(compressed: bytearray, header: bytes) -> Iterator[bytes]:
    """The filtered rows in pieces, altogether exactly as many as the header asks for."""
    passes = _row_bytes(header)
    wanted = sum(rows * row_bytes for rows, row_bytes in passes)
    # a hundredth for what stored rows need besides; OpenCV would refuse them too, after all that work
    if wanted > MAX_BYTES // 100 * 99:
        raise NeverAnImage("the image has too many bytes", seen=f"{wanted}", wanted=f"at most {MAX_BYTES // 100 * 99}")
    # a header that claims more than deflate can give is refused before memory is spent on it
    if len(compressed) * 1032 < wanted:
        raise truncated(f"{len(compressed)} bytes of pixel data", f"pixel data for {wanted} bytes")
    check_claim(wanted, len(compressed))
    inflating, had = Inflating(compressed), 0
    try:
        for rows in inflating:
            if had + len(rows) > wanted:
                raise NeverAnImage("the PNG holds more pixels than its header says", wanted=f"{wanted} bytes")
            _check_filters(rows, had, passes)
            had += len(rows)
            yield rows
    except zlib.error as error:
        raise UnreadableImage("the PNG's pixel data is damaged", seen=str(error)) from None
    if had != wanted or not inflating.ended:
        raise truncated(f"{had} bytes of pixels", f"exactly {wanted}")


def _check_filters(rows: bytes, at: int, passes: list[tuple[int, int]]) -> None:
    """The filter bytes among `rows`, which lie `at` bytes behind the image's first."""
    start = 0
    for count, row_bytes in passes:
        end = start + count * row_bytes
        first = start if start >= at else at + (start - at) % row_bytes
        if max(rows[first - at : max(0, end - at) : row_bytes], default=0) > 4:
            raise UnreadableImage("the PNG's pixel data is damaged", seen="an unknown row filter")
        start = end


def _row_bytes(header: bytes) -> list[tuple[int, int]]:
    """(rows, bytes in a row with its filter byte) of each pass; one pass unless interlaced."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS[colour]
    sizes = [(width, height)]
    if interlaced:
        sizes = [(-((x0 - width) // dx), -((y0 - height) // dy)) for x0, y0, dx, dy in _PASSES]
    return [(rows, 1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0]
