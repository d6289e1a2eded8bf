"""One image's way: file, frames, maps, quality, score, and the files of its result."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePath
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from runtime.acquisition import Acquisition
from runtime.analysis import Analysis, analyse
from runtime.dense_map import InflammationMap
from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.grading import Grading
from runtime.images import FolderKind, Frame, file_sha256, folder_kind, read_frames
from runtime.images.opening import read_shared
from runtime.map_file import encode_map
from runtime.model import Model
from runtime.outputs import result_files, write_result
from runtime.overlay import encode_jpeg
from runtime.pictures import ImageLabel, draw
from runtime.pseudonyms import Pseudonyms
from runtime.result import ImageRecord, MapRecord, Result, SliceRecord, Timing
from runtime.summary import counted_cells, sum_up

NOTHING_SAID = Acquisition()
MACROSCOPIC = "macroscopic: a picture of the skin's surface, by its folder; such are never scored"


class ReadImage(msgspec.Struct, frozen=True):
    """An image file that was read.

    Attributes:
        path: the file.
        inside: the folder that no link to it may lead out of; None where the user named the file itself.
        relative: its path below the watched folder.
        kind: what it is by its folder.
        frames: what it holds, of a stack each slice.
        modified: when the file was last modified, Unix seconds; None where that is unknown.
        read_ms: milliseconds of reading, decoding and hashing.
    """

    path: Path
    relative: PurePath
    kind: FolderKind | None
    frames: tuple[Frame, ...]
    modified: float | None
    read_ms: float
    inside: Path | None = None


class Examined(msgspec.Struct, frozen=True):
    """An image file read and scored, of which nothing is written yet; its pixels are let go.

    Attributes:
        path: the file.
        inside: as of `ReadImage`.
        record: what is said of it.
        notes: what a person should know of it beside.
        modified: when the file was last modified, Unix seconds; None where that is unknown.
        depths_um: of its frame, or of each slice, how far below the skin's surface it lies, where that is known.
        analyses: what each came to.
        read_ms: milliseconds of reading, decoding and hashing.
        infer_ms: milliseconds of rescaling, mapping and judging.
    """

    path: Path
    record: ImageRecord
    notes: tuple[str, ...]
    modified: float | None
    depths_um: tuple[float | None, ...]
    analyses: tuple[Analysis, ...]
    read_ms: float
    infer_ms: float
    inside: Path | None = None


class ChangedMeanwhile(InflamapError):
    """The file's content changed while it was being scored, so that the score belongs to neither."""


def score_file(
    path: Path, relative: PurePath, out: Path, model: Model, *, acquisition: Acquisition = NOTHING_SAID
) -> Result:
    """Score one image file and write its result; the arguments and errors of `examine` and `write_examined`."""
    return write_examined(examine(path, relative, model, acquisition=acquisition), relative, out, model)


def examine(
    path: Path,
    relative: PurePath,
    model: Model,
    *,
    acquisition: Acquisition = NOTHING_SAID,
    inside: Path | None = None,
) -> Examined:
    """Read and score one image file, without writing anything.

    Args:
        path: the image; only read.
        relative: its path below the watched folder.
        model: what scores it.
        acquisition: what the user says of it.
        inside: the folder that no link to the file may lead out of; None where the user named the file itself.

    Raises:
        UnreadableImage: the file cannot become a frame.
        PlaceForbids: a link leads out of `inside`.
    """
    return score_image(read_image(path, relative, acquisition, inside=inside), model)


def read_image(path: Path, relative: PurePath, acquisition: Acquisition, *, inside: Path | None = None) -> ReadImage:
    """The first part of `examine`; arguments and errors as there."""
    started = time.perf_counter()
    # the watched folder itself may be a stack's
    kind = folder_kind(path.absolute())
    state = FileState.of(path)
    frames = acquisition.tell(read_frames(path, read=partial(read_shared, inside=inside)), relative, kind)
    if kind == "macroscopic":
        frames = tuple(replace(frame, objections=(*frame.objections, MACROSCOPIC)) for frame in frames)
    modified = None if state is None else state.mtime_ns / 1e9
    return ReadImage(path, relative, kind, frames, modified, 1000 * (time.perf_counter() - started), inside)


def score_image(image: ReadImage, model: Model) -> Examined:
    """The second part of `examine`."""
    started = time.perf_counter()
    frames = image.frames
    analyses = tuple(analyse(frame, model) for frame in frames)
    infer_ms = 1000 * (time.perf_counter() - started)
    depths_um = tuple(frame.z_um for frame in frames)
    return Examined(
        image.path,
        _record(image),
        _notes(frames),
        image.modified,
        depths_um,
        analyses,
        image.read_ms,
        infer_ms,
        image.inside,
    )


def write_examined(
    examined: Examined,
    relative: PurePath,
    out: Path,
    model: Model,
    *,
    pseudonyms: Pseudonyms | None = None,
    alive: Callable[[], object] = lambda: None,
) -> Result:
    """Draw and write the result of an image, after making sure that the file still holds what was scored.

    Args:
        examined: the image.
        relative: its path below the watched folder, mirrored under `out` and named in the record.
        out: the results' folder.
        model: what scored it.
        pseudonyms: stand for the image's name inside overlay and map, which then show neither folder nor date.
        alive: called again and again while a large file is read once more.

    Raises:
        ChangedMeanwhile: the file holds something else now; nothing was written.
        PlaceForbids: a link leads out of the folder that the image was read in.
        InflamapError: a result cannot be written.
    """
    started = time.perf_counter()
    analyses = examined.analyses
    # a preallocated file whose tail is still zeros decodes cleanly
    now = file_sha256(examined.path, alive=alive, inside=examined.inside)
    if now not in (None, examined.record.sha256):
        raise ChangedMeanwhile(
            f"{examined.path}: the file changed while it was scored", next_step="score it again once it is complete"
        )
    files, grading = result_files(relative), model.bundle.manifest.grading
    score = sum_up(analyses, grading)
    reasons = _reasons(analyses)
    label = ImageLabel.of(relative, examined.modified, pseudonyms)
    overlay = encode_jpeg(draw(analyses, examined.depths_um, reasons, score, model, label))
    map_file = map_record = None
    if score is not None:
        maps = _shown_maps(analyses)
        geometry, shape = maps[0][0].geometry, maps[0][0].shape
        map_file = encode_map(maps, label.name, grading)
        map_record = MapRecord(
            files.map.name,
            geometry.patch_px,
            geometry.stride_px,
            shape,
            (geometry.origin_um, geometry.origin_um),
        )
    write_ms = 1000 * (time.perf_counter() - started)
    result = Result(
        image=examined.record,
        model=model.record(),
        status="withheld" if score is None else "scored",
        reasons=reasons,
        score=score,
        map=map_record,
        overlay=files.overlay.name,
        timing_ms=Timing(
            examined.read_ms, examined.infer_ms, write_ms, examined.read_ms + examined.infer_ms + write_ms
        ),
        notes=examined.notes,
        slices=_slice_records(examined, grading) if len(analyses) > 1 else None,
    )
    write_result(out, relative, overlay=overlay, map_file=map_file, record=result.to_json())
    return result


def _shown_maps(analyses: tuple[Analysis, ...]) -> list[tuple[InflammationMap, npt.NDArray[np.bool_]]]:
    """(map, bool [h, w] of the cells that count) of each slice; of a withheld one no cell counts."""
    some = next(analysis.map for analysis in analyses if analysis.map is not None)
    nothing = some, np.zeros(some.shape, np.bool_)
    return [counted_cells(analysis) or nothing for analysis in analyses]


def _record(image: ReadImage) -> ImageRecord:
    frames = image.frames
    frame = frames[0]
    one = len(frames) == 1
    return ImageRecord(
        path=image.relative.as_posix(),
        sha256=frame.sha256,
        width=frame.width,
        height=frame.height,
        um_per_px=frame.um_per_px,
        um_per_px_from=frame.um_per_px_from,
        bits=None if frame.depth is None else frame.depth.bits,
        bits_from="unknown" if frame.depth is None else frame.depth.source,
        z_um=frame.z_um if one else None,
        z_from=frame.z_from if one else next((each.z_from for each in frames if each.z_um is not None), "unknown"),
        x_mm=frame.x_mm,
        y_mm=frame.y_mm,
        slices=len(frames),
        folder=image.kind,
    )


def _slice_records(examined: Examined, grading: Grading) -> tuple[SliceRecord, ...]:
    records = []
    for number, (z_um, analysis) in enumerate(zip(examined.depths_um, examined.analyses, strict=True)):
        score = sum_up([analysis], grading)
        status: Literal["scored", "withheld"] = "withheld" if score is None else "scored"
        records.append(SliceRecord(number, z_um, status, analysis.reasons, score))
    return tuple(records)


def _reasons(analyses: tuple[Analysis, ...]) -> tuple[str, ...]:
    """The reasons; of a stack each with the numbers of its slices, counted from 1."""
    if len(analyses) == 1:
        return analyses[0].reasons
    found: dict[str, list[int]] = {}
    for number, analysis in enumerate(analyses, 1):
        for reason in analysis.reasons:
            found.setdefault(reason, []).append(number)
    return tuple(
        reason if len(slices) == len(analyses) else f"slice {', '.join(map(str, slices))}: {reason}"
        for reason, slices in found.items()
    )


def _notes(frames: tuple[Frame, ...]) -> tuple[str, ...]:
    notes = dict.fromkeys(note for frame in frames for note in frame.notes)
    unknown = sum(frame.z_um is None for frame in frames)
    if unknown:
        of = f" of {unknown} slices" if len(frames) > 1 else ""
        notes[f"depth unknown{of}: nothing tells how far below the skin's surface this is"] = None
    return tuple(notes)
