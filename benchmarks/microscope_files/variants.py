"""One frame of skin in every format and variant that is known, with what a reader should find in each."""

from collections.abc import Iterator

from benchmarks.microscope_files.dicom_variants import dicom_variants
from benchmarks.microscope_files.plain_variants import plain_variants
from benchmarks.microscope_files.skin import Skin, Variant
from benchmarks.microscope_files.tiff_variants import tiff_variants

__all__ = ["Skin", "Variant", "variants"]


def variants() -> Iterator[Variant]:
    """All of them, in the order of the document."""
    yield from plain_variants()
    yield from tiff_variants()
    yield from dicom_variants()
