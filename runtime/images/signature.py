"""Which files are images: the first bytes decide what is read, the suffix only what is looked at."""

import struct

FORMATS = "BMP, PNG, JPEG, TIFF, DICOM"
SUFFIXES = frozenset({".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom"})
# enough of a file to name its format: a DICOM file's mark stands behind a preamble of 128 bytes that may hold anything
HEAD_BYTES = 132
# no image is shorter
LEAST_BYTES = 18

_STARTS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
}
_PREAMBLE, _DICOM = 128, b"DICM"
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)


def image_format(head: bytes) -> str | None:
    """`BMP`, `PNG`, `JPEG`, `TIFF` or `DICOM` by the first `HEAD_BYTES` of a file; None for anything else."""
    # first: DICOM for microscopes has a preamble that makes the file a TIFF as well, without the scale and the depth
    if head[_PREAMBLE:].startswith(_DICOM):
        return "DICOM"
    for start, name in _STARTS.items():
        if head.startswith(start):
            return name
    return "BMP" if _is_bmp(head) else None


def may_become_image(head: bytes) -> bool:
    """Whether a file's first `HEAD_BYTES` that name no format might yet: cut, or zeros that are still being filled."""
    begun = head.rstrip(b"\0")
    if any(start.startswith(begun) for start in _STARTS) or b"BM".startswith(begun):
        return True
    if not any(head[:_PREAMBLE]) and _DICOM.startswith(head[_PREAMBLE:].rstrip(b"\0")):
        return True
    # the second header of a BMP, which comes behind its first of 14 bytes, is still zeros
    return begun.startswith(b"BM") and not any(head[14:LEAST_BYTES])


def _is_bmp(head: bytes) -> bool:
    # "BM" alone opens many a text file; a file cut before its second header is still called a BMP, so that
    # its reader can say "truncated"
    if not head.startswith(b"BM"):
        return False
    return len(head) < LEAST_BYTES or struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS
