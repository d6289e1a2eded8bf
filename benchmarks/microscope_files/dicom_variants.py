"""DICOM, in every way that is known."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.microscope_files.dicom_files import COMPRESSED, NATIVE, dicom, item
from benchmarks.microscope_files.skin import Skin, Variant, three


def dicom_variants() -> Iterator[Variant]:
    """All of them, in the order of the document."""
    found: dict[str, Any] = {"scale": (0.5, "dicom"), "bits_from": "dicom"}
    for encoding in (*NATIVE, *COMPRESSED):
        yield Variant("DICOM", f"8 bit, {encoding}", ".dcm", partial(_eight_dicom, encoding=encoding), **found)
    yield Variant("DICOM", "8 bit, JPEG", ".dcm", lambda s: dicom(s.eight, encoding="JPEG"), levels=None, **found)
    yield Variant(
        "DICOM",
        "12 bit, JPEG",
        ".dcm",
        lambda s: dicom(s.of_bits(12), 12, encoding="JPEG of 12 bits"),
        12,
        levels=None,
        **found,
    )
    yield Variant(
        "DICOM", "8 bit, JPEG 2000", ".dcm", lambda s: dicom(s.eight, encoding="JPEG 2000"), levels=None, **found
    )
    yield Variant("DICOM", "16 bit", ".dcm", lambda s: dicom(s.sixteen), 16, levels=lambda s: s.sixteen, **found)
    yield Variant(
        "DICOM",
        "12 of 16 bits",
        ".dcm",
        lambda s: dicom(s.of_bits(12), 12),
        12,
        levels=lambda s: s.of_bits(12),
        **found,
    )
    yield Variant(
        "DICOM",
        "12 of 16 bits, JPEG 2000 without loss",
        ".dcm",
        lambda s: dicom(s.of_bits(12), 12, encoding="JPEG 2000 without loss"),
        12,
        levels=lambda s: s.of_bits(12),
        **found,
    )
    yield Variant(
        "DICOM", "MONOCHROME1", ".dcm", lambda s: dicom(255 - s.eight, PhotometricInterpretation="MONOCHROME1"), **found
    )
    yield from _turned(found)
    yield Variant("DICOM", "RGB of grey", ".dcm", lambda s: dicom(s.bgr), **found)
    yield Variant(
        "DICOM",
        "Image Acquisition Depth 0.035 mm",
        ".dcm",
        lambda s: dicom(s.eight, depth_um=35.0),
        depth=((35.0,), "dicom"),
        **found,
    )
    yield Variant("DICOM", "without a spacing", ".dcm", lambda s: dicom(s.eight, um_per_px=None), bits_from="dicom")
    yield Variant(
        "DICOM", "3 frames", ".dcm", lambda s: dicom(three(s)), levels=three, depth=((None,) * 3, "unknown"), **found
    )
    yield Variant(
        "DICOM",
        "another kind (dermoscopic photograph)",
        ".dcm",
        lambda s: dicom(s.eight, sop_class="1.2.840.10008.5.1.4.1.1.77.1.7"),
        withheld="modality",
        **found,
    )
    yield Variant(
        "DICOM",
        "tiles of a pyramid",
        ".dcm",
        lambda s: dicom(s.eight, TotalPixelMatrixRows=8000, TotalPixelMatrixColumns=8000),
        refused="pyramid of tiles",
    )


def _eight_dicom(skin: Skin, *, encoding: str) -> bytes:
    return dicom(skin.eight, encoding=encoding)


def _turned(found: dict[str, Any]) -> Iterator[Variant]:
    """Those that say what is dark in other ways."""
    ways: dict[str, dict[str, Any]] = {
        "Presentation LUT Shape INVERSE": {"PresentationLUTShape": "INVERSE"},
        "MONOCHROME1, Presentation LUT Shape INVERSE": {
            "PhotometricInterpretation": "MONOCHROME1",
            "PresentationLUTShape": "INVERSE",
        },
        "Rescale Slope -1": {"RescaleSlope": -1, "RescaleIntercept": 255, "RescaleType": "US"},
        "Modality LUT": {
            "ModalityLUTSequence": [
                item(LUTDescriptor=[256, 0, 8], LUTData=bytes(range(255, -1, -1)), ModalityLUTType="US")
            ]
        },
    }
    for name, elements in ways.items():
        yield Variant("DICOM", name, ".dcm", partial(_turned_dicom, **elements), **found)
    yield Variant(
        "DICOM",
        "Rescale Slope 2, Window Width 50",
        ".dcm",
        lambda s: dicom(s.eight, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=100, WindowWidth=50),
        **found,
    )
    yield Variant(
        "DICOM",
        "MONOCHROME1, Presentation LUT Shape IDENTITY",
        ".dcm",
        lambda s: dicom(255 - s.eight, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="IDENTITY"),
        withheld="grey",
        **found,
    )


def _turned_dicom(skin: Skin, **elements: Any) -> bytes:
    return dicom(255 - skin.eight, **elements)
