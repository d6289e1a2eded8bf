"""DICOM: confocal and other microscopic images, one frame or many."""

from runtime.errors import UnreadableImage
from runtime.images.decoded import Decoded
from runtime.images.depth import AS_STORED, DEPTH_UNKNOWN, EIGHT_BIT, GreyDepth, Held
from runtime.images.dicom_dataset import Dataset, read_dataset
from runtime.images.dicom_form import PixelForm, pixel_form, told_pixel_bytes
from runtime.images.dicom_grey import GreyRules, grey_rules
from runtime.images.dicom_pixels import planes
from runtime.images.dicom_place import depths_um, scale_um

# Confocal Microscopy, also tiled; VL Microscopic, also with slide coordinates; Secondary Capture, which exports are
_MAY_BE_SKIN = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{end}"
    for end in ("77.1.8", "77.1.9", "77.1.2", "77.1.3", "7", "7.1", "7.2", "7.3", "7.4")
)  # fmt: skip


def decode_dicom(data: bytes) -> Decoded:
    """Decodes a DICOM file: grey of 8 or 16 bits allocated, RGB, YBR or palette, raw or compressed; floating point.

    No tag that may identify a patient is read, and none gets into an error.

    Args:
        data: the file, of PS3.10: a preamble, `DICM`, the file's meta information, the data set.

    Returns:
        planes of uint8, uint16 or float32 [H, W] with small values as black, one a frame, or [H, W, 3] in BGR order;
        depth by Bits Stored or by the table that levels are looked up in; an objection where the kind of image is none
        that a confocal microscope of skin makes, or where its grey would be wrong.

    Raises:
        UnreadableImage: truncated, damaged, or a codec is missing.
        NeverAnImage: no image, tiles of a larger one, too large, or of a kind that is not read.
    """
    try:
        dataset = read_dataset(data)
        form = pixel_form(dataset, len(data))
        # read once: a stack has a thousand
        each = dataset.items("PerFrameFunctionalGroupsSequence")[: form.frames]
        scale, objections = scale_um(dataset, each)
        depths = depths_um(dataset, each, form.frames)
        rules = grey_rules(dataset, form, each)
        return Decoded(
            tuple(planes(dataset, form, rules)),
            depth=_depth(form, rules),
            depth_unknown=_unknown(form, rules),
            held=_held(form, rules),
            um_per_px=scale,
            um_per_px_from="unknown" if scale is None else "dicom",
            z_um=depths.z_um,
            z_from="unknown" if set(depths.z_um) == {None} else "dicom",
            objections=(*_modality(dataset), *rules.objections, *objections, *depths.objections),
            notes=(*rules.notes, *depths.notes),
        )
    except UnreadableImage:
        raise
    except Exception as error:  # a damaged element surfaces as almost any type
        raise _damaged(error) from None


def dicom_pixel_bytes(head: bytes) -> int:
    """Return how many bytes of pixels a DICOM file has by the elements before them.

    Args:
        head: its first bytes, as many as those elements may take that describe an image.

    Raises:
        UnreadableImage, NeverAnImage: as `decode_dicom`.
    """
    try:
        return told_pixel_bytes(read_dataset(head, is_head=True))
    except UnreadableImage:
        raise
    except Exception as error:  # as in `decode_dicom`
        raise _damaged(error) from None


def _damaged(error: Exception) -> UnreadableImage:
    # the text of whatever a damaged element surfaces as may be a patient's
    return UnreadableImage(
        "the DICOM file cannot be read", seen=type(error).__name__, next_step="export the image again"
    )


def _depth(form: PixelForm, rules: GreyRules) -> GreyDepth | None:
    if rules.table is not None:
        return GreyDepth.of_bits(rules.table.bits, "dicom")
    if form.is_float or form.is_signed:
        return None
    return EIGHT_BIT if form.photometric == "PALETTE COLOR" else GreyDepth.of_bits(form.stored, "dicom")


def _unknown(form: PixelForm, rules: GreyRules) -> str:
    if not form.is_signed or rules.table is not None:
        return ""
    return f"{DEPTH_UNKNOWN}: signed levels, and nothing says which is black; give --grey-range"


def _held(form: PixelForm, rules: GreyRules) -> Held:
    if rules.table is not None:
        return AS_STORED
    if form.is_float:
        return Held(0.0, turned=rules.is_turned)
    highest = (1 << form.stored) - 1
    at_zero = highest // 2 + 1 if form.is_signed else 0
    return Held(float(highest - at_zero if rules.is_turned else at_zero), turned=rules.is_turned)


def _modality(dataset: Dataset) -> tuple[str, ...]:
    if dataset.sop_class in _MAY_BE_SKIN:
        return ()
    return (f"modality: {dataset.kind}, which no confocal microscope of skin writes",)
