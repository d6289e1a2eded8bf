"""Results that the page shows, made without scoring anything: the ledger's rows and all files that they speak of."""

import os
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from made_up import arrive, result_of
from msgspec.structs import replace

from runtime.file_state import FileState
from runtime.ledger import ImageRow, Ledger, open_ledger
from runtime.ledger.ledger import LONGEST_PAUSE_S
from runtime.outputs import write_result
from runtime.result import Result, SliceRecord

HEIGHT, WIDTH = 90, 100
# of `result_of`
MAP_SHAPE = (3, 4)
MODEL_SHA256 = "t" * 64


class PageResults:
    """A watched folder and its results, which a test adds to as a watch would."""

    def __init__(self, place: Path) -> None:
        self.folder, self.out = place / "in", place / "out"
        for folder in (self.folder, self.out):
            folder.mkdir()
        with open_ledger(self.out, create=True):
            pass

    def save(self, name: str, saved: float, level: int = 90) -> None:
        """Save an image file of one grey level, with a time of modification."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((HEIGHT, WIDTH), level, np.uint8))
        os.utime(path, (saved, saved))

    def scored(
        self,
        name: str,
        saved: float,
        *,
        cells: float | npt.NDArray[np.float32] = 1.0,
        reasons: Sequence[str] = (),
        slices: Sequence[SliceRecord] | None = None,
        mean: float | None = 2.25,
        grade: int = 2,
        **result: Any,
    ) -> None:
        """Save an image and write its result; `cells` are the map's values, `result` as for `result_of`."""
        self.save(name, saved)
        made = result_of(Path(name), **result)
        # only the model that the watch runs scores what it says that it scores
        quantity = "Dryness" if made.model.sha256 == MODEL_SHA256 else "Redness"
        made = replace(made, model=replace(made.model, quantity=quantity))
        if made.score is not None:
            made = replace(made, score=replace(made.score, mean=mean, grade=grade))  # type: ignore[arg-type]
        made = replace(made, reasons=(*made.reasons, *reasons), slices=None if slices is None else tuple(slices))
        if slices is not None:
            made = replace(made, image=replace(made.image, slices=len(slices)))
        self._finish(name, made, np.broadcast_to(np.float32(cells), (len(slices), *MAP_SHAPE) if slices else MAP_SHAPE))

    def withheld(self, name: str, saved: float, **result: Any) -> None:
        """Save an image whose score is withheld."""
        self.scored(name, saved, status="withheld", **result)

    def failed(self, name: str, saved: float, reason: str = "the file is cut") -> None:
        """Save an image that cannot be read."""
        self.save(name, saved)
        with open_ledger(self.out) as ledger:
            ledger.failed(self._take_new(ledger, name), reason, time.time())

    def fail_again(self, name: str, *, gone: bool = False) -> None:
        """Fail an image that failed before, as its automatic retry does; `gone`: its file was deleted meanwhile."""
        if gone:
            (self.folder / name).unlink()
        with open_ledger(self.out) as ledger:
            row = ledger.take(time.time() + LONGEST_PAUSE_S)
            assert row is not None
            assert row.path == Path(name)
            ledger.failed(row, "the file is gone" if gone else "the file is cut again", time.time(), gone=gone)

    def waiting(self, number: int) -> None:
        """Let so many images wait."""
        with open_ledger(self.out) as ledger:
            for each in range(number):
                arrive(ledger, Path(f"waiting {each}.bmp"), FileState(1, 1), time.time())

    def _take_new(self, ledger: Ledger, name: str) -> ImageRow:
        file = FileState.of(self.folder / name)
        assert file is not None
        arrive(ledger, Path(name), file, time.time())
        row = ledger.take(time.time())
        assert row is not None
        assert row.path == Path(name)
        return row

    def _finish(self, name: str, result: Result, cells: npt.NDArray[np.float32]) -> None:
        file = BytesIO()
        planes = np.stack([cells, np.ones_like(cells)], axis=-3).astype(np.float32)
        tifffile.imwrite(file, planes, photometric="minisblack")
        overlay = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 128, np.uint8))[1].tobytes()
        with open_ledger(self.out) as ledger:
            row = self._take_new(ledger, name)
            map_file = None if result.score is None else file.getvalue()
            write_result(self.out, Path(name), overlay=overlay, map_file=map_file, record=result.to_json())
            ledger.finished(row, result, time.time())
