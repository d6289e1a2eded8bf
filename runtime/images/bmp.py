"""BMP: what VivaScope frames are saved as."""

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from runtime.errors import NeverAnImage
from runtime.images.limits import check_size, truncated
from runtime.images.opencv import decode_with_opencv

_FILE_HEADER = 14
_BITS = (8, 24, 32)
# 0 is plain rows, 3 and 6 plain rows with channel masks; the others are run lengths or embedded files
_PLAIN_ROWS = (0, 3, 6)
# levels 0 to 255 as blue, green, red and nothing
_GREY_PALETTE = b"".join(bytes((level, level, level, 0)) for level in range(256))


class _Layout(NamedTuple):
    """Where the pixels are, by a file's header."""

    width: int
    signed_height: int
    bits: int
    compression: int
    pixels_at: int
    header_bytes: int
    row_bytes: int

    @property
    def height(self) -> int:
        # negative: stored top row first
        return abs(self.signed_height)


def bmp_pixel_bytes(head: bytes, file_bytes: int) -> int:
    """Return how many bytes of pixels a BMP has by its header; errors as of `decode_bmp`.

    Args:
        head: its first bytes.
        file_bytes: its length.
    """
    layout = _layout(head, file_bytes)
    return layout.row_bytes * layout.height


def decode_bmp(data: bytes) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Decodes a whole, uncompressed BMP of 8 (palette), 24 or 32 bits per pixel.

    Returns:
        uint8 [H, W] when the palette is grey, else [H, W, 3 or 4] in BGR(A) order, top row first. Where the
        palette gives each level its own number, as VivaScopes write it, they are the file's very bytes, read-only and
        not contiguous.

    Raises:
        UnreadableImage: truncated.
        NeverAnImage: compressed, too large, of another depth, or with a header that contradicts itself.
    """
    layout = _layout(data, len(data))
    width, height, pixels_at, row_bytes = layout.width, layout.height, layout.pixels_at, layout.row_bytes
    palette = data[_FILE_HEADER + layout.header_bytes : pixels_at]
    if layout.bits == 8 and layout.compression == 0 and palette == _GREY_PALETTE:
        rows = np.frombuffer(data, np.uint8, row_bytes * height, pixels_at).reshape(height, row_bytes)[:, :width]
        return rows if layout.signed_height < 0 else rows[::-1]
    return decode_with_opencv(data, width, height)


def _layout(head: bytes, file_bytes: int) -> _Layout:
    if len(head) < 18:
        raise truncated(f"{len(head)} bytes", "a BMP header")
    told_bytes, _, pixels_at, header_bytes = struct.unpack_from("<IIII", head, 2)
    if len(head) < _FILE_HEADER + header_bytes:
        raise truncated(f"{len(head)} bytes", f"a header of {_FILE_HEADER + header_bytes} bytes")
    if header_bytes < 40:  # OpenCV turns such colour into grey unasked
        raise NeverAnImage("OS/2 BMP is not read", seen=f"a header of {header_bytes} bytes", wanted="40 or more")
    width, signed_height, _, bits, compression = struct.unpack_from("<iiHHI", head, 18)
    check_size(width, abs(signed_height))
    if bits not in _BITS:
        raise NeverAnImage("this BMP depth is not read", seen=f"{bits} bits per pixel", wanted="8, 24 or 32")
    if compression not in _PLAIN_ROWS:
        raise NeverAnImage(
            "compressed BMP is not read", seen=f"compression {compression}", next_step="save it uncompressed"
        )
    row_bytes = (width * bits + 31) // 32 * 4
    # some writers leave the length field 0, so the pixels needed count too
    whole = max(told_bytes, pixels_at + row_bytes * abs(signed_height))
    if file_bytes < whole:
        raise truncated(f"{file_bytes} bytes", f"{whole} bytes by its header")
    if pixels_at < _FILE_HEADER + header_bytes:
        raise NeverAnImage("the BMP header puts the pixels inside itself", seen=f"offset {pixels_at}")
    return _Layout(width, signed_height, bits, compression, pixels_at, header_bytes, row_bytes)
