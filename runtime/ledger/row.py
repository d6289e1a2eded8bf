"""One image's row."""

import json
import os
from enum import StrEnum
from pathlib import Path, PurePath

import msgspec

from runtime.file_state import FileState
from runtime.grade_names import lowest_grade
from runtime.outputs import result_files
from runtime.result import Result


class State(StrEnum):
    """What has become of an image; the ways between the states are drawn in `runtime.ledger`."""

    WAITING = "waiting"
    """It has come to rest and is to be scored, or is being scored."""
    SCORED = "scored"
    """Its result is on the disk, with a score."""
    WITHHELD = "withheld"
    """Its result is on the disk; the score was withheld, for the row's reason."""
    FAILED = "failed"
    """It could not be read, or its result could not be written, for the row's reason."""


class Outcome(msgspec.Struct, frozen=True):
    """What the ledger keeps of a result. All is None for an image that never had one.

    Attributes:
        sha256: of the image's content.
        um_per_px: its sampling, None when unknown.
        score: mean expected grade, counted from `lowest_grade`; None when withheld, and when scored by grades without
            an order.
        grade: the score rounded; without order the index of the class with the most area; None when withheld.
        withheld_fraction: share of the cells left out, None when withheld.
        area_fraction: JSON of {grade's name: share of the valid cells}, None when withheld.
        model, model_sha256, engine, precision, synthetic: what scored it.
        read_ms, infer_ms, write_ms, total_ms: milliseconds, as in the record.
        score_file, overlay_file, map_file: relative to the output folder; `map_file` None when withheld, `overlay_file`
            once it was removed to make room.
    """

    sha256: str | None = None
    um_per_px: float | None = None
    score: float | None = None
    grade: int | None = None
    withheld_fraction: float | None = None
    area_fraction: str | None = None
    model: str | None = None
    model_sha256: str | None = None
    engine: str | None = None
    precision: str | None = None
    synthetic: bool | None = None
    read_ms: float | None = None
    infer_ms: float | None = None
    write_ms: float | None = None
    total_ms: float | None = None
    score_file: str | None = None
    overlay_file: str | None = None
    map_file: str | None = None

    @property
    def lowest_grade(self) -> int:
        """The number of the lowest grade of the result, see `Grading.lowest`."""
        return 0 if self.score is None else lowest_grade(json.loads(self.area_fraction or "{}"))

    @staticmethod
    def of(relative: PurePath, result: Result) -> "Outcome":
        """What the ledger keeps of an image's result."""
        files, score, timing = result_files(relative), result.score, result.timing_ms
        return Outcome(
            sha256=result.image.sha256,
            um_per_px=result.image.um_per_px,
            score=None if score is None else score.mean,
            grade=None if score is None else score.grade,
            withheld_fraction=None if score is None else score.withheld_fraction,
            area_fraction=None if score is None else json.dumps(score.area_fraction),
            model=result.model.name,
            model_sha256=result.model.sha256,
            engine=result.model.engine,
            precision=result.model.precision,
            synthetic=result.model.synthetic,
            read_ms=timing.read,
            infer_ms=timing.infer,
            write_ms=timing.write,
            total_ms=timing.total,
            score_file=files.score.as_posix(),
            overlay_file=None if result.overlay is None else files.overlay.as_posix(),
            map_file=None if result.map is None else files.map.as_posix(),
        )


class ImageRow(msgspec.Struct, frozen=True):
    """One image.

    Attributes:
        path: below the watched folder.
        state: what has become of it.
        reason: why it was withheld or failed, or why some of its cells were left out; empty otherwise.
        attempts: how often it was taken since it arrived.
        redo: a person asked for it to be scored anew.
        file: the content that arrived.
        arrived: when it came to rest, or somebody asked for it anew, Unix seconds.
        due: when it may be taken, Unix seconds, 0 for at once; None: not before something changes.
        finished: when its latest result, or failure, was on the disk; None before.
        outcome: of its latest result.
        damaged: the row does not hold what was written to it, so that only its path and reason are told.
    """

    path: PurePath
    state: State
    reason: str
    attempts: int
    redo: bool
    file: FileState
    arrived: float
    due: float | None
    finished: float | None
    outcome: Outcome
    damaged: bool = False

    @property
    def acquired(self) -> float:
        """When the image was saved, Unix seconds: its file's time of modification.

        Where no file was ever seen, as after a ledger was rebuilt from results, the time of the result stands in.
        """
        if self.file.mtime_ns > 0:
            return self.file.mtime_ns / 1e9
        return self.arrived if self.finished is None else self.finished


def to_key(relative: PurePath | str) -> bytes:
    """The path as the ledger stores it: the same bytes on every system."""
    # no Path for each of many thousands
    text = relative.replace(os.sep, "/") if isinstance(relative, str) else relative.as_posix()
    return os.fsencode(text)


def from_key(key: bytes) -> Path:
    """The path that `to_key` was given."""
    return Path(os.fsdecode(key))
