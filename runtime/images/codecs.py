"""Decompression that rare TIFF and DICOM files need, from a library that the base install goes without."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.jpeg import MOST_SCANS

# start of frame of any JPEG, of JPEG-LS among them (ITU-T T.81 B.2.2): bits, height, width, samples
_SOF = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7]..(.)(..)(..)(.)", re.S)
# coded data holds no such bytes: there 0xff is followed by 0
_SCAN = b"\xff\xda"
# image and tile size of JPEG 2000 (ITU-T T.800 A.5.1), at the beginning of a codestream
_SIZ = re.compile(rb"\xff\x4f\xff\x51....(....)(....)(....)(....).{16}(..)(.)", re.S)


class CodedSize(msgspec.Struct, frozen=True):
    """What a compressed image says of itself."""

    width: int
    height: int
    samples: int
    bits: int


def jpeg_size(data: bytes) -> CodedSize | None:
    """Of a JPEG or JPEG-LS; None where no header is found.

    Raises:
        NeverAnImage: more scans than any writer makes; each costs a pass over all pixels, however few bytes it has.
    """
    found = _SOF.search(data)
    if found is None:
        return None
    if (scans := data.count(_SCAN)) > MOST_SCANS:
        raise NeverAnImage("this kind of JPEG is not read", seen=f"{scans} scans", wanted=f"at most {MOST_SCANS}")
    bits, height, width, samples = (int.from_bytes(part, "big") for part in found.groups())
    return CodedSize(width, height, samples, bits)


def jpeg_2000_size(data: bytes) -> CodedSize | None:
    """Of a JPEG 2000 codestream, bare or in a box; None where no header is found."""
    found = _SIZ.search(data)
    if found is None:
        return None
    right, bottom, left, top, samples, bits = (int.from_bytes(part, "big") for part in found.groups())
    return CodedSize(right - left, bottom - top, samples, (bits & 0x7F) + 1)


def is_whole_jpeg(data: bytes) -> bool:
    """Whether a JPEG or JPEG-LS goes up to its end marker, for its decoders would make up the rest."""
    return data.rstrip(b"\0").endswith(b"\xff\xd9")


def codec(name: str) -> Callable[..., Any]:
    """imagecodecs' function that decompresses `name`, as in `lzw_decode`: `lzw`, `jpeg8`, `jpegls`, `jpeg2k`, ....

    Raises:
        UnreadableImage: imagecodecs is not installed here, or was built without this codec.
    """
    try:
        import imagecodecs

        # one that it was built without is found, and raises when it is called
        if not getattr(imagecodecs, name.upper()).available:
            raise ImportError(name)
        return getattr(imagecodecs, f"{name}_decode")  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise UnreadableImage(
            "nothing is installed that decompresses this image",
            seen=name,
            next_step='install it: pip install "inflamap[formats]"',
        ) from error
