"""Results and ledger rows that tests make up, for what does not depend on how they came about."""

import time
from pathlib import Path, PurePath
from typing import Any

from runtime.file_state import FileState
from runtime.ledger import ImageRow, Ledger
from runtime.ledger.ledger import Arrival
from runtime.outputs import result_files
from runtime.result import ImageRecord, MapRecord, ModelRecord, Result, Score, Timing


def result_of(
    path: PurePath = Path("a.bmp"),
    *,
    status: str = "scored",
    score: float = 2.25,
    um_per_px: float | None = 0.5,
    model: str = "tiny",
    areas: dict[str, float] | None = None,
    ordered: bool = True,
) -> Result:
    """A result of the image found at `path`; `model` is its name, whose first letter makes its hash.

    Without order `score` is ignored: the score is the class with the most area.
    """
    files = result_files(path)
    scored = status == "scored"
    areas = areas or {"none": 0.25, "mild": 0.5, "severe": 0.25}
    most = max(range(len(areas)), key=list(areas.values()).__getitem__)
    return Result(
        ImageRecord(path.as_posix(), "5" * 64, 100, 90, um_per_px, "option"),
        ModelRecord(model, model[0] * 64, "onnxruntime-fp32", "fp32", True, ordered),
        "scored" if scored else "withheld",
        () if scored else ("too dark, too small",),
        Score(score if ordered else None, round(score) if ordered else most, areas, 0.125) if scored else None,
        MapRecord(files.map.name, 64, 16, (3, 4), (16.0, 16.0)) if scored else None,
        files.overlay.name,
        Timing(1.0, 2.0, 3.0, 6.0),
    )


def take(ledger: Ledger, name: str) -> ImageRow:
    """An image that arrives now and is taken in hand."""
    arrive(ledger, Path(name), FileState(1, 1), time.time())
    row = ledger.take(time.time())
    assert row is not None
    return row


def finish(ledger: Ledger, name: str, **result: Any) -> None:
    """An image that arrives now and is done; `result` as for `result_of`."""
    ledger.finished(take(ledger, name), result_of(Path(name), **result), time.time())


def fail(ledger: Ledger, name: str) -> None:
    """An image that arrives now and cannot be read."""
    ledger.failed(take(ledger, name), "locked", time.time())


def arrive(ledger: Ledger, path: PurePath, file: FileState, at: float) -> None:
    """New content has come to rest under one path."""
    ledger.arrived([Arrival(str(path), file, at)])
