"""One encapsulated frame of a DICOM file, decompressed."""

from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.codecs import CodedSize, codec, is_whole_jpeg, jpeg_2000_size, jpeg_size
from runtime.images.dicom_form import PixelForm
from runtime.images.jpeg import decode_jpeg

# transfer syntaxes, PS3.5 section 10 and PS3.6 table A-1
NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"})
_RLE = "1.2.840.10008.1.2.5"
# whose colours are the photometric interpretation's own; other codecs turn them into RGB
OWN_COLOURS = NATIVE | {_RLE}
_BASELINE = "1.2.840.10008.1.2.4.50"
# libjpeg-turbo's, which is called jpeg8, also reads 12 bits and JPEG without loss
_JPEG = {
    "1.2.840.10008.1.2.4.51": "jpeg8",
    "1.2.840.10008.1.2.4.57": "jpeg8",
    "1.2.840.10008.1.2.4.70": "jpeg8",
    "1.2.840.10008.1.2.4.80": "jpegls",
    "1.2.840.10008.1.2.4.81": "jpegls",
}
# not its high-throughput kind: imagecodecs' decoder of that lets damaged frames pass as whole ones
JPEG_2000 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})


def decode_frame(frame: bytes, transfer_syntax: str, form: PixelForm) -> npt.NDArray[Any]:
    """The samples of one frame.

    Args:
        frame: its encapsulated bytes, fragments joined.
        transfer_syntax: UID of how they are compressed.
        form: how the pixels have to come out.

    Returns:
        uint8 or uint16 [H, W] or [H, W, 3]; of JPEG and its successors in RGB order, of RLE as `form.photometric` says.

    Raises:
        UnreadableImage: damaged, or a codec is missing.
        NeverAnImage: the frame contradicts the data set, or is compressed in a way that is not read.
    """
    if transfer_syntax == _RLE:
        return _run_lengths(frame, form)
    if transfer_syntax == _BASELINE or transfer_syntax in _JPEG:
        found = _jpeg(frame, transfer_syntax, form)
    elif transfer_syntax in JPEG_2000:
        _check_size(jpeg_2000_size(frame), form)
        found = _decoded("jpeg2k", frame)
    else:
        raise NeverAnImage(
            "this compression of a DICOM file is not read",
            seen=transfer_syntax,
            wanted="JPEG, JPEG-LS, JPEG 2000 or RLE",
            next_step="export the image uncompressed",
        )
    wanted = (form.rows, form.columns, 3)[: 2 if form.samples == 1 else 3]
    if found.shape != wanted or found.dtype not in (np.uint8, np.uint16) or found.dtype.itemsize * 8 > form.allocated:
        raise NeverAnImage(
            "a frame of the DICOM file contradicts its header",
            seen=f"{found.shape} {found.dtype}",
            wanted=f"{wanted} of {form.allocated} bits",
        )
    return found


def _jpeg(frame: bytes, transfer_syntax: str, form: PixelForm) -> npt.NDArray[Any]:
    _check_size(jpeg_size(frame), form)
    if not is_whole_jpeg(frame):
        raise UnreadableImage("a frame of the DICOM file is truncated", wanted="JPEG up to its end marker")
    if transfer_syntax == _BASELINE:
        pixels = decode_jpeg(frame)
        return pixels if pixels.ndim == 2 else pixels[:, :, ::-1]
    return _decoded(_JPEG[transfer_syntax], frame)


def _decoded(name: str, frame: bytes) -> npt.NDArray[Any]:
    decode = codec(name)
    try:
        return np.asarray(decode(frame))
    except Exception as error:  # each codec has its own
        raise UnreadableImage("a frame of the DICOM file is damaged", seen=type(error).__name__) from None


def _check_size(told: CodedSize | None, form: PixelForm) -> None:
    """A compressed frame's own header says what its decoder will spend memory on."""
    if told is None:
        raise UnreadableImage("a frame of the DICOM file is damaged", wanted="a header that gives its size")
    if (told.height, told.width, told.samples) != (form.rows, form.columns, form.samples) or told.bits > form.allocated:
        raise NeverAnImage(
            "a frame of the DICOM file contradicts its header",
            seen=f"{told.width} x {told.height}, {told.samples} samples of {told.bits} bits",
            wanted=f"{form.columns} x {form.rows}, {form.samples} of {form.allocated}",
        )


def _run_lengths(frame: bytes, form: PixelForm) -> npt.NDArray[Any]:
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder
    from pydicom.uid import RLELossless

    try:
        buffer, _ = get_decoder(RLELossless).as_buffer(
            encapsulate([frame]),
            index=0,
            raw=True,
            decoding_plugin="pydicom",
            rows=form.rows,
            columns=form.columns,
            number_of_frames=1,
            samples_per_pixel=form.samples,
            planar_configuration=1,
            photometric_interpretation=form.photometric,
            bits_allocated=form.allocated,
            bits_stored=form.stored,
            pixel_representation=0,
            pixel_keyword="PixelData",
        )
    except Exception as error:
        raise UnreadableImage("a frame of the DICOM file is damaged", seen=type(error).__name__) from None
    flat = np.frombuffer(buffer, f"<u{form.allocated // 8}")
    # run lengths come with the samples of each kind together
    whole = flat.reshape(form.samples, form.rows, form.columns)
    return whole[0] if form.samples == 1 else np.moveaxis(whole, 0, -1)
