"""JPEG: what HRT3 cornea modules and exports write; lossy, and without checksums."""

import re
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.limits import Truncated, check_claim, check_size, truncated
from runtime.images.opencv import decode_with_opencv
from runtime.stderr import listen

_SOS, _EOI = 0xDA, 0xD9
_FRAMES_READ = (0xC0, 0xC1, 0xC2)
# SOF markers are 0xC0-0xCF less Huffman tables, extensions and arithmetic conditioning
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# a scan costs a pass over all pixels however few bytes it has; progressive JPEGs have about ten
MOST_SCANS = 32
# a segment costs a microsecond however short; a thumbnail or a colour profile takes a few
_MOST_SEGMENTS = 1 << 16
# in entropy-coded data ff 00 is a stuffed byte and ff d0-d7 a restart; any other is the next marker
_FILL = re.compile(rb"\xff+(?=\xff|\Z)|\xff(?=[\x00\xd0-\xd7])")
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# libjpeg's warnings (its jerror.h): these mean that pixels were made up; behind what another thread has begun to write,
# but not where it reports the error of another image ...
_DAMAGE = re.compile(
    rb"(?<!seen: )(?:Corrupt JPEG data|Premature end of JPEG|Invalid SOS|Inconsistent progression)[^\n]*\n?"
)
# ... and these mean nothing for the pixels
_CHATTER = re.compile(rb"(?:Warning: unknown JFIF|Unknown Adobe)[^\n]*\n?")

# bytes of a pixel that compresses worst: three channels
_MOST_A_PIXEL = 4


def decode_jpeg(data: bytes) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Decodes a whole 8-bit Huffman-coded JPEG, grey or of three channels, in its stored orientation.

    Returns:
        uint8 [H, W] or [H, W, 3] in BGR order.

    Raises:
        UnreadableImage: truncated, or damaged as far as libjpeg can tell.
        NeverAnImage: too large, or a rare kind of JPEG.
    """
    frame, scans, coded = None, 0, 0
    for count, (marker, body, size) in enumerate(_segments(data)):
        if marker in _FRAMES:
            if frame is not None:
                raise NeverAnImage("the JPEG holds several frame headers", wanted="one image")
            frame = _frame_size(marker, body)
        elif marker == _SOS:
            scans, coded = scans + 1, coded + size
        if scans > MOST_SCANS or count > _MOST_SEGMENTS:
            raise NeverAnImage(
                "this kind of JPEG is not read",
                seen=f"{scans} scans in {count + 1} segments",
                wanted=f"at most {MOST_SCANS} in {_MOST_SEGMENTS}",
            )
    if frame is None or not scans:
        raise truncated("an end marker without an image", "a frame header and a scan")
    width, height, units = frame
    # each coded unit takes at least one bit: a header that claims more is refused before memory is spent
    if coded * 8 < units:
        raise truncated(f"{coded} bytes of pixel data", f"pixel data for {width} x {height} pixels")
    check_claim(width * height, len(data))
    damage: list[bytes] = []

    def keep(said: bytes) -> bytes:
        damage.extend(found.group() for found in _DAMAGE.finditer(said))
        return _CHATTER.sub(b"", _DAMAGE.sub(b"", said))

    # libjpeg fills lost blocks with grey, returns success and tells nobody but stderr, and OpenCV passes no other word
    # of it on: listening there is the one way not to score made-up pixels
    image = listen(lambda: decode_with_opencv(data, width, height), keep)
    if damage:
        raise UnreadableImage(
            "the JPEG is damaged", seen=damage[0].decode("ascii", "replace").strip(), next_step="copy the file again"
        )
    return image


def jpeg_pixel_bytes(head: bytes) -> int:
    """Return how many bytes of pixels a JPEG may have by its frame header, were they hardly compressed.

    Args:
        head: its first bytes, as many as may stand before the frame header.

    Raises:
        UnreadableImage, NeverAnImage: as `decode_jpeg`; the second also where `head` holds no frame header.
    """
    try:
        for marker, body, _ in _segments(head):
            if marker in _FRAMES:
                width, height, _ = _frame_size(marker, body)
                return _MOST_A_PIXEL * width * height
            if marker == _SOS:
                break
    except Truncated:
        # `head` is cut, and not the file
        pass
    raise NeverAnImage("the JPEG has no frame header where one belongs", seen=f"{len(head)} bytes without one")


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(marker, its body, bytes of coded data behind it) up to the end marker."""
    at = 2
    while True:
        marker = _NEXT_MARKER.match(data, at)
        if marker is None and (fill := _FILL.match(data, at)):
            at = fill.end()  # markers may be preceded by any number of ff
            continue
        if marker is None and at < len(data):
            raise UnreadableImage("the JPEG is damaged", seen=f"{data[at]:#04x} at byte {at}", wanted="a marker there")
        if marker is None or (data[at + 1] != _EOI and len(data) < at + 4):
            raise truncated(f"{len(data)} bytes", "an end marker (ff d9)")
        kind = data[at + 1]
        if kind == _EOI:
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        start, end = at + 4, at + 2 + length
        if length < 2 or end > len(data):
            raise truncated(f"{len(data)} bytes", f"a segment {kind:#04x} of {length} bytes at byte {at}")
        at = end
        if kind == _SOS:
            after = _NEXT_MARKER.search(data, end)
            at = after.start() if after else len(data)
        yield kind, data[start:end], at - end


def _frame_size(marker: int, body: bytes) -> tuple[int, int, int]:
    """(width, height, coded units) of a frame header of a kind that is read."""
    if marker not in _FRAMES_READ:
        raise NeverAnImage(
            "this kind of JPEG is not read",
            seen=f"frame type {marker:#04x}",
            wanted="baseline or progressive, Huffman-coded",
        )
    if len(body) < 6:
        raise NeverAnImage("the JPEG header is not legal", seen=f"{len(body)} bytes", wanted="at least 6")
    precision, height, width, channels = struct.unpack_from(">BHHB", body)
    if precision != 8 or channels not in (1, 3) or len(body) != 6 + 3 * channels:
        raise NeverAnImage(
            "this kind of JPEG is not read",
            seen=f"{precision} bits, {channels} channels",
            wanted="8 bits, 1 or 3 channels",
        )
    check_size(width, height)
    factors = body[7::3]
    across, down = 8 * max(f >> 4 for f in factors), 8 * max(f & 15 for f in factors)
    if not all(0 < side <= 4 for factor in factors for side in (factor >> 4, factor & 15)):
        raise NeverAnImage("the JPEG header is not legal", seen=f"sampling factors {factors.hex(' ')}", wanted="1 to 4")
    return width, height, -(-width // across) * -(-height // down)
