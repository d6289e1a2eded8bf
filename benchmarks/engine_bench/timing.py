"""How long a frame takes on this machine, from its file to its results on the disk.

The engines take turns frame by frame, in an order drawn anew for each, so that a machine that is slow for a while is
slow for all of them and none always follows the same other one. Reading, drawing and writing do not depend on the
engine, yet differ from one time to the next by more than engines do: a frame's time is the engine's own examination of
it plus reading, drawing and writing as they took in the same round, for every engine alike.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from benchmarks.engine_bench.frames import Frames, Progress
from runtime.acquisition import Acquisition
from runtime.analysis import analyse
from runtime.engines.registry import REFERENCE_ENGINE
from runtime.errors import CheckFailed, InflamapError, one_line
from runtime.images import read_frame
from runtime.model import Model
from runtime.result import Result, Score
from runtime.scoring import examine, write_examined
from runtime.summary import sum_up

# the first frames pay for fonts, memory and caches that all later ones find ready
WARM_UP_FRAMES = 3


@dataclass(frozen=True)
class Spread:
    """Median, 95th and 99th percentile, in milliseconds to two decimals."""

    p50: float
    p95: float
    p99: float

    @staticmethod
    def of(milliseconds: Sequence[float]) -> "Spread":
        p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99])
        return Spread(round(float(p50), 2), round(float(p95), 2), round(float(p99), 2))


@dataclass(frozen=True)
class FrameTiming:
    """What one engine took for its frames, and what became of them.

    Attributes:
        timed: number of frames timed, the warm-up not counted.
        frame_ms: from opening the file to map, overlay and score.json durably on the disk; of the frames that were
            mapped, or of all where none was. See above how it is put together.
        map_ms: of the same frames, bringing the frame to the model's scale, mapping and judging it.
        frames_per_second: 1000 / p50 of frame_ms: frames done one after another.
        withheld: number of timed frames that got no score.
        unmapped: number of those that were withheld before a map was computed; their time says little.
        withheld_reason: why the first of the withheld frames was withheld, None when none was.
        repeatable: whether a frame got the identical score every time.
        score_difference: largest difference of a frame's mean score (in grades) from the reference engine's, or where
            grades have no order of a class's share of the area; None for that engine itself, where it was not timed,
            and when no frame was scored by both.
    """

    timed: int
    frame_ms: Spread
    map_ms: Spread
    frames_per_second: float
    withheld: int
    unmapped: int
    withheld_reason: str | None
    repeatable: bool
    score_difference: float | None


@dataclass(frozen=True)
class Stopped:
    """An engine that failed while it was timed.

    Attributes:
        reason: what it said.
    """

    reason: str


@dataclass(frozen=True)
class _Turn:
    """One frame of one engine: milliseconds of examining it, and of all before and after that."""

    own_ms: float
    around_ms: float
    result: Result


@dataclass(frozen=True)
class _Finding:
    """An engine's result for a frame: its score (None when withheld), and whether the frame was mapped at all."""

    score: Score | None
    mapped: bool


def time_engines(
    models: Sequence[Model], frames: Frames, scratch: Path, *, count: int, progress: Progress
) -> list[FrameTiming | Stopped]:
    """Look at what each model makes of the frames, warm up, and time them, the models taking turns.

    Args:
        models: one bundle on engines that keep its grades.
        frames: what to time; gone through again and again until `count` is reached.
        scratch: an empty folder; results are written below it, and left there.
        count: timed frames an engine.
        progress: told how far it has come.

    Raises:
        InflamapError: a frame that could be read cannot be any more, or a result cannot be written.
    """
    paths = frames.paths[:count]
    found: list[list[_Finding]] = [[] for _ in models]
    turns: list[list[_Turn]] = [[] for _ in models]
    stopped: dict[int, Stopped] = {}
    for done, path in enumerate(paths):
        progress("checking", done, len(paths))
        for place, model in enumerate(models):
            if place in stopped:
                continue
            with _noting_failure(stopped, place):
                found[place].append(_find(model, path, frames.um_per_px))
    rng = np.random.default_rng(0)
    for number in range(-WARM_UP_FRAMES, count):
        progress("timing", max(0, number), count)
        path = paths[number % len(paths)]
        for place in rng.permutation(len(models)):
            if place in stopped:
                continue
            # each frame is new to the folder of results, as it is beside the microscope
            out, relative = scratch / str(place), PurePath(f"{number}-{path.name}")
            with _noting_failure(stopped, place):
                turn = _take_turn(models[place], path, out, relative, frames.um_per_px)
                if number >= 0:
                    turns[place].append(turn)
    whole = [place for place in range(len(models)) if place not in stopped]
    fp32 = next((found[place] for place in whole if models[place].engine.name == REFERENCE_ENGINE), None)
    return [
        stopped.get(place) or _timing(turns[place], [turns[other] for other in whole], found[place], fp32, len(paths))
        for place in range(len(models))
    ]


@contextmanager
def _noting_failure(stopped: dict[int, Stopped], place: int) -> Iterator[None]:
    """One engine's failure is no reason to lose what the others came to; what is not the engine's goes on."""
    try:
        yield
    except Exception as error:  # engines' own exceptions share no public base class
        if isinstance(error, InflamapError) and not isinstance(error, CheckFailed):
            raise
        stopped[place] = Stopped(one_line(f"failed while it was timed: {error}"))


def _take_turn(model: Model, path: Path, out: Path, relative: PurePath, um_per_px: float | None) -> _Turn:
    started = time.perf_counter()
    examined = examine(path, relative, model, acquisition=Acquisition(um_per_px))
    result = write_examined(examined, relative, out, model)
    spent = 1000 * (time.perf_counter() - started)
    return _Turn(examined.infer_ms, spent - examined.infer_ms, result)


def _timing(
    own: Sequence[_Turn],
    all_turns: Sequence[Sequence[_Turn]],
    found: Sequence[_Finding],
    fp32: Sequence[_Finding] | None,
    paths: int,
) -> FrameTiming:
    """The figures of one engine from its turns, and from what lay around those of every engine."""
    mapped = [number for number in range(len(own)) if found[number % paths].mapped]
    # a frame withheld before it was mapped takes next to no time, and would flatter the others
    counted = mapped or list(range(len(own)))
    frame_ms = Spread.of([own[number].own_ms + turns[number].around_ms for number in counted for turns in all_turns])
    results = [turn.result for turn in own]
    return FrameTiming(
        timed=len(own),
        frame_ms=frame_ms,
        map_ms=Spread.of([own[number].own_ms for number in counted]),
        # from the rounded median, so that no two figures can contradict each other
        frames_per_second=round(1000 / max(frame_ms.p50, 0.01), 2),
        withheld=sum(result.score is None for result in results),
        unmapped=len(own) - len(mapped),
        withheld_reason=next(("; ".join(result.reasons) for result in results if not result.score), None),
        repeatable=all(
            _values(result.score) == _values(found[number % paths].score) for number, result in enumerate(results)
        ),
        score_difference=None if fp32 is None or fp32 is found else _difference(found, fp32),
    )


def _find(model: Model, path: Path, um_per_px: float | None) -> _Finding:
    analysis = analyse(read_frame(path, um_per_px=um_per_px), model)
    return _Finding(sum_up([analysis], model.bundle.manifest.grading), analysis.map is not None)


def _values(score: Score | None) -> tuple[float, ...] | None:
    """The mean grade, or without order the area of each class; None when withheld."""
    if score is None:
        return None
    return tuple(score.area_fraction.values()) if score.mean is None else (score.mean,)


def _difference(found: Sequence[_Finding], fp32: Sequence[_Finding]) -> float | None:
    """Largest difference in `_values` over the frames that both have scored."""
    pairs = [(_values(a.score), _values(b.score)) for a, b in zip(found, fp32, strict=True)]
    return max(
        (abs(x - y) for a, b in pairs if a is not None and b is not None for x, y in zip(a, b, strict=True)),
        default=None,
    )
