"""What the page shows of an image: its frame and its overlay as pictures, its map as numbers."""

import io
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from runtime.errors import InflamapError
from runtime.images import LONGEST_SHOWN, read_frames, reduced_picture
from runtime.ledger import ImageRow
from runtime.outputs import read_record
from runtime.overlay import encode_jpeg
from runtime.place import read_inside

# a newest frame is asked for by every page that is open
MOST_BYTES = 64 << 20
THUMBNAIL_PX = 120
# a score as a whole number; the last one stands for a cell without
STEPS_A_GRADE = 1000
NO_SCORE = 0xFFFF


class NotThere(InflamapError):
    """There is no such picture: the file is gone, was removed to make room, or was never made."""


class Pictures:
    """Makes pictures and remembers the newest of them; in one thread, so that it takes one core at most.

    Args:
        folder: the watched folder, only read.
        out: the results' folder.
    """

    def __init__(self, folder: Path, out: Path) -> None:
        self._folder, self._out = folder, out
        self._made: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def frame(self, row: ImageRow, number: int) -> bytes:
        """A slice of the image as it came from the microscope, as JPEG, its longer side 2000 px at most.

        Raises:
            InflamapError: it is gone, cannot be read, has no such slice, or lies outside the watched folder.
        """
        return self._remembered(("frame", row.path, row.finished, number), lambda: self._frame(row, number))

    def overlay(self, row: ImageRow) -> bytes:
        """The overlay's file. Raises NotThere."""
        return self._file(row.outcome.overlay_file)

    def thumbnail(self, row: ImageRow) -> bytes:
        """The overlay, small, as JPEG. Raises NotThere."""
        return self._remembered(("thumbnail", row.path, row.finished), lambda: self._thumbnail(row))

    def map(self, row: ImageRow, number: int) -> bytes:
        """The grades of a map's cells.

        Returns:
            rows and columns as uint32, then uint16 [rows, columns], all little-endian: thousandths of a grade above the
            lowest, or of the index of a class; 65535 where a cell is withheld.

        Raises:
            NotThere: there is no map, or no such slice in it.
        """
        return self._remembered(("map", row.path, row.finished, number), lambda: self._map(row, number))

    def record(self, row: ImageRow) -> dict[str, Any]:
        """The document of score.json. Raises NotThere."""
        found = read_record(self._out, row.path)
        if found is None:
            raise NotThere("no record")
        return found

    def _frame(self, row: ImageRow, number: int) -> bytes:
        frames = read_frames(
            self._folder / row.path, read=lambda _path, check: read_inside(self._folder, row.path, check)
        )
        if number >= len(frames):
            raise NotThere("no such slice")
        return encode_jpeg(reduced_picture(frames[number], LONGEST_SHOWN)[0])

    def _thumbnail(self, row: ImageRow) -> bytes:
        data = np.frombuffer(self.overlay(row), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_8)
        if picture is None:
            raise NotThere("the overlay is damaged")
        factor = THUMBNAIL_PX / max(picture.shape[:2])
        if factor < 1:
            picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return encode_jpeg(picture)

    def _map(self, row: ImageRow, number: int) -> bytes:
        # some 20 ms, which only whoever looks at a map waits for
        import tifffile

        try:
            planes = tifffile.imread(io.BytesIO(self._file(row.outcome.map_file)))
        except (tifffile.TiffFileError, ValueError, struct.error) as error:
            raise NotThere("the map is damaged", seen=error) from error
        slices = planes[None] if planes.ndim == 3 else planes
        if slices.ndim != 4 or number >= len(slices):
            raise NotThere("no such slice")
        grades: npt.NDArray[np.float32] = slices[number, 0] - np.float32(row.outcome.lowest_grade)
        scored = np.isfinite(grades)
        steps = np.full(grades.shape, NO_SCORE, "<u2")
        steps[scored] = np.clip(np.round(grades[scored] * STEPS_A_GRADE), 0, NO_SCORE - 1).astype("<u2")
        return struct.pack("<II", *grades.shape) + steps.tobytes()

    def _file(self, relative: str | None) -> bytes:
        if relative is None:
            raise NotThere("none was made, or it was removed to make room")
        try:
            return (self._out / relative).read_bytes()
        except OSError as error:
            raise NotThere("it cannot be read", seen=error.strerror) from error

    def _remembered(self, key: tuple[object, ...], make: Callable[[], bytes]) -> bytes:
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        self._made[key] = made = make()
        while sum(map(len, self._made.values())) > MOST_BYTES:
            self._made.popitem(last=False)
        return made
