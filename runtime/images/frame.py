"""What one file holds, before any scaling: its frames, and what is known of them."""

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from runtime.images.depth import AS_STORED, GreyDepth, Held

# given and told scales that are no further apart are the same, rounded otherwise
_SCALES_AGREE = 0.02

Grey = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.uint32] | npt.NDArray[np.float32]


class Frame(msgspec.Struct, frozen=True):
    """Grey pixels of one image, at its own scale.

    Attributes:
        pixels: uint8, uint16, uint32 or float32 [H, W], the grey levels as stored, turned round where low ones are
            bright by the file, without a VivaScope caption's rows; possibly the file's own bytes, read-only and last
            row first in memory.
        depth: which of these levels are black and white; None where nothing tells, so that there is no score.
        sha256: hex digest of the file's bytes, all of them, read in the same instant as the pixels.
        um_per_px: lateral sampling in µm per pixel, None when nothing tells it.
        um_per_px_from: where the sampling comes from: `option`, `folder` (a configured pattern), `ome`, `imagej`,
            `tiff`, `dicom`, `vivascope`, or `unknown`.
        colour: True when the channels of the file differ, so that it is no confocal image;
            `pixels` is then its luminance, good for a picture only.
        z_um: depth below the surface of the skin, in µm; None when nothing tells it.
        z_from: where it comes from: `ome`, `imagej`, `dicom`, `caption`, `stack` (the slice's number), or `unknown`.
        x_mm, y_mm: where the stage stood, by a VivaScope caption; None where there is none that can be read.
        objections: why this must not be scored, whatever it shows, each a sentence.
        notes: what a person should know of it beside.
        held: how the file's levels are held as `pixels`.
    """

    pixels: Grey
    depth: GreyDepth | None
    sha256: str
    um_per_px: float | None
    um_per_px_from: str
    colour: bool = False
    z_um: float | None = None
    z_from: str = "unknown"
    x_mm: float | None = None
    y_mm: float | None = None
    objections: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    held: Held = AS_STORED

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])


def at_scale(frame: Frame, um_per_px: float, source: str) -> Frame:
    """The frame at the scale that the user gives; what the file tells against it becomes a note."""
    told = frame.um_per_px
    against = tuple(each for each in frame.objections if each.startswith("scale: "))
    notes = (*frame.notes, *against)
    if told is not None and abs(told / um_per_px - 1) > _SCALES_AGREE:
        notes = (*notes, f"scale: {um_per_px:g} µm/px was given, {frame.um_per_px_from} tells {told:g}")
    objections = tuple(each for each in frame.objections if each not in against)
    return replace(frame, um_per_px=um_per_px, um_per_px_from=source, objections=objections, notes=notes)
