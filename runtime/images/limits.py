"""What is refused by a file's header, before a pixel is decoded: too large, cut, or of a kind that is not read."""

from collections.abc import Iterable

from runtime.errors import NeverAnImage, UnreadableImage

MAX_FILE_BYTES = 4 << 30
# the largest VivaBlock mosaic, 16x16 tiles of 1000x1000, is 2.56e8 pixels
MAX_PIXELS = 1 << 28
# a file may always become so many bytes of pixels: a mosaic in 8 bit; more only where it is long enough itself, so that
# no small file costs a gigabyte of memory
MAX_SMALL = 1 << 28
MAX_RATIO = 32
# what a file may hold beside its pixels: colour profiles, previews, a maker's own data
BESIDE_PIXELS = 32 << 20
# JPEG 2000 takes four times the pixels' bytes while it decodes, and a second for each 64 million of them, however few
# bytes they are coded in
JPEG_2000_COST = 4


def check_size(width: int, height: int) -> None:
    """Refuses what no microscope writes.

    Raises:
        NeverAnImage: an image without pixels, or more than `MAX_PIXELS`.
    """
    if width < 1 or height < 1:
        raise NeverAnImage("the header gives an image without pixels", seen=f"{width} x {height}")
    if width * height > MAX_PIXELS:
        raise NeverAnImage(
            "the image is too large",
            seen=f"{width} x {height} pixels in the header",
            wanted=f"at most {MAX_PIXELS} pixels",
            next_step="check the file, or cut the mosaic into parts",
        )


def check_claim(decoded_bytes: int, file_bytes: int) -> None:
    """Refuses a small file that would become a very large image before memory is spent on it.

    No tissue compresses so well: grain alone takes some bits of every pixel.

    Args:
        decoded_bytes: of all pixels, as they are decoded.
        file_bytes: the file's length.

    Raises:
        NeverAnImage: more than 2^28 bytes, and more than `MAX_RATIO` times the file.
    """
    if decoded_bytes > most_decoded(file_bytes):
        raise NeverAnImage(
            "the file claims more pixels than tissue would leave it",
            seen=f"{decoded_bytes} bytes of pixels in a file of {file_bytes}",
            wanted=f"at most {MAX_RATIO} times its length",
            next_step="check the file, or cut the mosaic into parts",
        )


def check_length(file_bytes: int, pixel_bytes: int) -> None:
    """Refuse a file that is far longer than its image, before it is read.

    Args:
        file_bytes: the file's length.
        pixel_bytes: of all pixels by its header, before compression; which may make them longer, though never twice.

    Raises:
        NeverAnImage: more than twice the pixels and `BESIDE_PIXELS`.
    """
    most = 2 * pixel_bytes + BESIDE_PIXELS
    if file_bytes > most:
        raise NeverAnImage(
            "the file is far longer than its image",
            seen=f"{file_bytes} bytes, of which {pixel_bytes} bytes of pixels by its header",
            wanted=f"at most {most} bytes",
            next_step="export the image again",
        )


def most_decoded(file_bytes: int) -> int:
    """How many bytes of pixels a file of so many may become."""
    return max(MAX_SMALL, MAX_RATIO * file_bytes)


def require_kind(file: str, checks: Iterable[tuple[bool, str, str, str]], *, next_step: str) -> None:
    """Refuses what is no fault of the file, and is not read.

    Args:
        file: what it is called, such as `TIFF`.
        checks: (whether it holds, of what, the value seen, the value wanted) of each.
        next_step: what its user may do.

    Raises:
        NeverAnImage: the first that does not hold.
    """
    for holds, what, seen, wanted in checks:
        if not holds:
            raise NeverAnImage(f"this {what} of a {file} is not read", seen=seen, wanted=wanted, next_step=next_step)


class Truncated(UnreadableImage):
    """A file that ends before its image does."""


def truncated(seen: str, wanted: str) -> Truncated:
    """The error for a file that ends before its image does."""
    return Truncated(
        "the file is truncated",
        seen=seen,
        wanted=wanted,
        next_step="wait for the copy to end, or copy it again",
    )
