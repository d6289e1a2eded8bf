"""One image's way: file, frame, map, quality, score, and the files of its result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

import cv2
import numpy as np
import numpy.typing as npt

from runtime.bundle import Bundle
from runtime.dense_map import InflammationMap, dense_map
from runtime.engines import DeployedEngine
from runtime.engines.choice import open_chosen
from runtime.engines.registry import REFERENCE_ENGINE, default_threads, model_sha256
from runtime.errors import InflamapError
from runtime.images import Frame, file_sha256, picture, read_frame, to_model_scale
from runtime.map_file import encode_map
from runtime.outputs import result_files, write_result
from runtime.overlay import OverlayText, draw_overlay, encode_overlay
from runtime.quality import check_quality
from runtime.result import ImageRecord, MapRecord, ModelRecord, Result, Score, Timing

SYNTHETIC_WARNING = "synthetic-trained model: not for real findings"
# 16-bit grey that stays below this was most likely stored by a 12-bit camera; guessing would scale it wrongly
TWELVE_BIT_LEVELS = 4096


@dataclass(frozen=True)
class Model:
    """A bundle and the engine that runs it here."""

    bundle: Bundle
    engine: DeployedEngine

    @staticmethod
    def load(
        bundle: Bundle,
        engine: str = REFERENCE_ENGINE,
        *,
        threads: int | None = None,
        say: Callable[[str], None] = lambda _line: None,
    ) -> "Model":
        """Open the engine, or the one that `auto` stands for, and prove it on the golden frames.

        Arguments and errors as of `open_chosen`. `threads` bounds the engine and OpenCV, which keeps a pool of its own.
        """
        threads = threads or default_threads()
        cv2.setNumThreads(threads)
        return Model(bundle, open_chosen(bundle, engine, threads=threads, say=say))

    @property
    def sha256(self) -> str:
        """Hash of the model file that runs."""
        return model_sha256(self.bundle, self.engine)

    def record(self) -> ModelRecord:
        manifest = self.bundle.manifest
        return ModelRecord(manifest.name, self.sha256, self.engine.name, self.engine.precision, manifest.synthetic)


@dataclass(frozen=True)
class Analysis:
    """What a frame came to, before anything is drawn or written.

    Attributes:
        pixels: uint8 [H, W] at the model's scale; at the file's own where that could not be.
        um_per_px: of `pixels`, None when unknown.
        map: None when the frame was withheld before it was scored.
        valid: bool [h, w], the cells that count; None without a map.
        score: None when withheld.
        reasons: why the frame, or some of its cells, was withheld.
    """

    pixels: npt.NDArray[np.uint8]
    um_per_px: float | None
    map: InflammationMap | None
    valid: npt.NDArray[np.bool_] | None
    score: Score | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Examined:
    """An image file read and scored, of which nothing is written yet.

    Attributes:
        path: the file.
        frame: what was read from it.
        analysis: what it came to.
        read_ms: milliseconds of reading, decoding and hashing.
        infer_ms: milliseconds of rescaling, mapping and judging.
    """

    path: Path
    frame: Frame
    analysis: Analysis
    read_ms: float
    infer_ms: float


class ChangedMeanwhile(InflamapError):
    """The file's content changed while it was being scored, so that the score belongs to neither."""


def score_file(path: Path, relative: PurePath, out: Path, model: Model, *, um_per_px: float | None = None) -> Result:
    """Score one image file and write its result; the arguments and errors of `examine` and `write_examined`."""
    return write_examined(examine(path, model, um_per_px=um_per_px), relative, out, model)


def examine(path: Path, model: Model, *, um_per_px: float | None = None) -> Examined:
    """Read and score one image file, without writing anything.

    Args:
        path: the image; only read.
        model: what scores it.
        um_per_px: sampling of the file, where the user says so.

    Raises:
        UnreadableImage: the file cannot become a frame.
    """
    started = time.perf_counter()
    frame = read_frame(path, um_per_px=um_per_px)
    read = time.perf_counter()
    analysis = analyse(frame, model)
    inferred = time.perf_counter()
    return Examined(path, frame, analysis, 1000 * (read - started), 1000 * (inferred - read))


def write_examined(
    examined: Examined, relative: PurePath, out: Path, model: Model, *, alive: Callable[[], object] = lambda: None
) -> Result:
    """Draw and write the result of an image, after making sure that the file still holds what was scored.

    Args:
        examined: the image.
        relative: its path below the watched folder, mirrored under `out` and named in the record.
        out: the results' folder.
        model: what scored it.
        alive: called again and again while a large file is read once more.

    Raises:
        ChangedMeanwhile: the file holds something else now; nothing was written.
        InflamapError: a result cannot be written.
    """
    started = time.perf_counter()
    frame, analysis = examined.frame, examined.analysis
    # a preallocated file whose tail is still zeros decodes cleanly
    now = file_sha256(examined.path, alive=alive)
    if now not in (None, frame.sha256):
        raise ChangedMeanwhile(
            f"{examined.path}: the file changed while it was scored", next_step="score it again once it is complete"
        )
    files = result_files(relative)
    overlay = encode_overlay(_draw(analysis, model, relative.name))
    scored_map = analysis.map if analysis.score is not None else None
    map_file = map_record = None
    if scored_map is not None and analysis.valid is not None:
        geometry = scored_map.geometry
        map_file = encode_map(scored_map, analysis.valid, relative.name)
        map_record = MapRecord(
            files.map.name,
            geometry.patch_px,
            geometry.stride_px,
            scored_map.shape,
            (geometry.origin_um, geometry.origin_um),
        )
    write_ms = 1000 * (time.perf_counter() - started)
    result = Result(
        image=ImageRecord(
            relative.as_posix(), frame.sha256, frame.width, frame.height, frame.um_per_px, frame.um_per_px_from
        ),
        model=model.record(),
        status="withheld" if analysis.score is None else "scored",
        reasons=analysis.reasons,
        score=analysis.score,
        map=map_record,
        overlay=files.overlay.name,
        timing_ms=Timing(
            examined.read_ms, examined.infer_ms, write_ms, examined.read_ms + examined.infer_ms + write_ms
        ),
    )
    write_result(out, relative, overlay=overlay, map_file=map_file, record=result.to_json())
    return result


def analyse(frame: Frame, model: Model) -> Analysis:
    """Bring a frame to the model's scale, map it, judge its cells and sum them up."""
    manifest, geometry = model.bundle.manifest, model.bundle.geometry
    unfit = _unfit(frame, model.bundle)
    if unfit or frame.um_per_px is None:
        return Analysis(picture(frame), frame.um_per_px, None, None, None, unfit)
    pixels = to_model_scale(frame, geometry.um_per_px)
    height, width = pixels.shape
    if not (geometry.cells(height) and geometry.cells(width)):
        reason = (
            f"too small: {width}x{height} px at the model's scale, "
            f"a patch needs {geometry.patch_px}x{geometry.patch_px}"
        )
        return Analysis(pixels, geometry.um_per_px, None, None, None, (reason,))
    found = dense_map(pixels, model.engine, geometry)
    quality = check_quality(pixels, found, manifest.quality)
    score = None if quality.withheld else _sum_up(found, quality.valid, manifest.grades)
    return Analysis(pixels, geometry.um_per_px, found, quality.valid, score, quality.reasons)


def _unfit(frame: Frame, bundle: Bundle) -> tuple[str, ...]:
    """Why a frame must not be scored at all, whatever it shows."""
    reasons = []
    low, high = bundle.manifest.um_per_px_range
    if frame.colour:
        reasons.append("colour: the channels differ, so this is no confocal image")
    if frame.bits == 16 and int(frame.pixels.max()) < TWELVE_BIT_LEVELS:
        reasons.append(
            f"depth of grey unknown: 16-bit file with no level above {int(frame.pixels.max())}, "
            "and nothing says how many bits are used"
        )
    if frame.um_per_px is None:
        reasons.append("scale unknown: the file tells no µm/px; give --um-per-px")
    elif not low <= frame.um_per_px <= high:
        reasons.append(
            f"scale: {frame.um_per_px:g} µm/px is outside {low:.2f} to {high:.2f}, where the model's scores hold"
        )
    return tuple(reasons)


def _sum_up(found: InflammationMap, valid: npt.NDArray[np.bool_], grades: tuple[str, ...]) -> Score:
    """The frame's score over its valid cells, of which there is at least one."""
    mean = float(found.expected_grade()[valid].mean(dtype=np.float64))
    counts = np.bincount(found.grade()[valid], minlength=len(grades))
    return Score(
        mean=mean,
        grade=round(mean),
        area_fraction={name: float(count / counts.sum()) for name, count in zip(grades, counts, strict=True)},
        withheld_fraction=float(1 - valid.mean()),
    )


def _draw(analysis: Analysis, model: Model, file_name: str) -> npt.NDArray[np.uint8]:
    manifest = model.bundle.manifest
    score = analysis.score
    expected = geometry = None
    if score is not None and analysis.map is not None and analysis.valid is not None:
        expected = np.where(analysis.valid, analysis.map.expected_grade(), np.float32(np.nan))
        geometry = analysis.map.geometry
    text = OverlayText(
        title="Withheld" if score is None else f"Inflammation {score.mean:.1f} · grade {manifest.grades[score.grade]}",
        reasons=analysis.reasons,
        footer=f"{file_name}   {manifest.name}   {model.engine.name}",
        warning=SYNTHETIC_WARNING if manifest.synthetic else None,
    )
    return draw_overlay(analysis.pixels, analysis.um_per_px, manifest.grades, expected, geometry, text)
