"""The way from a file to its results: the whole against its bare parts, and each part of ours against a library's."""

import hashlib
import os
import statistics
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from benchmarks.speed.ratio import Against, seconds_in_turns
from benchmarks.speed.watch_bursts import watching
from runtime.analysis import analyse
from runtime.dense_map import dense_map
from runtime.images import read_frame
from runtime.model import Model
from runtime.overlay import encode_jpeg
from runtime.overlay.picture import JPEG_QUALITY
from runtime.patch_statistics import patch_statistics
from runtime.pictures import ImageLabel, draw
from runtime.summary import sum_up

BURST, BURSTS = 60, 6
REPEATS = 20


def overlay_of(path: Path, model: Model) -> npt.NDArray[np.uint8]:
    analysis = analyse(read_frame(path), model)
    return draw(
        (analysis,), (None,), (), sum_up([analysis], model.bundle.manifest.grading), model, ImageLabel(path.name)
    )


def test_reading_against_hashing(against: Against, frame_files: tuple[Path, ...]) -> None:
    """A frame with every check, against nothing but reading the file's bytes and hashing them."""
    path = frame_files[0]
    by_opencv = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert by_opencv is not None
    assert np.array_equal(read_frame(path).pixels, by_opencv)
    against.slower(lambda: read_frame(path), lambda: hashlib.sha256(path.read_bytes()), rounds=100)


def test_judging_against_the_map(against: Against, model: Model, frame: npt.NDArray[np.uint8]) -> None:
    geometry = model.bundle.geometry
    assert patch_statistics(frame, geometry).mean[0, 0] == pytest.approx(frame[:128, :128].mean())
    against.slower(
        lambda: patch_statistics(frame, geometry), lambda: dense_map(frame, model.engine, geometry), rounds=60
    )


def test_drawing_against_encoding(against: Against, model: Model, frame_files: tuple[Path, ...]) -> None:
    analysis = analyse(read_frame(frame_files[0]), model)
    score = sum_up([analysis], model.bundle.manifest.grading)
    picture = draw((analysis,), (None,), (), score, model, ImageLabel("frame.bmp"))
    assert picture.shape[0] > 1000
    assert picture.std(axis=2).max() > 20, "there is colour in it"
    against.slower(
        lambda: draw((analysis,), (None,), (), score, model, ImageLabel("frame.bmp")),
        lambda: encode_jpeg(picture),
        rounds=60,
    )


def test_watch_against_its_bare_parts(
    against: Against,
    model: Model,
    bare_session: onnxruntime.InferenceSession,
    frame_files: tuple[Path, ...],
    tmp_path: Path,
) -> None:
    """From record to record in steady state, all outputs on the disk and the ledger committed, against inference,
    decoding, encoding the overlay and one durable write, each alone, by the libraries themselves."""
    data = np.frombuffer(frame_files[0].read_bytes(), np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    pixels = np.ascontiguousarray(decoded[:992, :992])[None, None]
    picture = overlay_of(frame_files[0], model)
    overlay = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    place = tmp_path / "durable"
    place.mkdir()
    parts: dict[str, Callable[[], object]] = {
        "inference_ms": lambda: bare_session.run(None, {"image": pixels}),
        "decoding_ms": lambda: cv2.imdecode(np.frombuffer(frame_files[0].read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED),
        "encoding_ms": lambda: cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]),
        "durable_write_ms": lambda: write_durably(place / "overlay.jpg", overlay),
    }
    ratios: list[float] = []
    alone: dict[str, list[float]] = {name: [] for name in parts}
    frames: list[float] = []
    with watching(frame_files, tmp_path) as bursts:
        bursts.frame_s(20)
        for _ in range(against.rounds(BURSTS)):
            before = seconds_in_turns(parts, REPEATS)
            frame_s = bursts.frame_s(BURST)
            # before and after, for a machine's speed changes within seconds
            now = {name: (before[name] + after) / 2 for name, after in seconds_in_turns(parts, REPEATS).items()}
            ratios.append(frame_s / sum(now.values()))
            frames.append(1000 * frame_s)
            for name, seconds in now.items():
                alone[name].append(1000 * seconds)
    against.record(
        ratios,
        "lower",
        frame_ms=statistics.median(frames),
        **{name: statistics.median(each) for name, each in alone.items()},
    )
    against.promise(1.10)


def write_durably(path: Path, data: bytes) -> None:
    """One file, whole or not at all, down to the disk."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
