"""The frames that engines are timed on: synthetic ones of the microscope's kind, or the user's own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.errors import InflamapError
from runtime.images import find_images, read_frame, unlistable
from runtime.outputs import write_atomically

SYNTHETIC_FRAMES = 3
SYNTHETIC_PX = 1000
SYNTHETIC = "synthetic"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Frames:
    """The image files that are timed, all of them readable.

    Attributes:
        source: `synthetic`, or the folder they were found in, absolute.
        paths: the files.
        sizes: (width, height) in pixels, each that occurs once.
        um_per_px: sampling of the files, where the user says so.
        left_out: number of files that were found and could not be read.
    """

    source: str
    paths: tuple[Path, ...]
    sizes: tuple[tuple[int, int], ...]
    um_per_px: float | None = None
    left_out: int = 0


def paint_frames(folder: Path, progress: Progress) -> Frames:
    """Synthetic frames of the microscope's size and format, written to `folder`; the same ones every time."""
    # the phantom costs a second to import, which a run on real images should not pay
    from trainer.phantom import draw_subjects, paint_frame
    from trainer.phantom.files import draw_severity_map, encode_bmp

    paths = []
    for number, subject in enumerate(draw_subjects(0, SYNTHETIC_FRAMES)):
        progress("painting", number, SYNTHETIC_FRAMES)
        rng = np.random.default_rng(number)
        pixels = paint_frame(subject, draw_severity_map(rng, SYNTHETIC_PX), rng)
        paths.append(folder / f"synthetic-{number}.bmp")
        write_atomically(paths[-1], encode_bmp(pixels))
    return Frames(SYNTHETIC, tuple(paths), ((SYNTHETIC_PX, SYNTHETIC_PX),))


def find_frames(folder: Path, most: int, um_per_px: float | None, say: Callable[[str], None]) -> Frames:
    """The first `most` readable images below `folder`.

    Args:
        folder: only read.
        most: how many will do.
        um_per_px: sampling of the files, where the user says so.
        say: told one line of each file left out, and of each folder that cannot be listed.

    Raises:
        InflamapError: there is no such folder, or no image below it can be read.
    """
    paths: list[Path] = []
    sizes: list[tuple[int, int]] = []
    left_out = 0
    for path in find_images(folder, on_error=lambda error: say(str(unlistable(error)))):
        try:
            frame = read_frame(path, um_per_px=um_per_px)
        except InflamapError as error:
            say(str(error))
            left_out += 1
            continue
        paths.append(path)
        sizes.append((frame.width, frame.height))
        if len(paths) == most:
            break
    if not paths:
        raise InflamapError(
            f"{folder}: no image to time",
            seen=f"{left_out} that cannot be read" if left_out else "no images in this folder",
            wanted="at least one readable image",
            next_step="check --images, or leave it out to time synthetic frames",
        )
    return Frames(str(folder.absolute()), tuple(paths), tuple(dict.fromkeys(sizes)), um_per_px, left_out)
