"""The phantom on disk: patches with their raters' scores, frames with their true severity."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from trainer.worker_pool import worker_pool

from .camera import FRAME_PX
from .fields import smooth_field
from .paint import paint_frame, paint_patch
from .raters import RATERS, draw_scores, draw_severity, oracle_accuracy
from .section import UM_PER_PX
from .subject import Subject, draw_subjects

GENERATOR_VERSION = 3
"""Raised whenever the same seed would give other bytes."""

Progress = Callable[[str, int, int], None]

_SCORE_KIND, _PATCH_KIND, _FRAME_KIND = 2, 3, 4
_WORTH_A_POOL = 400
_BATCH = 64
_MOST_WORKERS = 32
_OURS = {"patches": re.compile(r"p\d{5,}\.png"), "frames": re.compile(r"v\d{7,}\.(bmp|severity\.npy)")}
_MAPPING = (
    "Severity is this project's own continuous scale from 0 (healthy) to 4 (highly inflamed); how it maps to signs "
    "and grades is ours, because no public 0-4 rubric exists."
)


@dataclass(frozen=True)
class _Patch:
    """One patch before it is painted."""

    path: str
    subject: Subject
    severity: float
    scores: tuple[int, ...]


def write_phantom(
    out: Path,
    *,
    patches: int = 3797,
    frames: int = 8,
    seed: int = 0,
    patch_px: int = 128,
    progress: Progress | None = None,
) -> None:
    """Write synthetic scored skin under `out`: scores.csv, patches/, frames/, truth.csv and phantom.json.

    The same arguments give the same bytes, and an item does not depend on how many are asked for. scores.csv comes
    last, so that a folder with it is complete; truth.csv is for evaluation and never for training.

    Raises ValueError if `out` holds anything but an earlier phantom; an earlier phantom is replaced.
    """
    _clear(out)
    subjects = draw_subjects(seed)
    scored = [_draw_patch(seed, i, subjects) for i in range(patches)]
    severity = np.array([p.severity for p in scored])
    _write_json(
        out / "phantom.json",
        {
            "synthetic": True,
            "generator": GENERATOR_VERSION,
            "seed": seed,
            "patches": patches,
            "frames": frames,
            "subjects": [dataclasses.asdict(s) for s in subjects],
            "raters": [dataclasses.asdict(r) for r in RATERS],
            "oracle_accuracy": oracle_accuracy(severity) if patches else None,
            "mapping": _MAPPING,
        },
    )
    _paint_all(out, scored, frames, seed, patch_px, subjects, progress)
    _write_csv(
        out / "truth.csv",
        ["path", "severity", "grade"],
        ([p.path, f"{p.severity:.6f}", int(p.severity + 0.5)] for p in scored),
    )
    _write_csv(
        out / "scores.csv",
        ["path", "score", "subject", "rater", "um_per_px"],
        (
            [p.path, score, p.subject.name, rater.name, UM_PER_PX]
            for p in scored
            for rater, score in zip(RATERS, p.scores, strict=True)
        ),
    )


def _clear(out: Path) -> None:
    marker = out / "phantom.json"
    seen = sorted(p.name for p in out.iterdir())[:3] if out.is_dir() else [out.name] * out.exists()
    if seen and not _is_phantom(marker):
        raise ValueError(
            f"{out} is not empty and holds no earlier phantom: seen {', '.join(seen)}; wanted a new or empty folder "
            "or one with a phantom.json; choose another folder or empty this one"
        )
    (out / "scores.csv").unlink(missing_ok=True)
    for folder, ours in _OURS.items():
        (out / folder).mkdir(parents=True, exist_ok=True)
        for path in (out / folder).iterdir():
            if ours.fullmatch(path.name):
                path.unlink()


def _is_phantom(marker: Path) -> bool:
    try:
        return json.loads(marker.read_text("utf-8")).get("synthetic") is True
    except (OSError, ValueError, AttributeError):
        return False


def _draw_patch(seed: int, i: int, subjects: Sequence[Subject]) -> _Patch:
    rng = _rng(seed, _SCORE_KIND, i)
    subject = subjects[int(rng.integers(len(subjects)))]
    severity = draw_severity(rng)
    return _Patch(f"patches/p{i:05d}.png", subject, severity, draw_scores(severity, rng))


def _paint_all(
    out: Path,
    scored: Sequence[_Patch],
    frames: int,
    seed: int,
    patch_px: int,
    subjects: Sequence[Subject],
    progress: Progress | None,
) -> None:
    tell = progress or _say_nothing
    batches = [range(i, min(i + _BATCH, len(scored))) for i in range(0, len(scored), _BATCH)]
    if len(scored) + 50 * frames < _WORTH_A_POOL:
        for done, i in enumerate(range(len(scored)), 1):
            _write_patches(out, seed, patch_px, [(i, scored[i])])
            tell("patches", done, len(scored))
        for i in range(frames):
            _write_frame(out, seed, i, subjects)
            tell("frames", i + 1, frames)
        return
    workers = min(max(2, os.cpu_count() or 2), _MOST_WORKERS)
    with worker_pool(workers, cv2.setNumThreads, (1,)) as pool:
        patch_jobs = [
            pool.submit(_write_patches, out, seed, patch_px, [(i, scored[i]) for i in batch]) for batch in batches
        ]
        frame_jobs = [pool.submit(_write_frame, out, seed, i, subjects) for i in range(frames)]
        for done in _finished(patch_jobs):
            tell("patches", done, len(scored))
        for done in _finished(frame_jobs):
            tell("frames", done, frames)


def _say_nothing(_label: str, _done: int, _total: int) -> None:
    pass


def _finished(jobs: Sequence[Future[int]]) -> Iterator[int]:
    done = 0
    for job in as_completed(jobs):
        done += job.result()
        yield done


def _write_patches(out: Path, seed: int, patch_px: int, items: Sequence[tuple[int, _Patch]]) -> int:
    for i, patch in items:
        image = paint_patch(patch.subject, patch.severity, _rng(seed, _PATCH_KIND, i), patch_px)
        ok, png = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        assert ok
        (out / patch.path).write_bytes(png.tobytes())
    return len(items)


def _write_frame(out: Path, seed: int, i: int, subjects: Sequence[Subject]) -> int:
    rng = _rng(seed, _FRAME_KIND, i)
    subject = subjects[int(rng.integers(len(subjects)))]
    severity = draw_severity_map(rng)
    image = paint_frame(subject, severity, rng)
    np.save(out / "frames" / f"v{i:07d}.severity.npy", severity)
    (out / "frames" / f"v{i:07d}.bmp").write_bytes(encode_bmp(image))
    return 1


def draw_severity_map(rng: np.random.Generator, size_px: int = FRAME_PX) -> npt.NDArray[np.float32]:
    """True severity of a frame, float32 [size_px, size_px] in 0..4: a plume of inflammation on calmer skin, as
    around the rim of a patch test."""
    low, high = rng.uniform(0.0, 1.2), rng.uniform(2.6, 4.0)
    row, col = rng.uniform(0.15, 0.85, 2) * size_px
    lean, spread, stretch = rng.uniform(0.0, np.pi), rng.uniform(0.22, 0.4) * size_px, rng.uniform(1.0, 2.0)
    y, x = np.mgrid[0:size_px, 0:size_px].astype(np.float32)
    across = (x - col) * np.cos(lean) + (y - row) * np.sin(lean)
    along = (y - row) * np.cos(lean) - (x - col) * np.sin(lean)
    plume = np.exp(-0.5 * ((across / spread) ** 2 + (along / (spread * stretch)) ** 2))
    drift = 0.25 * smooth_field((size_px, size_px), 900.0, rng)
    return np.asarray(np.clip(low + (high - low) * plume + drift, 0.0, 4.0), dtype=np.float32)


def encode_bmp(image: npt.NDArray[np.uint8]) -> bytes:
    """8-bit palette grey BMP as a VivaScope writes it: 14 + 40 byte headers, 256 greys, rows from the bottom up."""
    height, width = image.shape
    stride = -(-width // 4) * 4
    offset = 14 + 40 + 1024
    file_header = struct.pack("<2sIHHI", b"BM", offset + stride * height, 0, 0, offset)
    info_header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 0, stride * height, 0, 0, 256, 256)
    palette = b"".join(struct.pack("<BBBB", g, g, g, 0) for g in range(256))
    rows = np.zeros((height, stride), np.uint8)
    rows[:, :width] = image[::-1]
    return file_header + info_header + palette + rows.tobytes()


def _rng(seed: int, kind: int, i: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, kind, i]))


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _write_csv(path: Path, header: Sequence[str], rows: Iterator[Sequence[object]]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    temporary.replace(path)
