"""A file becomes a frame, or an error that names the file and the reason."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from runtime.errors import InflamapError, NeverAnImage, UnreadableImage, without_frames
from runtime.images import vivascope
from runtime.images.beginning import check_beginning, healing, named_format
from runtime.images.bmp import decode_bmp
from runtime.images.decoded import Channels, Decoded
from runtime.images.depth import DEPTH_UNKNOWN, EIGHT_BIT, GreyDepth, bits_unknown
from runtime.images.frame import Frame, Grey, at_scale
from runtime.images.grey import to_grey
from runtime.images.jpeg import decode_jpeg
from runtime.images.opening import Check, read_shared, sha256_shared
from runtime.images.plausible import UM_PER_PX
from runtime.images.png import decode_png
from runtime.images.source import InMemory, Source
from runtime.images.vivascope import NO_CAPTION, Caption

# these formats hold one image, and tell nothing of it that could be relied on
_PLAIN: dict[str, Callable[[bytes], Channels]] = {"BMP": decode_bmp, "PNG": decode_png, "JPEG": decode_jpeg}
_TWELVE_BIT_LEVELS = 4096
# of a file's bytes; the least that pixels which are the file's own bytes may be of it
_WORTH_KEEPING = 0.9


def read_frame(path: Path, *, um_per_px: float | None = None) -> Frame:
    """The only frame of a file; the arguments and errors of `read_frames`.

    Raises:
        NeverAnImage: also where the file holds several.
    """
    frames = read_frames(path, um_per_px=um_per_px)
    if len(frames) > 1:
        raise NeverAnImage(
            f"{path}: the file holds a stack",
            seen=f"{len(frames)} images",
            wanted="one",
            next_step="save the slices as single files",
        )
    return frames[0]


def read_frames(
    path: Path, *, um_per_px: float | None = None, read: Callable[[Path, Check], bytes] = read_shared
) -> tuple[Frame, ...]:
    """Reads one image file: BMP, PNG, JPEG, TIFF or DICOM, chosen by its first bytes, whatever its name.

    The file is read once; the hash and the pixels come from the same bytes. One that its beginning refuses is not read
    further. Files that show any sign of being incomplete or damaged are refused rather than decoded as far as they go.
    An error that comes out keeps nothing of the file in memory.

    Args:
        path: the file; it is only read.
        um_per_px: lateral sampling in µm per pixel, where the user knows it; beats everything else.
        read: reads its bytes after the given check of the open file, with the errors of `read_shared`.

    Returns:
        its images, at least one and all of one size, each at its own scale and depth. Grey saved as RGB becomes one
        channel; channels that differ give a frame with `colour` True.

    Raises:
        NeverAnImage: its content decides that it never becomes a frame.
        UnreadableImage: it cannot be opened or cannot become a frame now; no other error comes out of any file's
            content.
        InflamapError: `um_per_px` is no plausible number.
    """
    if um_per_px is not None and not UM_PER_PX.holds(um_per_px):
        raise InflamapError("--um-per-px is no scale", seen=um_per_px, wanted=f"a positive number, {UM_PER_PX}")
    try:
        frames = _frames_at(path, read)
    except InflamapError as error:
        # its frames hold the file's bytes
        without_frames(error)
        raise
    return frames if um_per_px is None else tuple(at_scale(frame, um_per_px, "option") for frame in frames)


def _frames_at(path: Path, read: Callable[[Path, Check], bytes]) -> tuple[Frame, ...]:
    def check(file: Source) -> None:
        with _decoding(path):
            check_beginning(file)

    with _said_plainly(path):
        data = read(path, check)
    try:
        with _decoding(path):
            return frames_of(data)
    except (OSError, MemoryError) as error:
        # a decoder's, and not the file system's
        raise _undecodable(error, path) from error


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Name the file in the errors of what decodes it."""
    try:
        yield
    except UnreadableImage as error:
        raise type(error)(
            f"{path}: {error.what}", seen=error.seen, wanted=error.wanted, next_step=error.next_step
        ) from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the seam: whatever a decoder trips over, one file must not stop the others
        raise _undecodable(error, path) from error


def _undecodable(error: Exception, path: Path) -> UnreadableImage:
    return UnreadableImage(f"{path}: the image cannot be decoded", seen=f"{type(error).__name__}: {error}")


def frames_of(data: bytes) -> tuple[Frame, ...]:
    """The images of a file that was read; each plane as grey, with what the file tells of it and what its size does.

    Raises:
        NeverAnImage, UnreadableImage: as `read_frames`; whatever else a decoder trips over comes out as it is.
    """
    decoded, sha256 = _decode(data), hashlib.sha256(data).hexdigest()
    planes = _owned(decoded.planes, data)
    scale, scale_from = decoded.um_per_px, decoded.um_per_px_from
    height, width = planes[0].shape[:2]
    is_vivascope = (width, height) in vivascope.SIZES
    if scale is None and is_vivascope:
        scale, scale_from = vivascope.UM_PER_PX, "vivascope"
    depths = decoded.z_um or (None,) * len(planes)
    frames = []
    for plane, told_um in zip(planes, depths, strict=True):
        pixels, colour = to_grey(plane)
        pixels, caption = _without_caption(pixels) if is_vivascope else (pixels, NO_CAPTION)
        z_um, z_from = (told_um, decoded.z_from) if told_um is not None else (caption.z_um, "caption")
        depth = None if decoded.depth_unknown else decoded.depth or _depth_of_type(pixels)
        unknown = decoded.depth_unknown or _no_depth(pixels, depth)
        frames.append(
            Frame(
                pixels,
                depth,
                sha256,
                scale,
                scale_from,
                colour=colour,
                z_um=z_um,
                z_from=z_from if z_um is not None else "unknown",
                x_mm=caption.x_mm,
                y_mm=caption.y_mm,
                objections=(*decoded.objections, *_no_numbers(pixels), *([unknown] if unknown else [])),
                notes=decoded.notes,
                held=decoded.held,
            )
        )
    return tuple(frames)


def _owned(planes: tuple[Channels, ...], data: bytes) -> tuple[Channels, ...]:
    """The planes; copied where they would keep the bytes of a file of which they are a small part."""
    if sum(plane.nbytes for plane in planes) >= _WORTH_KEEPING * len(data):
        return planes
    whole = np.frombuffer(data, np.uint8)
    return tuple(plane.copy() if np.may_share_memory(plane, whole) else plane for plane in planes)


def _without_caption(pixels: Grey) -> tuple[Grey, Caption]:
    """The rows of tissue, and what the rows below them say."""
    tissue, rows = pixels[: vivascope.TISSUE_ROWS], pixels[vivascope.TISSUE_ROWS :]
    if rows.size == 0 or rows.dtype.kind != "u":
        return tissue, NO_CAPTION
    from runtime.images.caption import read_caption

    # text is as bright as its file allows
    return tissue, read_caption((rows // 256 ** (rows.dtype.itemsize - 1)).astype(np.uint8))


def _depth_of_type(pixels: Grey) -> GreyDepth | None:
    """All levels of the pixels' type; None where that would be a guess."""
    if pixels.dtype == np.uint8:
        return EIGHT_BIT
    # 16-bit grey that stays below this was most likely stored by a 12-bit camera
    if pixels.dtype == np.uint16 and int(pixels.max()) >= _TWELVE_BIT_LEVELS:
        return GreyDepth.of_bits(16, "type")
    return None


def _no_numbers(pixels: Grey) -> tuple[str, ...]:
    if pixels.dtype.kind != "f" or np.isfinite(pixels).all():
        return ()
    return ("pixels: some are no numbers",)


def _no_depth(pixels: Grey, depth: GreyDepth | None) -> str:
    """Why the depth of grey is unknown; empty where it is known."""
    if depth is not None:
        return ""
    if pixels.dtype == np.float32:
        return f"{DEPTH_UNKNOWN}: floating point, and nothing says which values are black and white; give --grey-range"
    return bits_unknown(pixels.dtype, int(pixels.max()))


def file_sha256(path: Path, *, alive: Callable[[], object] = lambda: None, inside: Path | None = None) -> str | None:
    """Hex digest of the file's content now; None when there is no such file any more.

    Args:
        path: the file; it is only read.
        alive: called again and again while a large file is read.
        inside: as of `read_shared`.

    Raises:
        UnreadableImage: it is there and cannot be read.
        PlaceForbids: a link leads out of `inside`.
    """
    try:
        with _said_plainly(path):
            return sha256_shared(path, alive=alive, inside=inside)
    except UnreadableImage as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return None
        raise


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


def _decode(data: bytes) -> Decoded:
    if not data:
        raise UnreadableImage("the file is empty", seen="0 bytes", next_step="wait for the copy to end")
    file = InMemory(data)
    with healing(file):
        name = named_format(file)
        return Decoded((_PLAIN[name](data),)) if name in _PLAIN else _decode_described(name, data)


def _decode_described(name: str, data: bytes) -> Decoded:
    """Of the formats that tell of their images, each with what reads it, which others need not wait for."""
    if name == "DICOM":
        from runtime.images.dicom import decode_dicom

        return decode_dicom(data)
    from runtime.images.tiff import decode_tiff

    return decode_tiff(data)
