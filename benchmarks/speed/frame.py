"""The frame that speed is measured on: synthetic skin of every severity."""

import numpy as np
import numpy.typing as npt

from trainer.phantom import draw_subjects, paint_frame

FRAME_PX = 1000


def synthetic_frame() -> npt.NDArray[np.uint8]:
    """uint8 [1000, 1000], the same every time; severity grows from left to right."""
    severity = np.tile(np.linspace(0.0, 4.0, FRAME_PX, dtype=np.float32), (FRAME_PX, 1))
    return paint_frame(draw_subjects(0)[0], severity, np.random.default_rng(0))
