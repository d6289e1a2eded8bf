"""The picture of a result: one frame's overlay, or of a stack all slices side by side."""

from datetime import datetime
from pathlib import PurePath

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.analysis import Analysis
from runtime.grading import Grading
from runtime.model import Model
from runtime.overlay import OverlayText, Slice, draw_overlay, draw_slices
from runtime.pseudonyms import Pseudonyms
from runtime.result import Score
from runtime.summary import counted_cells
from runtime.version import SYNTHETIC_WARNING

# letters of a file's name that leave room for model and engine beside the narrowest picture
LONGEST_NAME = 48


class ImageLabel(msgspec.Struct, frozen=True):
    """The name of an image where it is shown, with its folders and its date.

    Attributes:
        name: of its file.
        folders: from the watched or scored folder down to it.
        taken: when it was taken, as text; empty where that is unknown or must not be shown.
    """

    name: str
    folders: tuple[str, ...] = ()
    taken: str = ""

    @staticmethod
    def of(relative: PurePath, modified: float | None, pseudonyms: Pseudonyms | None) -> "ImageLabel":
        """The label of an image.

        Args:
            relative: its path below the watched or scored folder.
            modified: when its file was last modified, Unix seconds: the microscope writes it once.
            pseudonyms: stand for the path; then there is neither folder nor date, which tell a patient too.
        """
        if pseudonyms is not None:
            return ImageLabel(pseudonyms.of(relative))
        return ImageLabel(relative.name, relative.parts[:-1], local_minute(modified))


def local_minute(seconds: float | None) -> str:
    """Unix seconds as local time, such as 2026-12-01 14:05; empty where they are None or no date."""
    try:
        return "" if seconds is None else datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
    # beyond the year 9999, or before 1970 under Windows
    except (ValueError, OverflowError, OSError):
        return ""


def draw(
    analyses: tuple[Analysis, ...],
    depths_um: tuple[float | None, ...],
    reasons: tuple[str, ...],
    score: Score | None,
    model: Model,
    label: ImageLabel,
) -> npt.NDArray[np.uint8]:
    """Draw what a file came to.

    Args:
        analyses: of its frame, or of each slice.
        depths_um: how far below the skin's surface each lies, where that is known.
        reasons: why it, or a part of it, was withheld.
        score: over all, None when withheld.
        model: what scored it.
        label: what the image is called.

    Returns:
        uint8 [H, W, 3], BGR.
    """
    manifest = model.bundle.manifest
    grading = manifest.grading
    z_um = depths_um[0] if len(depths_um) == 1 else None
    depth = "" if z_um is None else f"   z {z_um:g} µm"
    text = OverlayText(
        title="Withheld" if score is None else score.headline(grading.quantity),
        reasons=reasons,
        footer=f"{_file_name(label.name)}{depth}   {manifest.name}   {model.engine.name}",
        warning=SYNTHETIC_WARNING if manifest.synthetic else None,
        folders=label.folders,
        taken=label.taken,
    )
    shown = [
        Slice(analysis.shown, _cell_values(analysis, grading), z_um)
        for analysis, z_um in zip(analyses, depths_um, strict=True)
    ]
    geometry, um_per_px = model.bundle.geometry, analyses[0].um_per_px
    if len(shown) > 1:
        return draw_slices(shown, um_per_px, grading, geometry, text)
    values = shown[0].values
    return draw_overlay(shown[0].grey, um_per_px, grading, values, None if values is None else geometry, text)


def _file_name(name: str) -> str:
    """The name, or its beginning and its end, where the microscope's number and the suffix stand."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def _cell_values(analysis: Analysis, grading: Grading) -> npt.NDArray[np.float32] | None:
    """Value of each cell, NaN where it does not count; None for a frame that is withheld."""
    counted = counted_cells(analysis)
    if counted is None:
        return None
    found, valid = counted
    return np.where(valid, grading.cell_values(found), np.float32(np.nan))
