"""Which files are images: the first bytes decide what is read, the suffix only what is looked at."""

import struct

FORMATS = "BMP, PNG, JPEG, TIFF"
SUFFIXES = frozenset({".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff"})
# enough of a file to name its format
HEAD_BYTES = 18

_STARTS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
}
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def image_format(head: bytes) -> str | None:
    """`BMP`, `PNG`, `JPEG` or `TIFF` by the first `HEAD_BYTES` of a file; None for anything else."""
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    return "BMP" if _is_bmp(head) else None


def may_become_image(head: bytes) -> bool:
    """Whether a file's first `HEAD_BYTES` that name no format might yet: cut, or zeros that are still being filled."""
    begun = head.rstrip(b"\0")
    if any(start.startswith(begun) for start in _STARTS) or b"BM".startswith(begun):
        return True
    # the second header of a BMP, which comes behind its first of 14 bytes, is still zeros
    return begun.startswith(b"BM") and not any(head[14:])


def _is_bmp(head: bytes) -> bool:
    # "BM" alone opens many a text file; a file cut before its second header is still called a BMP, so that
    # its reader can say "truncated"
    if not head.startswith(b"BM"):
        return False
    return len(head) < HEAD_BYTES or struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS
