"""A file becomes a frame, or an error that names the file and the reason."""

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.errors import InflamapError, NeverAnImage, UnreadableImage
from runtime.images.bmp import decode_bmp
from runtime.images.frame import Frame
from runtime.images.grey import to_grey
from runtime.images.jpeg import decode_jpeg
from runtime.images.opening import read_shared, sha256_shared
from runtime.images.png import decode_png
from runtime.images.signature import FORMATS, HEAD_BYTES, image_format, may_become_image
from runtime.images.tiff import decode_tiff

Channels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_DECODERS: dict[str, Callable[[bytes], Channels]] = {
    "BMP": decode_bmp,
    "PNG": decode_png,
    "JPEG": decode_jpeg,
    "TIFF": decode_tiff,
}
# (width, height) of a VivaScope frame, plain and exported with a caption of 45 rows; no file of theirs tells
# the scale, the instrument's 500 µm field does
_VIVASCOPE_SIZES = ((1000, 1000), (1000, 1045))
_VIVASCOPE_UM_PER_PX = 0.5
_VIVASCOPE_ROWS = 1000
# zeros at the end of a file that tell of one with its length already and its bytes still to come: what a file
# system fills at a time
_UNFILLED = 4096


def read_frame(path: Path, *, um_per_px: float | None = None) -> Frame:
    """Reads one image file: BMP, PNG, JPEG or TIFF, chosen by its first bytes, whatever its name.

    The file is read once; the hash and the pixels come from the same bytes. Files that show any sign of being
    incomplete or damaged are refused rather than decoded as far as they go.

    Args:
        path: the file; it is only read.
        um_per_px: lateral sampling in µm per pixel, where the user knows it; beats everything else.

    Returns:
        the frame at its own scale and depth. Grey saved as RGB becomes one channel; channels that differ give
        a frame with `colour` True.

    Raises:
        NeverAnImage: its content decides that it never becomes a frame.
        UnreadableImage: it cannot be opened or cannot become a frame now; no other error comes out of any file's
            content.
        InflamapError: `um_per_px` is no positive number.
    """
    if um_per_px is not None and not (math.isfinite(um_per_px) and um_per_px > 0):
        raise InflamapError("--um-per-px is no scale", seen=um_per_px, wanted="a positive number of µm per pixel")
    data = _read_bytes(path)
    try:
        pixels, colour = to_grey(_decode(data))
    except UnreadableImage as error:
        raise type(error)(
            f"{path}: {error.what}", seen=error.seen, wanted=error.wanted, next_step=error.next_step
        ) from error
    except Exception as error:  # the seam: whatever a decoder trips over, one file must not stop the others
        raise UnreadableImage(
            f"{path}: the image cannot be decoded", seen=f"{type(error).__name__}: {error}"
        ) from error

    height, width = pixels.shape
    if (width, height) in _VIVASCOPE_SIZES:
        # the rows below are burned-in text, which is no tissue
        pixels = pixels[:_VIVASCOPE_ROWS]
    scale, scale_from = um_per_px, "option"
    if um_per_px is None:
        vivascope = (width, height) in _VIVASCOPE_SIZES
        scale, scale_from = (_VIVASCOPE_UM_PER_PX, "vivascope") if vivascope else (None, "unknown")
    return Frame(
        pixels=pixels,
        bits=8 * pixels.dtype.itemsize,
        sha256=hashlib.sha256(data).hexdigest(),
        um_per_px=scale,
        um_per_px_from=scale_from,
        colour=colour,
    )


def file_sha256(path: Path, *, alive: Callable[[], object] = lambda: None) -> str | None:
    """Hex digest of the file's content now; None when there is no such file any more.

    Args:
        path: the file; it is only read.
        alive: called again and again while a large file is read.

    Raises:
        UnreadableImage: it is there and cannot be read.
    """
    try:
        with _said_plainly(path):
            return sha256_shared(path, alive=alive)
    except UnreadableImage as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return None
        raise


def _read_bytes(path: Path) -> bytes:
    with _said_plainly(path):
        return read_shared(path)


@contextmanager
def _said_plainly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableImage(
            f"{path}: the file cannot be read",
            seen=error.strerror or str(error),
            next_step="check the path and the rights of this account",
        ) from error
    except MemoryError as error:
        raise UnreadableImage(f"{path}: the file does not fit into memory", seen=str(error)) from error
    except ValueError as error:  # a zero byte in the path
        raise NeverAnImage(f"{path}: this is no path", seen=str(error)) from error


def _decode(data: bytes) -> Channels:
    if not data:
        raise UnreadableImage("the file is empty", seen="0 bytes", next_step="wait for the copy to end")
    name = image_format(data[:HEAD_BYTES])
    if name is None:
        kind = UnreadableImage if may_become_image(data[:HEAD_BYTES]) else NeverAnImage
        raise kind("not an image that is read", seen=f"first bytes {data[:8].hex(' ')}", wanted=FORMATS)
    try:
        return _DECODERS[name](data)
    except NeverAnImage as error:
        if any(data[-min(_UNFILLED, len(data) // 2) :]):
            raise
        # a header that is wrong may be one that is half there
        raise UnreadableImage(error.what, seen=error.seen, wanted=error.wanted, next_step=error.next_step) from error
