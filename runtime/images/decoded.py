"""What a reader makes of one file, before anything outside the file has a say."""

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.images.depth import AS_STORED, GreyDepth, Held

Channels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.uint32] | npt.NDArray[np.float32]


class Decoded(msgspec.Struct, frozen=True):
    """The images of one file, and what the file itself tells of them.

    Attributes:
        planes: at least one, all of one size and type: [H, W] with small values as black, or [H, W, 3 or 4] in BGR(A)
            order.
        depth: which levels are black and white; None where the pixels' type alone says it, or nothing does.
        depth_unknown: why it counts as unknown though the pixels' type might say it, as an objection; empty where
            nothing is against the type.
        held: how the file's levels are held as pixels.
        um_per_px: lateral sampling in µm per pixel, None where the file tells none.
        um_per_px_from: what tells it: `ome`, `imagej`, `tiff`, `dicom`; `unknown`.
        z_um: depth below the skin's surface of each plane, in µm; None where the file does not tell.
        z_from: what tells it: `ome`, `imagej`, `dicom`; `unknown`.
        objections: why no plane may be scored, whatever it shows, each a sentence.
        notes: what a person should know of them beside.
    """

    planes: tuple[Channels, ...]
    depth: GreyDepth | None = None
    depth_unknown: str = ""
    held: Held = AS_STORED
    um_per_px: float | None = None
    um_per_px_from: str = "unknown"
    z_um: tuple[float | None, ...] = ()
    z_from: str = "unknown"
    objections: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
