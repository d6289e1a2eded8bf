"""How long a frame takes on this machine, from its file to its results on the disk.

An engine is timed only after it has reproduced the golden frames here; what it then makes of the frames is looked at
before the clock starts. The engines take turns frame by frame, so that a machine that is slow for a while is slow for
all of them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from runtime.bundle import Bundle
from runtime.engines.registry import AUTO, ENGINE_NAMES, MODEL_FILES, check_golden_frames
from runtime.errors import InflamapError
from runtime.images import find_images, read_frame, unlistable
from runtime.outputs import write_atomically
from runtime.result import Result
from runtime.scoring import Model, analyse, score_file

SYNTHETIC_FRAMES = 3
SYNTHETIC_PX = 1000
SYNTHETIC = "synthetic"
# the first frames pay for fonts, memory and caches that all later ones find ready
WARM_UP_FRAMES = 3

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


@dataclass(frozen=True)
class GoldenCheck:
    """Whether an engine reproduces the bundle's golden frames on this machine.

    Attributes:
        passed: whether it does.
        difference: the largest, in probability or unfamiliarity (both 0 to 1); None when it could not be taken.
        tolerance: the largest allowed, as recorded at export; None where the bundle tells none.
        reason: why it failed, None when it passed.
    """

    passed: bool
    difference: float | None
    tolerance: float | None
    reason: str | None


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile, in milliseconds to two decimals."""

    p50: float
    p95: float

    @staticmethod
    def of(milliseconds: Sequence[float]) -> "Spread":
        p50, p95 = np.percentile(milliseconds, [50, 95])
        return Spread(round(float(p50), 2), round(float(p95), 2))


@dataclass(frozen=True)
class FrameTiming:
    """What one engine took for its frames, and what became of them.

    Attributes:
        timed: number of frames timed, the warm-up not counted.
        frame_ms: from opening the file to map, overlay and score.json durably on the disk; of the frames that were
            mapped, or of all where none was.
        map_ms: of the same frames, bringing the frame to the model's scale, mapping and judging it: `timing_ms.infer`
            of the record.
        frames_per_second: the same frames done one after another, over the seconds they took.
        withheld: number of timed frames that got no score.
        unmapped: number of those that were withheld before a map was computed; their time says little.
        withheld_reason: why the first of the withheld frames was withheld, None when none was.
        repeatable: whether a frame scored twice got the identical mean score.
        score_difference: largest difference of a frame's mean score (in grades) from the first timed engine's; None
            for that engine itself, and when no frame was scored by both.
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
class EngineReport:
    """One engine on this machine. `timing` and `precision` are None when it failed the golden frames."""

    engine: str
    precision: str | None
    golden: GoldenCheck
    timing: FrameTiming | None = None

    def to_json(self) -> dict[str, Any]:
        """One flat document; the timing's keys are there, null, when nothing was timed."""
        timing = asdict(self.timing) if self.timing else dict.fromkeys(field.name for field in fields(FrameTiming))
        return {"engine": self.engine, "precision": self.precision, "golden": asdict(self.golden), **timing}


def time_engines(
    bundle: Bundle,
    engines: Sequence[str],
    frames: Frames,
    scratch: Path,
    *,
    count: int,
    threads: int,
    progress: Progress,
) -> list[EngineReport]:
    """Prove each engine on the golden frames, then time `count` frames on each that passed; a report of each in turn.

    Args:
        bundle: the model.
        engines: names that `require_engines` let through.
        frames: what to time; gone through again and again until `count` is reached.
        scratch: an empty folder; results are written below it, and left there.
        count: timed frames an engine.
        threads: cores to use at most.
        progress: told how far it has come.

    Raises:
        InflamapError: a frame that could be read cannot be any more, or a result cannot be written.
    """
    proofs = [_prove(bundle, name, threads) for name in engines]
    models = [model for model, _report in proofs if model is not None]
    timings = iter(_time(models, frames, scratch, count, progress) if models else ())
    return [report if model is None else replace(report, timing=next(timings)) for model, report in proofs]


def require_engines(names: Sequence[str]) -> None:
    """Refuse names that are no engine's before anything is run.

    Raises:
        InflamapError: there is one, or no name at all.
    """
    unknown = [name for name in names if name not in (AUTO, *ENGINE_NAMES)]
    if unknown or not names:
        raise InflamapError(
            "--engines: no such engine",
            seen=", ".join(map(repr, unknown)) or "no name",
            wanted=f"{AUTO} or some of {', '.join(ENGINE_NAMES)}, with commas between",
        )


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


@dataclass(frozen=True)
class _Finding:
    """What an engine makes of a frame: its mean score (None when withheld), and whether it was mapped at all."""

    mean: float | None
    mapped: bool


def _prove(bundle: Bundle, name: str, threads: int) -> tuple[Model | None, EngineReport]:
    """Load an engine, which runs the golden frames, and take the difference that loading keeps to itself."""
    tolerances = bundle.manifest.golden.tolerance
    try:
        model = Model.load(bundle, name, threads=threads)
        model_file = MODEL_FILES[model.engine.name]
        difference = check_golden_frames(model.engine, bundle, model_file)
    except InflamapError as error:
        golden = GoldenCheck(False, None, tolerances.get(MODEL_FILES.get(name, "")), str(error))
        return None, EngineReport(name, None, golden)
    golden = GoldenCheck(True, difference, tolerances[model_file], None)
    return model, EngineReport(model.engine.name, model.engine.precision, golden)


def _time(models: Sequence[Model], frames: Frames, scratch: Path, count: int, progress: Progress) -> list[FrameTiming]:
    """Look at what each model makes of the frames, warm up, and time them, the models taking turns."""
    paths = frames.paths[:count]
    found: list[list[_Finding]] = [[] for _ in models]
    for done, path in enumerate(paths):
        progress("checking", done, len(paths))
        for place, model in enumerate(models):
            found[place].append(_find(model, path, frames.um_per_px))
    again = [_repeats(model, paths, findings, frames.um_per_px) for model, findings in zip(models, found, strict=True)]

    milliseconds: list[list[float]] = [[] for _ in models]
    results: list[list[Result]] = [[] for _ in models]
    for number in range(-WARM_UP_FRAMES, count):
        progress("timing", max(0, number), count)
        path = paths[number % len(paths)]
        # each frame is new to the folder of results, as it is beside the microscope
        relative = PurePath(f"{number}-{path.name}")
        for place, model in enumerate(models):
            started = time.perf_counter()
            result = score_file(path, relative, scratch / str(place), model, um_per_px=frames.um_per_px)
            spent = 1000 * (time.perf_counter() - started)
            if number >= 0:
                milliseconds[place].append(spent)
                results[place].append(result)
    # a frame withheld before it was mapped takes next to no time, and would flatter the others
    mapped = [[number for number in range(count) if findings[number % len(paths)].mapped] for findings in found]
    counted = [numbers or list(range(count)) for numbers in mapped]
    return [
        FrameTiming(
            timed=count,
            frame_ms=Spread.of([milliseconds[place][number] for number in counted[place]]),
            map_ms=Spread.of([results[place][number].timing_ms.infer for number in counted[place]]),
            frames_per_second=round(
                1000 * len(counted[place]) / sum(milliseconds[place][number] for number in counted[place]), 2
            ),
            withheld=sum(result.score is None for result in results[place]),
            unmapped=count - len(mapped[place]),
            withheld_reason=next(("; ".join(result.reasons) for result in results[place] if not result.score), None),
            repeatable=again[place],
            score_difference=_difference(found[place], found[0]) if place else None,
        )
        for place in range(len(models))
    ]


def _find(model: Model, path: Path, um_per_px: float | None) -> _Finding:
    analysis = analyse(read_frame(path, um_per_px=um_per_px), model)
    return _Finding(None if analysis.score is None else analysis.score.mean, analysis.map is not None)


def _repeats(model: Model, paths: Sequence[Path], found: Sequence[_Finding], um_per_px: float | None) -> bool:
    """Whether a frame gets the identical mean score a second time; one that has a score, where there is one."""
    place = next((place for place, finding in enumerate(found) if finding.mean is not None), 0)
    return _find(model, paths[place], um_per_px) == found[place]


def _difference(found: Sequence[_Finding], first: Sequence[_Finding]) -> float | None:
    """Largest difference in mean score over the frames that both have scored."""
    pairs = [(a.mean, b.mean) for a, b in zip(found, first, strict=True)]
    return max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=None)
