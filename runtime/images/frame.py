"""One image as the microscope saved it, before any scaling."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Frame:
    """Grey pixels of one file, at the file's own scale.

    Attributes:
        pixels: uint8 or uint16 [H, W], the grey levels as stored (0 is black), without a VivaScope caption's rows.
        bits: significant bits of a grey level: 8 or 16.
        sha256: hex digest of the file's bytes, all of them, read in the same instant as the pixels.
        um_per_px: lateral sampling in µm per pixel, None when nothing tells it.
        um_per_px_from: where the sampling comes from: `option`, `vivascope`, or `unknown`.
        colour: True when the channels of the file differ, so that it is no confocal image;
            `pixels` is then its luminance, good for a picture only.
    """

    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    bits: int
    sha256: str
    um_per_px: float | None
    um_per_px_from: str
    colour: bool = False

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])
