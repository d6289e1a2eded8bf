"""DICOM files as confocal microscopes and exports write them, with a patient's name in each."""

import io
import warnings
from typing import Any

import imagecodecs
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

CONFOCAL = "1.2.840.10008.5.1.4.1.1.77.1.8"
PATIENT = "Doe^Jane"
NATIVE = {
    "implicit little-endian": ImplicitVRLittleEndian,
    "explicit little-endian": ExplicitVRLittleEndian,
    "explicit big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
# of each how a frame is compressed, without loss but for the lossy ones
COMPRESSED: dict[str, tuple[str, Any]] = {
    "RLE": (RLELossless, None),
    "JPEG without loss": (JPEGLosslessSV1, lambda pixels, bits: imagecodecs.ljpeg_encode(pixels, bitspersample=bits)),
    "JPEG-LS": (JPEGLSLossless, lambda pixels, _: imagecodecs.jpegls_encode(pixels)),
    "JPEG 2000 without loss": (
        JPEG2000Lossless,
        lambda pixels, bits: imagecodecs.jpeg2k_encode(
            pixels, level=0, codecformat="j2k", reversible=True, bitspersample=bits
        ),
    ),
}
LOSSY: dict[str, tuple[str, Any]] = {
    "JPEG": (JPEGBaseline8Bit, lambda pixels, _: imagecodecs.jpeg8_encode(pixels, level=95)),
    "JPEG of 12 bits": (
        JPEGExtended12Bit,
        lambda pixels, bits: imagecodecs.jpeg8_encode(pixels, level=95, bitspersample=bits),
    ),
    "JPEG 2000": (
        JPEG2000,
        lambda pixels, bits: imagecodecs.jpeg2k_encode(pixels, level=50, codecformat="j2k", bitspersample=bits),
    ),
}


def dicom(
    pixels: npt.NDArray[Any],
    bits: int | None = None,
    *,
    encoding: str = "explicit little-endian",
    sop_class: str = CONFOCAL,
    um_per_px: float | None = 0.5,
    depth_um: float | None = None,
    **elements: Any,
) -> bytes:
    """A DICOM file.

    Args:
        pixels: [H, W], [frames, H, W], or with a last axis of 3 for RGB; as the file is to store them.
        bits: stored; those of the pixels' type by default.
        encoding: a key of `NATIVE`, `COMPRESSED` or `LOSSY`.
        sop_class: UID of the kind of image.
        um_per_px: told as Pixel Spacing, not at all where None.
        depth_um: told as Image Acquisition Depth.
        elements: further ones by keyword, None to leave one out.
    """
    colour = pixels.shape[-1] == 3
    frames = pixels if pixels.ndim == (4 if colour else 3) else pixels[None]
    allocated = 8 * pixels.dtype.itemsize
    stored = bits or allocated
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = sop_class, generate_uid(entropy_srcs=["inflamap"])
    data.PatientName, data.PatientID, data.PatientBirthDate = PATIENT, "4711", "19700101"
    data.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    data.Modality = "CFM"
    data.Rows, data.Columns = frames.shape[1:3]
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = allocated, stored, stored - 1, 0
    if len(frames) > 1:
        data.NumberOfFrames = len(frames)
    if um_per_px is not None:
        data.PixelSpacing = [um_per_px / 1000, um_per_px / 1000]
    if depth_um is not None:
        data.ImageAcquisitionDepth = depth_um / 1000
    syntax = NATIVE.get(encoding) or (COMPRESSED | LOSSY)[encoding][0]
    if pixels.dtype.kind == "f":
        data.FloatPixelData = frames.astype("<f4").tobytes()
    elif encoding in NATIVE:
        raw = frames.astype(frames.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
        data.PixelData = raw + bytes(len(raw) % 2)
        data["PixelData"].VR = "OW" if allocated == 16 else "OB"
    elif syntax != RLELossless:
        encode = (COMPRESSED | LOSSY)[encoding][1]
        data.PixelData = encapsulate([bytes(encode(frame, stored)) for frame in frames])
        data["PixelData"].is_undefined_length = True
        data["PixelData"].VR = "OB"
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = sop_class, data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if syntax == RLELossless:
            data.PixelData = frames.tobytes() + bytes(frames.nbytes % 2)
            data["PixelData"].VR = "OW"
            data.compress(RLELossless, generate_instance_uid=False)
        return written(data)


def written(data: Dataset) -> bytes:
    """The bytes of a data set's file."""
    out = io.BytesIO()
    pydicom.dcmwrite(out, data, enforce_file_format=True)
    return out.getvalue()


def item(**elements: Any) -> Dataset:
    """An item of a sequence."""
    found = Dataset()
    for keyword, value in elements.items():
        setattr(found, keyword, value)
    return found
