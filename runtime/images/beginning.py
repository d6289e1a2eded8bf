"""A file's first bytes: what format they name, and how long such a file may be, so that none is read in vain."""

from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.bmp import bmp_pixel_bytes
from runtime.images.jpeg import jpeg_pixel_bytes
from runtime.images.limits import check_length
from runtime.images.png import png_pixel_bytes
from runtime.images.signature import FORMATS, HEAD_BYTES, image_format, may_become_image
from runtime.images.source import Source

# a file that is no longer is read at once
READ_AT_ONCE_BYTES = 32 << 20
# of a JPEG or a DICOM file all that may stand before what gives its size
_LONGEST_HEAD = 8 << 20
# Some programs set a file's length first and fill in its bytes later. A file that ends in so many zeros may be such a
# file; most file systems fill one block of this size at a time.
_UNFILLED = 4096


def check_beginning(file: Source) -> None:
    """Refuse a long file that need not be read, because its beginning says that it is no image, or not yet.

    Raises:
        NeverAnImage: no image, or far longer than its image; or what its header gives is not read.
        UnreadableImage: the same of a file that ends in zeros, which may be still to come; or a cut file.
        OSError: it cannot be read.
    """
    if file.size <= READ_AT_ONCE_BYTES:
        return
    with healing(file):
        check_length(file.size, _pixel_bytes(named_format(file), file))


def named_format(file: Source) -> str:
    """Return `BMP`, `PNG`, `JPEG`, `TIFF` or `DICOM`.

    Raises:
        NeverAnImage: none of them.
        UnreadableImage: none of them yet.
    """
    head = file.read_at(0, HEAD_BYTES)
    name = image_format(head)
    if name is None:
        kind = UnreadableImage if may_become_image(head) else NeverAnImage
        raise kind("not an image that is read", seen=f"first bytes {head[:8].hex(' ')}", wanted=FORMATS)
    return name


@contextmanager
def healing(file: Source) -> Iterator[None]:
    """Have a `NeverAnImage` that comes out be an `UnreadableImage` where the file's end is still to be filled.

    A header that is wrong may be one that is half there.
    """
    try:
        yield
    except NeverAnImage as error:
        count = min(_UNFILLED, file.size // 2)
        if any(file.read_at(file.size - count, count)):
            raise
        raise UnreadableImage(error.what, seen=error.seen, wanted=error.wanted, next_step=error.next_step) from error


def _pixel_bytes(name: str, file: Source) -> int:
    if name == "TIFF":
        from runtime.images.tiff_directory import check_directory

        return check_directory(file)
    head = file.read_at(0, _LONGEST_HEAD)
    if name == "DICOM":
        from runtime.images.dicom import dicom_pixel_bytes

        return dicom_pixel_bytes(head)
    if name == "BMP":
        return bmp_pixel_bytes(head, file.size)
    return png_pixel_bytes(head) if name == "PNG" else jpeg_pixel_bytes(head)
