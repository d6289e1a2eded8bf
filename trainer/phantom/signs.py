"""What inflammation does to the skin: severity 0..4 -> the strength of every sign.

The signs are those of the dermatological literature (Actas Dermosifiliogr 2019; Astner 2006; Hicks 2003). How strong
each is at a given severity is this project's choice: no public 0-4 rubric exists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .fields import smooth_field
from .subject import Subject

MAX_SEVERITY = 4.0

_SCATTER_GRADES = 0.05
"""How far one sign strays from the severity it should show. The signs stray independently, so that all of them
together tell the severity better than any one."""
_GAP_SCATTER_GRADES = 0.5
"""Gaps stray far: fluid comes and goes within the hour, and binary patterns, which read gaps best, would otherwise
tell the grade by them alone."""
_SCATTER_PX = 160.0
"""About a patch: the scatter is constant within a patch and wanders over a frame."""


@dataclass(frozen=True)
class Signs:
    """Strength of every sign at the places asked for; float32 arrays of one shape."""

    gap: npt.NDArray[np.float32]
    """Spongiosis: half the intercellular space, µm at 11 µm pitch; below 0 membranes overlap, no gap shows."""
    jitter: npt.NDArray[np.float32]
    """Loss of order: standard deviation of a cell's displacement, in pitches."""
    lost: npt.NDArray[np.float32]
    """Loss of order: probability that a cell is missing and its neighbours spread into its place."""
    fading: npt.NDArray[np.float32]
    """Loss of the honeycomb's contrast: 0 = dark nucleus in bright cytoplasm, 1 = no difference."""
    unevenness: npt.NDArray[np.float32]
    """Relative standard deviation of brightness from cell to cell."""
    parakeratosis: npt.NDArray[np.float32]
    """Probability that a cell keeps a small bright nucleus."""
    exocytosis: npt.NDArray[np.float32]
    """Inflammatory cells between the keratinocytes, per mm²."""
    vesicles: npt.NDArray[np.float32]
    """Intraepidermal vesicles per mm²."""
    calibre: npt.NDArray[np.float32]
    """Diameter of papillary vessels, µm."""


@dataclass(frozen=True)
class Course:
    """Severity as each group of signs shows it: the truth, the subject's offset and the biological scatter."""

    gaps: npt.NDArray[np.float32]
    order: npt.NDArray[np.float32]
    contrast: npt.NDArray[np.float32]
    infiltrate: npt.NDArray[np.float32]


def draw_course(subject: Subject, severity: npt.NDArray[np.float32], rng: np.random.Generator) -> Course:
    """Let every group of signs follow `severity` (float32 [H, W], 0..4) in its own, slightly wrong way."""

    def stray(scatter: float, offset: float = 0.0) -> npt.NDArray[np.float32]:
        return severity + np.float32(scatter) * smooth_field(severity.shape, _SCATTER_PX, rng) + np.float32(offset)

    return Course(
        stray(_GAP_SCATTER_GRADES, subject.gap_offset),
        stray(_SCATTER_GRADES, subject.order_offset),
        stray(_SCATTER_GRADES),
        stray(_SCATTER_GRADES),
    )


def signs_at(course: Course, rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp]) -> Signs:
    """Strength of all signs at pixels (`rows`, `cols`)."""
    gaps, order, contrast, infiltrate = (
        part[rows, cols] / np.float32(MAX_SEVERITY)
        for part in (course.gaps, course.order, course.contrast, course.infiltrate)
    )
    # order goes first and has the least left to lose at the end
    disorder = 1.0 - np.clip(1.0 - order, 0.0, 1.4) ** 1.4
    late = np.clip(infiltrate, 0.0, 1.2)
    return Signs(
        gap=_f32(-0.1 + 0.6 * gaps + 0.3 * gaps * np.abs(gaps)),
        jitter=_f32(np.clip(0.05 + 0.29 * disorder, 0.03, 0.36)),
        lost=_f32(np.clip(0.25 * disorder, 0.0, 0.3)),
        fading=_f32(np.clip(0.78 * contrast, 0.0, 0.85)),
        unevenness=_f32(0.05 + 0.17 * np.clip(contrast, 0.0, 1.2)),
        parakeratosis=_f32(0.97 * np.clip((infiltrate - 0.44) / 0.54, 0.0, 1.05)),
        exocytosis=_f32(25.0 + 650.0 * late**1.2),
        vesicles=_f32(900.0 * _sigmoid((late - 0.875) / 0.03)),
        calibre=_f32(5.0 + 15.0 * late),
    )


def _sigmoid(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def _f32(x: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    return np.asarray(x, dtype=np.float32)
