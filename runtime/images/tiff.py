"""TIFF: pages of grey, palette or RGB, 8, 16 or 32 bit or floating point, compressed or not."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.decoded import Channels, Decoded
from runtime.images.depth import AS_STORED, DEPTH_UNKNOWN, GreyDepth, Held, bits_unknown
from runtime.images.imagej import image_count, is_imagej
from runtime.images.limits import JPEG_2000_COST, check_claim, check_size, require_kind, truncated
from runtime.images.plausible import BITS
from runtime.images.source import InMemory
from runtime.images.tiff_directory import check_directory
from runtime.images.tiff_segments import COMPRESSIONS, JPEG, JPEG_2000, PLAIN, check_segments
from runtime.images.tiff_words import told_by
from runtime.images.told import Told

# numbers of the TIFF 6.0 specification and its supplements
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_ALPHA = (1, 2)
# of compressed strips, copied for decoding
_BUFFER = 1 << 24
_LEVELS = ("uint8", "uint16", "uint32")
_FLOATS = ("float16", "float32", "float64")


def decode_tiff(data: bytes) -> Decoded:
    """Decodes a TIFF, BigTIFF, OME-TIFF or ImageJ TIFF: grey, palette or RGB, of one page or of several alike.

    Returns:
        planes of uint8, uint16, uint32 or float32 [H, W] with 0 as black, or [H, W, 3] in BGR order; scale, depths and
        significant bits as the file tells them.

    Raises:
        UnreadableImage: truncated or damaged, or a codec is missing.
        NeverAnImage: pages of different sizes, too large, or a kind of TIFF that is not read.
    """
    check_directory(InMemory(data))
    # some twenty milliseconds that only TIFFs should cost
    import logging

    import tifffile

    # what it finds wrong is said in our error, once
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    file = io.BytesIO(data)
    # one that fails while it is made is to be let go of as well
    tiff: Any = tifffile.TiffFile.__new__(tifffile.TiffFile)
    pages: list[Any] = []
    try:
        tiff.__init__(file)
        pages += _pages(tiff)
        return _decoded(pages, data, tiff.byteorder)
    except UnreadableImage:
        raise
    except Exception as error:  # a damaged tag surfaces as almost any type
        raise UnreadableImage(
            "the TIFF cannot be read",
            seen=f"{type(error).__name__}: {error}",
            next_step="export the image again",
        ) from error
    finally:
        # its parts hold each other, and so the file's bytes, until Python looks for garbage
        for part in (*pages, tiff):
            vars(part).clear()
        file.close()


def _decoded(pages: list[Any], data: bytes, byteorder: str) -> Decoded:
    for page in pages:
        _check_kind(page)
    _check_alike(pages)
    behind = _images_behind(pages)
    check_size(int(pages[0].imagewidth), int(pages[0].imagelength) * (len(pages) + behind))
    check_claim(sum(map(_cost, pages)) + behind * _cost(pages[0]), len(data))
    for page in pages:
        check_segments(page, data)
    planes = tuple(_planes(pages, behind, data, byteorder))
    return _with_what_is_told(planes, pages[0])


def _with_what_is_told(planes: tuple[Channels, ...], page: Any) -> Decoded:
    told = told_by(page, len(planes))
    kind = planes[0].dtype
    depth, unknown = _depth(planes, told) if kind.kind == "u" else (None, "")
    held = AS_STORED
    if int(page.photometric) == _WHITE_IS_ZERO:
        planes, depth, held, turned_unknown = _turned(planes, depth)
        unknown = unknown or turned_unknown
    return Decoded(
        planes,
        depth=depth,
        depth_unknown=unknown,
        held=held,
        um_per_px=told.um_per_px,
        um_per_px_from="unknown" if told.um_per_px is None else told.source,
        z_um=told.z_um,
        z_from="unknown" if set(told.z_um) <= {None} else told.source,
        objections=told.objections,
        notes=told.notes,
    )


def _depth(planes: tuple[Channels, ...], told: Told) -> tuple[GreyDepth | None, str]:
    """By the bits that are told; None without any, and why the type must not be asked either."""
    if told.bits is None:
        return None, ""
    most = 8 * planes[0].dtype.itemsize
    if not (BITS.holds(told.bits) and told.bits <= most and told.bits == int(told.bits)):
        return None, f"{DEPTH_UNKNOWN}: the file tells {told.bits:g} significant bits of {most}; give --grey-range"
    depth = GreyDepth.of_bits(int(told.bits), told.source)
    # whoever wrote it was wrong
    return (None if _highest(planes) > depth.white else depth), ""


def _turned(
    planes: tuple[Channels, ...], depth: GreyDepth | None
) -> tuple[tuple[Channels, ...], GreyDepth | None, Held, str]:
    """Planes of which low levels are bright, turned round by the level that is black; and why that is unknown."""
    kind = planes[0].dtype
    if kind.kind == "f":
        return tuple(-plane for plane in planes), None, Held(0.0, turned=True), ""
    highest = _highest(planes)
    if depth is None:
        # of 16 bits the highest is used, so that all of them are; with fewer the level of black would be a guess
        bits = 8 if kind == np.uint8 else 16 if kind == np.uint16 and highest >= 1 << 15 else None
        depth = None if bits is None else GreyDepth.of_bits(bits, "type")
    black = highest if depth is None else int(depth.white)
    held = Held(float(black), turned=True)
    unknown = bits_unknown(kind, highest) if depth is None else ""
    return tuple(kind.type(black) - plane for plane in planes), depth, held, unknown


def _highest(planes: tuple[Channels, ...]) -> int:
    return max(int(plane.max()) for plane in planes)


def _cost(page: Any) -> int:
    """The page's pixels in bytes, times what they take beyond that: colour is turned over several times to be grey."""
    cost = JPEG_2000_COST if int(page.compression) in JPEG_2000 else 1
    return cost * int(page.samplesperpixel) * int(page.nbytes)


def _pages(tiff: Any) -> list[Any]:
    """The images of the file: its pages, without previews of them."""
    pages = [tiff.pages[0]]
    for number in range(1, len(tiff.pages)):
        page = tiff.pages.get(number, cache=False, aspage=True)
        if not (page.imagewidth and page.imagelength):
            # the directory of a slice that is still to be written
            raise truncated("a page without pixels", "the rest of a stack")
        if not page.is_reduced:
            pages.append(page)
    return pages


def _images_behind(pages: list[Any]) -> int:
    """How many images of a large ImageJ stack lie behind the only page's own, without pages of their own."""
    description = pages[0].description
    if len(pages) > 1 or not is_imagej(description):
        return 0
    behind = image_count(description) - 1
    if behind and (pages[0].compression != PLAIN or len(pages[0].dataoffsets) != 1):
        raise NeverAnImage(
            "the TIFF keeps a stack behind one page, and not in one piece",
            seen=f"{behind + 1} images",
            next_step="save the stack as OME-TIFF, or its slices as single files",
        )
    return behind


def _planes(pages: list[Any], behind: int, data: bytes, byteorder: str) -> Iterator[Channels]:
    def stored(page: Any, start: int) -> Channels:
        """Plain pixels are the file's own bytes."""
        kind = page.dtype.newbyteorder(byteorder)
        return _stored_order(page, np.frombuffer(data, kind, page.size, start).reshape(page.shape))

    for page in pages:
        if page.compression == PLAIN and page.predictor == page.fillorder == 1 and page.is_contiguous:
            yield stored(page, page.dataoffsets[0])
        else:
            yield _stored_order(page, page.asarray(maxworkers=1, buffersize=_BUFFER))
    page = pages[0]
    size = int(page.nbytes)
    for number in range(1, behind + 1):
        start = int(page.dataoffsets[0]) + number * size
        if start + size > len(data):
            raise truncated(f"{len(data)} bytes", f"image {number + 1} of {behind + 1} at byte {start}")
        yield stored(page, start)


def _check_alike(pages: list[Any]) -> None:
    first = pages[0]
    for page in pages:
        if (page.shape, page.dtype, page.photometric) != (first.shape, first.dtype, first.photometric):
            raise NeverAnImage(
                "the TIFF's pages differ, so they are no stack",
                seen=f"{page.imagewidth} x {page.imagelength} {page.dtype} after "
                f"{first.imagewidth} x {first.imagelength} {first.dtype}",
                wanted="pages of one size and kind",
                next_step="save the image as a single page",
            )


def _check_kind(page: Any) -> None:
    width, height = int(page.imagewidth), int(page.imagelength)
    check_size(width, height)
    samples, photometric, extra = int(page.samplesperpixel), int(page.photometric), tuple(page.extrasamples)
    grey = photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and (
        samples == 1 or (samples == 2 and all(int(e) in _ALPHA for e in extra) and len(extra) == 1)
    )
    rgb = photometric == _RGB and samples in (3, 4)
    # what JPEG makes of colours, its decoder turns back
    ycbcr = photometric == _YCBCR and samples == 3 and page.compression == JPEG
    palette = photometric == _PALETTE and samples == 1 and page.bitspersample == 8
    checks = (
        (page.imagedepth == 1, "volume", f"depth {page.imagedepth}", "one plane"),
        (
            grey or rgb or ycbcr or palette,
            "colour",
            f"{samples} samples of {page.bitspersample} bits, {page.photometric!r}",
            "grey, RGB, or a palette of 8 bits",
        ),
        (
            str(page.dtype) in _LEVELS + _FLOATS and page.bitspersample == 8 * page.dtype.itemsize,
            "number format",
            f"{page.bitspersample} bits, {page.dtype}",
            "unsigned integers of 8, 16 or 32 bits, or floating point",
        ),
        (
            int(page.compression) in COMPRESSIONS,
            "compression",
            f"{page.compression!r}",
            "none, deflate, LZW, PackBits, zstd, JPEG or JPEG 2000",
        ),
        (
            page.predictor in ((1, 3) if page.dtype is not None and page.dtype.kind == "f" else (1, 2)),
            "predictor",
            f"{page.predictor!r}",
            "none, horizontal of integers, or floating point",
        ),
    )
    require_kind("TIFF", checks, next_step="save it as plain grey TIFF")


def _stored_order(page: Any, pixels: npt.NDArray[Any]) -> Channels:
    """[H, W] as stored, or [H, W, 3] in BGR order, in this machine's byte order."""
    native: npt.NDArray[Any] = pixels.astype(
        np.float32 if page.dtype.kind == "f" else page.dtype.newbyteorder("="), copy=False
    )
    photometric = int(page.photometric)
    if int(page.planarconfig) == 2 and page.samplesperpixel > 1:
        native = np.moveaxis(native, 0, -1)
    if photometric in (_RGB, _YCBCR):
        return np.ascontiguousarray(native[:, :, 2::-1])
    grey = native if native.ndim == 2 else native[:, :, 0]
    if photometric == _PALETTE:
        # red, green and blue, of 16 bits each
        table = (np.asarray(page.colormap)[::-1] >> 8).astype(np.uint8)
        return np.ascontiguousarray(table[:, grey].transpose(1, 2, 0))
    return np.ascontiguousarray(grey)
