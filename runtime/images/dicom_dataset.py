"""The elements of a DICOM file that tell of its pixels, and no others: the rest may identify a patient."""

import io
import logging
import math
import struct
import warnings
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.inflate import Inflating
from runtime.images.limits import most_decoded, truncated
from runtime.images.plausible import to_number

_FIRST_ELEMENT = 132
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_IMPLICIT, _DEFLATED, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
# of the file's meta information, PS3.10 table 7.1-1
_MEDIA_STORAGE_SOP_CLASS, _TRANSFER_SYNTAX = 0x0002, 0x0010
# a read takes some microseconds; a thousand frames with a dozen elements each need a tenth of these
_MOST_READS = 1 << 19
_SPARE_BYTES = 1 << 20
# of a deflated file; the elements that describe the image come early
_HEAD_BYTES = 8 << 20
# elements come in the order of their groups
_IMAGE_GROUP = 0x0028
_TAGS = (
    "SOPClassUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "NominalScannedPixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "FloatPixelPaddingValue",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTSequence",
    "PresentationLUTSequence",
    "PresentationLUTShape",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "ImagedVolumeWidth",
    "ImagedVolumeHeight",
    "TotalPixelMatrixColumns",
    "TotalPixelMatrixRows",
    "ImageAcquisitionDepth",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "FloatPixelData",
    "PixelData",
)


class _Metered(io.BytesIO):
    """A file that may be read a few times over: hostile items have pydicom look for their ends again and again."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._bytes_left, self._reads_left = 8 * len(data) + _SPARE_BYTES, _MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self._bytes_left -= len(found)
        self._reads_left -= 1
        if self._bytes_left < 0 or self._reads_left < 0:
            raise NeverAnImage("the DICOM file's elements have no end", next_step="export the image again")
        return found


class Dataset(msgspec.Struct, frozen=True):
    """What a file holds, as far as it was asked for.

    Attributes:
        elements: pydicom's data set of these elements.
        sop_class: UID of the kind of object.
        kind: its name in the standard, or `an unknown class`.
        transfer_syntax: UID of how the pixels are encoded.
    """

    elements: Any
    sop_class: str
    kind: str
    transfer_syntax: str

    @property
    def byte_order(self) -> str:
        """`<` or `>`, as numpy knows it."""
        return ">" if self.transfer_syntax == _BIG_ENDIAN else "<"

    def get(self, keyword: str) -> Any:
        """The element's value; None where it is missing or empty."""
        return self.elements.get(keyword)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return the element's numbers as they are told, NaN for what is none; nothing where it is missing or empty."""
        try:
            value = self.elements.get(keyword)
        except (ValueError, OverflowError):
            # text that is no number, which pydicom finds when it is asked
            return (math.nan,)
        if value is None or value == "":
            return ()
        several = isinstance(value, Iterable) and not isinstance(value, str | bytes)
        return tuple(map(to_number, value if several else (value,)))

    def number(self, keyword: str) -> float | None:
        """Return the element's only number, NaN where it has several; None where it is missing or empty."""
        found = self.numbers(keyword)
        return None if not found else found[0] if len(found) == 1 else math.nan

    def items(self, keyword: str) -> Sequence["Dataset"]:
        """The items of a sequence; none where it is missing."""
        from pydicom.dataelem import RawDataElement
        from pydicom.filereader import read_sequence

        element = self.elements.get_item(keyword) if keyword in self.elements else None
        if element is None or not element.value:
            return ()
        found = element.value
        if isinstance(element, RawDataElement):
            # left to itself, pydicom would read it without a meter
            file, length = _Metered(bytes(found)), len(found)
            found = read_sequence(file, element.is_implicit_VR, element.is_little_endian, length, "iso8859")
        return [replace(self, elements=item) for item in found]


def read_dataset(data: bytes, *, is_head: bool = False) -> Dataset:
    """Read the elements of a DICOM file that its image is made of.

    Args:
        data: the file.
        is_head: whether `data` is only the beginning of the file; of it the elements are read that describe the image.

    Raises:
        UnreadableImage: truncated or damaged.
        NeverAnImage: an object without pixels.
    """
    # some 0.35 s that only DICOM files should cost
    from pydicom import config
    from pydicom.filereader import read_dataset as read_elements
    from pydicom.tag import Tag
    from pydicom.uid import UID

    # what it dislikes it would print, with the value, which may be a patient's; again each time, for others reset it
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\b")
    config.settings.reading_validation_mode = config.IGNORE
    meta, at = _file_meta(data)
    syntax = meta.get(_TRANSFER_SYNTAX, "")
    if not syntax:
        raise UnreadableImage("the DICOM file does not say how it is encoded", wanted="a Transfer Syntax UID")
    if syntax == _DEFLATED:
        deflated = memoryview(data)[at:]
        file, at = _Metered(_inflated_head(deflated) if is_head else _inflated(deflated)), 0
    else:
        file = _Metered(data)
    file.seek(at)
    try:
        elements = read_elements(
            file,
            syntax == _IMPLICIT,
            syntax != _BIG_ENDIAN,
            stop_when=(lambda tag, _kind, _length: tag.group > _IMAGE_GROUP) if is_head else None,
            specific_tags=[Tag(keyword) for keyword in _TAGS],
        )
    except EOFError:
        raise truncated(f"{len(data)} bytes", "the rest of its data set") from None
    # the first comes whole even of a file that is cut
    sop_class = meta.get(_MEDIA_STORAGE_SOP_CLASS) or str(elements.get("SOPClassUID") or "")
    name = UID(sop_class).name
    is_known = name != sop_class
    kind = name if is_known else "an unknown class"
    if not is_head and "PixelData" not in elements and "FloatPixelData" not in elements:
        # the pixels come last: an image without them is one of which the end is missing
        if name.endswith("Image Storage") or not is_known:
            raise truncated(f"{len(data)} bytes without pixels", "pixel data")
        raise NeverAnImage("the DICOM file holds no image", seen=kind, wanted="an image")
    return Dataset(elements, sop_class, kind, syntax)


def _file_meta(data: bytes) -> tuple[dict[int, str], int]:
    """Group 2 as text by element, which is in Explicit VR Little Endian always, and where it ends."""
    found: dict[int, str] = {}
    at = _FIRST_ELEMENT
    while at + 8 <= len(data):
        group, element, kind, length = struct.unpack_from("<HH2sH", data, at)
        if group != 2:
            return found, at
        at += 8
        if kind in _LONG:
            if at + 4 > len(data):
                break
            (length,) = struct.unpack_from("<I", data, at)
            at += 4
        if at + length > len(data):
            break
        if kind == b"UI":
            found[element] = data[at : at + length].rstrip(b"\0 ").decode("ascii", "replace")
        at += length
    raise truncated(f"{len(data)} bytes", "the file's meta information and a data set")


def _inflated_head(deflated: memoryview) -> bytes:
    """The beginning of a deflated data set."""
    found = bytearray()
    for piece in Inflating(deflated, wbits=-zlib.MAX_WBITS):
        found += piece
        if len(found) > _HEAD_BYTES:
            break
    return bytes(found)


def _inflated(deflated: memoryview) -> bytes:
    """The data set of a deflated file."""
    most = most_decoded(len(deflated))
    inflating, found = Inflating(deflated, wbits=-zlib.MAX_WBITS), bytearray()
    for piece in inflating:
        found += piece
        if len(found) > most:
            raise NeverAnImage(
                "the DICOM file inflates to too much",
                seen=f"more than {most} bytes from {len(deflated)}",
                next_step="export it uncompressed",
            )
    if inflating.ended:
        return bytes(found)
    raise truncated(f"{len(deflated)} deflated bytes", "the rest of them")
