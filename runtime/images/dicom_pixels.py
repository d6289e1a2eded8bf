"""The pixels of a DICOM data set, frame by frame, native or encapsulated."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from runtime.errors import NeverAnImage, UnreadableImage
from runtime.images.decoded import Channels
from runtime.images.dicom_codecs import JPEG_2000, NATIVE, OWN_COLOURS, decode_frame
from runtime.images.dicom_dataset import Dataset
from runtime.images.dicom_form import PixelForm
from runtime.images.dicom_grey import GreyRules
from runtime.images.limits import JPEG_2000_COST, check_claim, truncated


def planes(dataset: Dataset, form: PixelForm, rules: GreyRules) -> Iterator[Channels]:
    """Each frame: [H, W] with small values as black, or [H, W, 3] in BGR order.

    Raises:
        UnreadableImage: truncated or damaged, or a codec is missing.
        NeverAnImage: pixels that contradict the data set.
    """
    if dataset.transfer_syntax in JPEG_2000:
        check_claim(JPEG_2000_COST * form.frames * form.frame_bytes, len(dataset.get("PixelData") or b""))
    for raw in _frames(dataset, form):
        yield _stored_order(raw, dataset, form, rules)


def _frames(dataset: Dataset, form: PixelForm) -> Iterator[npt.NDArray[Any]]:
    """Each frame's samples as the file holds them, [H, W] or [H, W, S] in the order of `photometric`."""
    data = dataset.get("FloatPixelData" if form.is_float else "PixelData")
    if not isinstance(data, bytes):
        raise truncated("no pixel data", f"{form.frames * form.frame_bytes} bytes of it")
    if dataset.transfer_syntax not in NATIVE:
        yield from _encapsulated(data, dataset, form)
        return
    if form.photometric == "YBR_FULL_422":
        raise NeverAnImage("this colour of a DICOM file is not read", seen=form.photometric, wanted="grey, or RGB")
    if len(data) < form.frames * form.frame_bytes:
        raise truncated(f"{len(data)} bytes of pixels", f"{form.frames * form.frame_bytes}")
    order = ">" if dataset.transfer_syntax == "1.2.840.10008.1.2.2" else "<"
    kind = np.dtype(f"{order}{'f' if form.is_float else 'u'}{form.allocated // 8}")
    count = form.rows * form.columns * form.samples
    for number in range(form.frames):
        flat = np.frombuffer(data, kind, count, number * form.frame_bytes)
        yield _shaped(flat.astype(kind.newbyteorder("="), copy=False), form)


def _shaped(flat: npt.NDArray[Any], form: PixelForm) -> npt.NDArray[Any]:
    """The samples of one frame as [H, W] or [H, W, S]."""
    if form.samples == 1:
        return flat.reshape(form.rows, form.columns)
    if form.planar:
        return np.moveaxis(flat.reshape(form.samples, form.rows, form.columns), 0, -1)
    return flat.reshape(form.rows, form.columns, form.samples)


def _encapsulated(data: bytes, dataset: Dataset, form: PixelForm) -> Iterator[npt.NDArray[Any]]:
    from pydicom.encaps import generate_frames

    offsets = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    table = offsets if all(offsets) else None
    try:
        found = list(generate_frames(data, number_of_frames=form.frames, extended_offsets=table))
    except Exception as error:
        raise truncated("fragments that do not make up its frames", f"{form.frames} frames") from error
    if len(found) != form.frames:
        raise truncated(f"{len(found)} frames", f"{form.frames}")
    for frame in found:
        yield decode_frame(frame, dataset.transfer_syntax, form)


def _stored_order(raw: npt.NDArray[Any], dataset: Dataset, form: PixelForm, rules: GreyRules) -> Channels:
    if form.is_float:
        return np.ascontiguousarray(-raw if rules.is_turned else raw, np.float32)
    if form.samples == 3:
        if dataset.transfer_syntax in OWN_COLOURS and form.photometric.startswith("YBR"):
            return np.asarray(cv2.cvtColor(np.ascontiguousarray(raw[:, :, [0, 2, 1]]), cv2.COLOR_YCrCb2BGR), np.uint8)
        return np.ascontiguousarray(raw[:, :, ::-1])
    highest = 2**form.stored - 1
    native = raw.astype(f"u{form.allocated // 8}", copy=False)
    # overlays may hide in the bits above and below
    levels = (native >> form.shift) & highest
    if form.photometric == "PALETTE COLOR":
        return _looked_up(levels, dataset)
    return _grey(levels, form, rules)


def _grey(levels: npt.NDArray[Any], form: PixelForm, rules: GreyRules) -> Channels:
    """Small values as black, by the levels as stored, two's complement among them."""
    kind, highest = levels.dtype, 2**form.stored - 1
    half = highest // 2 + 1 if form.is_signed else 0
    # signed ones counted from the lowest, which is 0
    grey: npt.NDArray[Any] = (levels + half) & highest
    padding = None
    if rules.padding is not None:
        low, high = (end + half for end in rules.padding)
        padding = (grey >= low) & (grey <= high)
    if rules.table is not None:
        highest = 2**rules.table.bits - 1
        kind = np.dtype(np.uint8 if rules.table.bits == 8 else np.uint16)
        grey = rules.table.look_up(grey.astype(np.int32) - half)
    if rules.is_turned:
        grey = highest - grey
    if padding is not None:
        grey[padding] = 0
    return np.ascontiguousarray(grey, kind)


def _looked_up(indices: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.uint8]:
    """uint8 [H, W, 3], BGR, by the palette (PS3.3 C.7.6.3.1.5)."""
    tables = []
    for colour in ("Blue", "Green", "Red"):
        descriptor = dataset.get(f"{colour}PaletteColorLookupTableDescriptor")
        data = dataset.get(f"{colour}PaletteColorLookupTableData")
        if descriptor is None or not isinstance(data, bytes):
            raise NeverAnImage("the DICOM file has no palette", wanted="a table of colours")
        number, first, bits = (int(part) for part in descriptor)
        # 0 stands for 2^16
        number = number or 1 << 16
        # entries of 8 bits may be packed, two a word, or stand alone in words
        wide = bits == 16 or len(data) >= 2 * number
        table: npt.NDArray[Any] = np.frombuffer(data, np.dtype(f"{dataset.byte_order}u2") if wide else np.uint8)
        if len(table) < number or bits not in (8, 16):
            raise UnreadableImage("the DICOM file's palette is damaged", seen=f"{len(data)} bytes", wanted=f"{number}")
        chosen = np.clip(indices.astype(np.int32) - first, 0, number - 1)
        tables.append((table[chosen] >> (8 if bits == 16 else 0)).astype(np.uint8))
    return np.stack(tables, axis=-1)
