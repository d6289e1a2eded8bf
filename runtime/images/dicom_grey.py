"""The grey rules of a DICOM file: which levels are dark, and which rules are applied (PS3.3 C.7.6.3 and C.11).

Grey counts by stored levels, from the lowest that the file can hold to the highest, so that a window that was chosen
for a screen does not change a score. A rule that inverts or bends the grey is applied; where that is not possible, the
image is withheld.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.errors import UnreadableImage
from runtime.images.dicom_dataset import Dataset
from runtime.images.dicom_form import PixelForm

_SHAPES = ("", "IDENTITY", "INVERSE")
_TABLE_BITS = (8, 16)
_MONOCHROME = frozenset({"MONOCHROME1", "MONOCHROME2"})


class Table(msgspec.Struct, frozen=True):
    """A look-up table of levels. `first`: the level of its first entry; `bits`: of an entry."""

    entries: npt.NDArray[np.uint16]
    first: int
    bits: int

    def look_up(self, levels: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
        """uint16 of the same shape; a level beyond an end becomes the entry at that end."""
        return self.entries[np.clip(levels.astype(np.int32) - self.first, 0, len(self.entries) - 1)]


class GreyRules(msgspec.Struct, frozen=True):
    """How stored levels become grey.

    Attributes:
        is_turned: the highest is black.
        table: applied before anything else; None without one.
        padding: the lowest and the highest level that stand for no pixel; None without any.
        objections: why the image must not be scored.
        notes: what a person should know beside.
    """

    is_turned: bool = False
    table: Table | None = None
    padding: tuple[int, int] | None = None
    objections: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Said(msgspec.Struct):
    """Objections and notes so far."""

    objections: list[str] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)


def grey_rules(dataset: Dataset, form: PixelForm, each: Sequence[Dataset]) -> GreyRules:
    """What a file says of its grey; of colour nothing.

    Args:
        dataset: of the image.
        form: how its pixels are laid out.
        each: functional groups frame by frame, where there are any.

    Raises:
        UnreadableImage: a table is damaged.
    """
    if form.photometric not in _MONOCHROME:
        return GreyRules()
    said = _Said()
    groups = [*dataset.items("SharedFunctionalGroupsSequence"), *each]
    tables = dataset.items("ModalityLUTSequence")
    table = _table(tables[0], form) if tables else None
    is_falling = _is_falling([dataset, *_items(groups, "PixelValueTransformationSequence")], said)
    is_inverse = _is_inverse(dataset, form, said)
    _tell_display([dataset, *_items(groups, "FrameVOILUTSequence")], form, said)
    return GreyRules(
        is_turned=is_inverse is not (is_falling and table is None),
        table=table,
        padding=_padding(dataset, form, said),
        objections=tuple(dict.fromkeys(said.objections)),
        notes=tuple(dict.fromkeys(said.notes)),
    )


def _items(groups: Sequence[Dataset], keyword: str) -> Iterator[Dataset]:
    return (item for group in groups for item in group.items(keyword))


def _is_inverse(dataset: Dataset, form: PixelForm, said: _Said) -> bool:
    """Whether the output's low values are bright: MONOCHROME1, and Presentation LUT Shape, which goes with it."""
    shape = str(dataset.get("PresentationLUTShape") or "").strip().upper()
    if shape not in _SHAPES or dataset.items("PresentationLUTSequence"):
        said.objections.append("grey: the file brings a Presentation LUT, which is not applied")
    if form.photometric == "MONOCHROME1" and shape == "IDENTITY":
        said.objections.append(
            "grey: by MONOCHROME1 low levels are bright, and by Presentation LUT Shape they are dark"
        )
    return form.photometric == "MONOCHROME1" or shape == "INVERSE"


def _is_falling(places: Sequence[Dataset], said: _Said) -> bool:
    """Whether Rescale Slope is negative, so that the highest level has the lowest value."""
    found = set()
    for place in places:
        slope, intercept = (place.number(f"Rescale{word}") for word in ("Slope", "Intercept"))
        if slope is not None or intercept is not None:
            found.add((1.0 if slope is None else slope, 0.0 if intercept is None else intercept))
    if any(not (math.isfinite(slope) and math.isfinite(intercept) and slope) for slope, intercept in found):
        said.objections.append("grey: Rescale Slope or Intercept is not a finite number, or the slope is 0")
        return False
    if len(found) > 1:
        said.objections.append("grey: the frames tell different values of Rescale Slope and Intercept")
    for slope, intercept in found - {(1.0, 0.0)}:
        effect = "turns the grey round" if slope < 0 else "leaves the grey as it is"
        said.notes.append(
            f"grey: Rescale (slope {slope:g}, intercept {intercept:g}) {effect}: it counts by stored levels"
        )
    return any(slope < 0 for slope, _ in found)


def _tell_display(places: Sequence[Dataset], form: PixelForm, said: _Said) -> None:
    """Windows and tables for a screen are not applied."""
    for place in places:
        widths = place.numbers("WindowWidth")
        tables = [_table(item, form) for item in place.items("VOILUTSequence")]
        if any(not width > 0 for width in widths) or any(table.entries[-1] < table.entries[0] for table in tables):
            said.objections.append("grey: the file's window for a screen turns the grey round, and is not applied")
        elif widths or tables:
            said.notes.append("grey: the file's window for a screen is not applied: grey counts by all stored levels")


def _padding(dataset: Dataset, form: PixelForm, said: _Said) -> tuple[int, int] | None:
    """Pixel Padding Value, and Range Limit where there is one, as levels."""
    if form.is_float:
        if dataset.numbers("FloatPixelPaddingValue"):
            said.notes.append("grey: Float Pixel Padding Value is not applied")
        return None
    ends = [_levels(dataset, f"PixelPadding{word}", form) for word in ("Value", "RangeLimit")]
    told = [levels[0] for levels in ends if levels]
    if not ends[0]:
        return None
    said.notes.append("grey: pixels of Pixel Padding Value count as black")
    return min(told), max(told)


def _levels(dataset: Dataset, keyword: str, form: PixelForm) -> tuple[int, ...]:
    """An element's levels, signed as the pixels are, which pydicom leaves as bytes where the file tells no type."""
    value = dataset.get(keyword)
    if value is None:
        return ()
    if isinstance(value, bytes):
        values: list[int] = np.frombuffer(value, f"{dataset.byte_order}u2").tolist()
    else:
        values = [int(part) for part in (value if isinstance(value, Sequence) else (value,))]
    mask, half = (1 << form.stored) - 1, 1 << (form.stored - 1)
    kept = (part & mask for part in values)
    return tuple(part - 2 * half if form.is_signed and part >= half else part for part in kept)


def _table(item: Dataset, form: PixelForm) -> Table:
    """The look-up table of a sequence's item."""
    number, first, bits = _described(item, form)
    data = item.get("LUTData")
    if isinstance(data, bytes):
        # entries of 8 bits may be packed, two a word, or stand alone in words
        wide = bits > _TABLE_BITS[0] or len(data) >= 2 * number
        entries = np.frombuffer(data, f"{item.byte_order}u2" if wide else "u1")
    else:
        entries = np.asarray(data if isinstance(data, Sequence) else [], np.int64)
    if len(entries) < number or bits not in range(_TABLE_BITS[0], _TABLE_BITS[1] + 1) or entries[:number].max() >> bits:
        raise UnreadableImage(
            "a look-up table of the DICOM file is damaged",
            seen=f"{len(entries)} entries of {bits} bits",
            wanted=f"{number}",
        )
    return Table(entries[:number].astype(np.uint16), first, bits)


def _described(item: Dataset, form: PixelForm) -> tuple[int, int, int]:
    """Number of entries, level of the first, and bits of an entry."""
    value = item.get("LUTDescriptor")
    if isinstance(value, bytes):
        value = np.frombuffer(value, f"{item.byte_order}u2").tolist()
    if not isinstance(value, Sequence) or len(value) != 3:
        raise UnreadableImage("a look-up table of the DICOM file is damaged", wanted="a descriptor of three numbers")
    number, first, bits = (int(part) & 0xFFFF for part in value)
    # 0 stands for 2^16
    return number or 1 << 16, first - (1 << 16) if form.is_signed and first >> 15 else first, bits
