"""TIFF: pages of plain or deflated grey or RGB, 8 or 16 bit."""

import io
import math
import zlib
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.decoded import Decoded
from runtime.images.limits import check_claim, check_size, truncated
from runtime.images.tiff_directory import check_directory

# numbers of the TIFF 6.0 specification and its supplements
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_PLAIN = 1
_DEFLATE = (8, 32946)
_ALPHA = (1, 2)
_SLICE = 4 << 10


def decode_tiff(data: bytes) -> Decoded:
    """Decodes a TIFF, grey or RGB, 8 or 16 bit, uncompressed or deflated; of several pages each.

    Returns:
        planes of uint8 or uint16 [H, W] with 0 as black, or [H, W, 3] in BGR order.

    Raises:
        UnreadableImage: truncated or damaged.
        NeverAnImage: pages of different sizes, too large, or a kind of TIFF that is not read.
    """
    check_directory(data)
    # some twenty milliseconds that only TIFFs should cost
    import logging

    import tifffile

    # what it finds wrong is said in our error, once
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            pages = _pages(tiff)
            for page in pages:
                _check_kind(page)
            _check_alike(pages)
            check_claim(sum(int(page.nbytes) for page in pages), len(data))
            for page in pages:
                _check_segments(page, data)
            return Decoded(tuple(_stored_order(page, page.asarray(maxworkers=1)) for page in pages))
    except UnreadableImage:
        raise
    except Exception as error:  # a damaged tag surfaces as almost any type
        raise UnreadableImage(
            "the TIFF cannot be read",
            seen=f"{type(error).__name__}: {error}",
            next_step="export the image again",
        ) from error


def _pages(tiff: Any) -> list[Any]:
    """The images of the file: its pages, without previews of them."""
    if tiff.is_imagej and int((tiff.imagej_metadata or {}).get("images", 1)) > len(tiff.pages):
        raise NeverAnImage(
            "the TIFF keeps a stack behind one page",
            seen=f"{(tiff.imagej_metadata or {}).get('images')} images in {len(tiff.pages)} pages",
            wanted="a page an image",
            next_step="save the stack as OME-TIFF, or its slices as single files",
        )
    pages = [tiff.pages[0]]
    for number in range(1, len(tiff.pages)):
        page = tiff.pages.get(number, cache=False, aspage=True)
        if not (page.imagewidth and page.imagelength):
            # the directory of a slice that is still to be written
            raise truncated("a page without pixels", "the rest of a stack")
        if not page.is_reduced:
            pages.append(page)
    return pages


def _check_alike(pages: list[Any]) -> None:
    first = pages[0]
    check_size(int(first.imagewidth), int(first.imagelength) * len(pages))
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
    for right, what, seen, wanted in (
        (page.imagedepth == 1, "volume", f"depth {page.imagedepth}", "one plane"),
        (grey or rgb, "colour", f"{samples} samples, {page.photometric!r}", "grey or RGB"),
        (
            page.dtype in (np.uint8, np.uint16) and page.bitspersample in (8, 16),
            "number format",
            f"{page.bitspersample} bits, {page.dtype}",
            "unsigned integers of 8 or 16 bits",
        ),
        (
            page.compression == _PLAIN or page.compression in _DEFLATE,
            "compression",
            f"{page.compression!r}",
            "none or deflate",
        ),
        (page.predictor in (1, 2), "predictor", f"{page.predictor!r}", "none or horizontal"),
    ):
        if not right:
            raise NeverAnImage(
                f"this {what} of a TIFF is not read",
                seen=seen,
                wanted=wanted,
                next_step="save it as plain grey TIFF",
            )


def _check_segments(page: Any, data: bytes) -> None:
    """Every strip or tile lies in the file and holds all its pixels; tifffile would fill gaps with black."""
    offsets, counts = page.dataoffsets, page.databytecounts
    number, wanted = _segment_bytes(page)
    if not len(offsets) == len(counts) == number:
        raise NeverAnImage(
            "the TIFF's strips do not make up its image",
            seen=f"{len(offsets)} strips",
            wanted=f"{number}",
        )
    for offset, count, (least, most) in zip(offsets, counts, wanted, strict=True):
        if offset <= 0 or offset + count > len(data):
            raise truncated(f"{len(data)} bytes", f"a strip of {count} bytes at byte {offset}")
        if page.compression == _PLAIN:
            held = count
        else:
            held, whole = _inflated_bytes(memoryview(data)[offset : offset + count], most)
            if held > most or not whole:
                raise UnreadableImage("the TIFF's strips are damaged", seen=f"{held} bytes", wanted=f"{least}")
        if held < least:
            raise truncated(f"a strip of {held} bytes", f"{least} bytes of pixels")


def _inflated_bytes(deflated: memoryview, most: int) -> tuple[int, bool]:
    """How many bytes a segment inflates to, counted until there are more than `most`; whether its stream ended."""
    inflater, held = zlib.decompressobj(), 0
    # deflate cannot beat 1032:1: a slice inflates to at most 4 MB
    for at in range(0, len(deflated), _SLICE):
        held += len(inflater.decompress(deflated[at : at + _SLICE]))
        if held > most or inflater.eof:
            break
    return held, inflater.eof


def _segment_bytes(page: Any) -> tuple[int, Iterator[tuple[int, int]]]:
    """How many strips or tiles there should be, and (least, most) bytes of pixels in each, in file order.

    Not a list: a header of a few bytes may ask for as many strips as there may be pixels.
    """
    height, width = int(page.imagelength), int(page.imagewidth)
    planes, together = (page.samplesperpixel, 1) if int(page.planarconfig) == 2 else (1, page.samplesperpixel)
    pixel_bytes = int(together) * (page.bitspersample // 8)
    if page.is_tiled:
        across, down = int(page.tilewidth), int(page.tilelength)
        check_size(across, down)
        columns, rows = math.ceil(width / across), math.ceil(height / down)
        # what the tiles hold beyond the image is inflated too
        check_size(columns * across, rows * down)
        tile, number = across * down * pixel_bytes, columns * rows * int(planes)
        return number, repeat((tile, tile), number)
    rows = min(int(page.rowsperstrip), height)
    if rows < 1:
        raise NeverAnImage("the TIFF's strips have no rows", seen=f"{rows}")
    row, tops = width * pixel_bytes, range(0, height, rows)
    strips = ((min(rows, height - top) * row, rows * row) for _ in range(int(planes)) for top in tops)
    return len(tops) * int(planes), strips


def _stored_order(page: Any, pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """[H, W] or [H, W, 3] in BGR order, in this machine's byte order, 0 black."""
    native: npt.NDArray[Any] = pixels.astype(np.uint8 if page.bitspersample == 8 else np.uint16, copy=False)
    if int(page.planarconfig) == 2 and page.samplesperpixel > 1:
        native = np.moveaxis(native, 0, -1)
    if int(page.photometric) == _RGB:
        return np.ascontiguousarray(native[:, :, 2::-1])
    grey = native if native.ndim == 2 else native[:, :, 0]
    return np.iinfo(grey.dtype).max - grey if int(page.photometric) == _WHITE_IS_ZERO else grey
