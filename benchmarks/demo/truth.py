"""Maps of synthetic frames beside the severity they were drawn with."""

from dataclasses import dataclass
from pathlib import Path, PurePath

import cv2
import numpy as np
import numpy.typing as npt
import tifffile

from runtime.bundle import Bundle
from runtime.dense_map import Geometry
from runtime.images import picture, read_frame
from runtime.outputs import result_files
from runtime.overlay import OverlayText, draw_overlay


@dataclass(frozen=True)
class AgainstTruth:
    """One frame's map against its true severity.

    Attributes:
        name: of the frame.
        difference: mean of |expected grade - true severity| over the valid cells, in grades; None when withheld.
        frame: uint8 [H, W, 3], BGR.
        truth: the true severity, drawn as an overlay is; uint8 [H2, W2, 3], BGR.
        overlay: what the watch wrote; uint8 [H2, W2, 3], BGR.
    """

    name: str
    difference: float | None
    frame: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.uint8]
    overlay: npt.NDArray[np.uint8]


def against_truth(frame_file: Path, out: Path, relative: PurePath, bundle: Bundle) -> AgainstTruth:
    """Compare one frame of the phantom with the result that was written for it.

    Args:
        frame_file: `frames/v0000000.bmp` of a phantom, its severity beside it; at the model's scale.
        out: the results' folder.
        relative: the frame's path below the watched folder.
        bundle: of the model that scored it.
    """
    files, geometry = result_files(relative), bundle.geometry
    severity = np.load(frame_file.with_suffix(".severity.npy"))
    true_cells = mean_over_patches(severity, geometry)
    map_file = out / files.map
    difference = None
    if map_file.exists():
        expected = tifffile.imread(map_file)[0]
        valid = ~np.isnan(expected)
        difference = float(np.abs(expected - true_cells)[valid].mean())
    pixels = picture(read_frame(frame_file))
    text = OverlayText(
        title=f"True severity {severity.mean():.1f}", reasons=(), footer=f"{frame_file.name}   as it was drawn"
    )
    return AgainstTruth(
        frame_file.name,
        difference,
        np.dstack([pixels] * 3),
        draw_overlay(pixels, geometry.um_per_px, bundle.manifest.grading, true_cells, geometry, text),
        # not cv2.imread, which on Windows opens no name beyond its code page
        np.asarray(cv2.imdecode(np.fromfile(out / files.overlay, np.uint8), cv2.IMREAD_COLOR), np.uint8),
    )


def mean_over_patches(values: npt.NDArray[np.float32], geometry: Geometry) -> npt.NDArray[np.float32]:
    """Mean of values [H, W] under each cell's patch, float32 [h, w]."""
    rows, columns = (geometry.cells(length) for length in values.shape)
    means = cv2.blur(values, (geometry.patch_px, geometry.patch_px), anchor=(0, 0))
    cells: npt.NDArray[np.float32] = means[:: geometry.stride_px, :: geometry.stride_px][:rows, :columns]
    return cells
