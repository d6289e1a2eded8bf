"""PNG: chunks with checksums, so that every damaged byte can be told."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runtime.errors import UnreadableImage
from runtime.images.limits import check_size, truncated
from runtime.images.opencv import decode_with_opencv

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE = 3
# first column, first row, column step, row step of Adam7's seven passes
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def decode_png(data: bytes) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Decodes a whole PNG with every checksum right.

    Returns:
        uint8 or uint16 [H, W] or [H, W, 3 or 4] in BGR(A) order, grey levels as stored (no gamma applied).

    Raises:
        UnreadableImage: truncated, damaged, animated, too large, or not legal PNG.
    """
    chunks = list(_chunks(data))
    kind, header = chunks[0]
    if kind != b"IHDR" or len(header) != 13:
        raise UnreadableImage("the PNG does not begin with its header", seen=repr(kind))
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    check_size(width, height)
    if depth not in _DEPTHS.get(colour, ()) or header[10:12] != b"\0\0" or interlaced > 1:
        raise UnreadableImage("the PNG header is not legal", seen=header[8:].hex(" "))
    if any(kind == b"acTL" for kind, _ in chunks):
        raise UnreadableImage("the PNG holds an animation", wanted="one image", next_step="save the frames singly")
    palette = b"".join(body for kind, body in chunks if kind == b"PLTE")
    if colour == _PALETTE and not (0 < len(palette) <= 768 and len(palette) % 3 == 0):
        raise UnreadableImage("the PNG has no legal palette", seen=f"{len(palette)} bytes")
    rows = _inflate(b"".join(body for kind, body in chunks if kind == b"IDAT"), header)

    # libpng prints what it dislikes straight to stderr (an odd colour profile is enough), so it is handed the
    # pixels and nothing else; stored uncompressed, they cost it next to nothing to inflate again
    plain = _SIGNATURE + _chunk(b"IHDR", header)
    if colour == _PALETTE:
        plain += _chunk(b"PLTE", palette.ljust(3 << depth, b"\0"))
    plain += _chunk(b"IDAT", zlib.compress(rows, 0)) + _chunk(b"IEND", b"")
    return decode_with_opencv(plain, width, height)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        if len(data) < at + 12:
            raise truncated(f"{len(data)} bytes", "chunks up to IEND")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if len(data) < end:
            raise truncated(f"{len(data)} bytes", f"{end} bytes by its chunk {kind!r}")
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnreadableImage(
                "the PNG is damaged",
                seen=f"a wrong checksum in chunk {kind!r}",
                next_step="copy the file again",
            )
        yield kind, data[at + 8 : end - 4]
        at = end


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _inflate(compressed: bytes, header: bytes) -> bytes:
    """The filtered rows, exactly as many as the header asks for."""
    passes = _row_bytes(header)
    wanted = sum(rows * row_bytes for rows, row_bytes in passes)
    # deflate cannot beat 1032:1, so a header that claims more is refused before memory is spent on it
    if len(compressed) * 1032 < wanted:
        raise truncated(f"{len(compressed)} bytes of pixel data", f"pixel data for {wanted} bytes")
    inflater = zlib.decompressobj()
    try:
        rows = inflater.decompress(compressed, wanted + 1)
    except zlib.error as error:
        raise UnreadableImage("the PNG's pixel data is damaged", seen=str(error)) from None
    if len(rows) != wanted or not inflater.eof:
        raise truncated(f"{len(rows)} bytes of pixels", f"exactly {wanted}")
    at = 0
    for count, row_bytes in passes:
        if count and max(rows[at : at + count * row_bytes : row_bytes]) > 4:
            raise UnreadableImage("the PNG's pixel data is damaged", seen="an unknown row filter")
        at += count * row_bytes
    return rows


def _row_bytes(header: bytes) -> list[tuple[int, int]]:
    """(rows, bytes in a row with its filter byte) of each pass; one pass unless interlaced."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS[colour]
    sizes = [(width, height)]
    if interlaced:
        sizes = [(-((x0 - width) // dx), -((y0 - height) // dy)) for x0, y0, dx, dy in _PASSES]
    return [(rows, 1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0]
