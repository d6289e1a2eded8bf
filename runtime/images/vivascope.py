"""What VivaScope workstations write: frames of known size and scale, in folders of known names."""

import re
from pathlib import PurePath
from typing import Literal

import msgspec

# (width, height) of a frame, plain and exported with a caption of 45 rows; no file of theirs tells the scale, the
# instrument's field of 500 µm does
SIZES = ((1000, 1000), (1000, 1045))
UM_PER_PX = 0.5
# those below are burned-in text, which is no tissue
TISSUE_ROWS = 1000

FolderKind = Literal["confocal", "stack", "block", "macroscopic"]
_FOLDERS: dict[str, FolderKind] = {
    "confocalimages": "confocal",
    "vivastack": "stack",
    "vivablock": "block",
    "macroscopicimages": "macroscopic",
}


class Caption(msgspec.Struct, frozen=True):
    """What a caption says, each None where it cannot be read with certainty.

    Attributes:
        x_mm, y_mm: where the stage stood; mm where the caption names no unit.
        z_um: depth of the image; µm where the caption names no unit.
    """

    x_mm: float | None = None
    y_mm: float | None = None
    z_um: float | None = None


NO_CAPTION = Caption()


def folder_kind(path: PurePath) -> FolderKind | None:
    """What a file is by the nearest folder above it that has one of VivaScope's names; None below none.

    `Confocal Images`, `VivaStack #1`, `VivaBlock #12`, `Macroscopic Images`: in any case, with or without spaces,
    underscores, a number.
    """
    for name in reversed(path.parts[:-1]):
        kind = _FOLDERS.get(re.sub(r"[\s_#-]+|[\s_#-]*\d+$", "", name.casefold()))
        if kind:
            return kind
    return None


def slice_number(path: PurePath) -> int | None:
    """The number in the name of a frame as VivaScope counts them, `v0000012.bmp` is 12; None for another name."""
    found = re.fullmatch(r"v(\d{1,9})", path.stem, re.IGNORECASE | re.ASCII)
    return int(found.group(1)) if found else None
