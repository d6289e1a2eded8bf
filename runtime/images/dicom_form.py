"""How the pixels of a DICOM data set are laid out, checked before any is decoded."""

import msgspec

from runtime.errors import NeverAnImage
from runtime.images.dicom_dataset import Dataset
from runtime.images.limits import check_claim, check_size, require_kind

_MOST_FRAMES = 1024
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})


class PixelForm(msgspec.Struct, frozen=True):
    """How a data set's pixels are laid out, by its Image Pixel module (PS3.3 C.7.6.3).

    Attributes:
        frames, rows, columns, samples: how many.
        photometric: what the samples mean, in the standard's words.
        allocated, stored: bits of a sample in the file, and those that count.
        shift: bits below those that count.
        is_signed: samples are two's complement.
        is_float: samples are floating point of 32 bits.
        planar: the samples of one kind come together, frame by frame.
    """

    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    stored: int
    shift: int
    is_signed: bool
    is_float: bool
    planar: bool

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.samples * (self.allocated // 8)


def pixel_form(dataset: Dataset, file_bytes: int) -> PixelForm:
    """The layout, checked before any pixel is decoded.

    Raises:
        NeverAnImage: too large for an image, for such a file, or of a kind that is not read.
    """
    is_float = "FloatPixelData" in dataset.elements
    allocated = 32 if is_float else _whole(dataset, "BitsAllocated")
    stored = allocated if is_float else _whole(dataset, "BitsStored")
    form = PixelForm(
        frames=_whole(dataset, "NumberOfFrames", 1),
        rows=_whole(dataset, "Rows"),
        columns=_whole(dataset, "Columns"),
        samples=_whole(dataset, "SamplesPerPixel", 1),
        photometric=str(dataset.get("PhotometricInterpretation") or "").strip(),
        allocated=allocated,
        stored=stored,
        shift=0 if is_float else _whole(dataset, "HighBit", stored - 1) + 1 - stored,
        is_signed=not is_float and _whole(dataset, "PixelRepresentation", 0) == 1,
        is_float=is_float,
        planar=_whole(dataset, "PlanarConfiguration", 0) == 1,
    )
    matrix = [_whole(dataset, f"TotalPixelMatrix{side}", 0) for side in ("Rows", "Columns")]
    one = form.photometric in _GREY and form.samples == 1
    checks = (
        (1 <= form.frames <= _MOST_FRAMES, "number of frames", f"{form.frames}", f"1 to {_MOST_FRAMES}"),
        (
            matrix[0] <= form.rows and matrix[1] <= form.columns,
            "pyramid of tiles",
            f"tiles of {form.columns} x {form.rows} of {matrix[1]} x {matrix[0]} pixels",
            "whole images",
        ),
        (
            one or (form.photometric in _COLOUR and form.samples == 3 and form.allocated == 8),
            "colour",
            f"{form.samples} samples of {form.allocated} bits, {form.photometric[:16]!r}",
            "grey, or RGB of 8 bits",
        ),
        (
            is_float or (allocated in (8, 16) and 1 <= stored <= allocated and 0 <= form.shift <= allocated - stored),
            "number format",
            f"{stored} of {allocated} bits, the highest {form.shift + stored - 1}",
            "8 or 16 bits allocated",
        ),
    )
    require_kind("DICOM file", checks, next_step="export the image as plain grey, one file an image")
    check_size(form.columns, form.rows)
    check_size(form.columns, form.rows * form.frames)
    # colour is turned over several times before it is grey
    check_claim(form.samples * form.frames * form.frame_bytes, file_bytes)
    return form


def told_pixel_bytes(dataset: Dataset) -> int:
    """Return how many bytes of pixels a file has by the elements that come before most others.

    Raises:
        NeverAnImage: too large for an image, or not described.
    """
    rows, columns = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    frames, samples = (_whole(dataset, keyword, 1) for keyword in ("NumberOfFrames", "SamplesPerPixel"))
    check_size(columns, rows * frames)
    return rows * columns * frames * samples * -(-_whole(dataset, "BitsAllocated") // 8)


def _whole(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    value = dataset.get(keyword)
    if value in (None, ""):
        if default is None:
            raise NeverAnImage("the DICOM file does not describe its pixels", wanted=keyword)
        return default
    return int(value)
