"""The worst patches, as pictures with what the experts and the model said of each."""

import base64
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from trainer.evaluate import Evaluation
from trainer.grade_scale import GradeScale

MOST_PICTURES = 12
# a dozen of these stay below 2 MB even where they are noise
MOST_PICTURE_PX = 256
MOST_SCORES = 6
# below it a picture is enlarged so far that smoothing would invent what the model never saw
FEWEST_SMOOTH_PX = 80


@dataclass(frozen=True)
class WorstPatch:
    """A patch that the model grades otherwise than the raters.

    Attributes:
        source: the picture as a data URI.
        pixelated: whether it is to be enlarged pixel by pixel.
        path, subject: as written in the data set; subject is None where the data set names none.
        corner: top-left pixel (x, y) of the patch where the file is a whole frame.
        width_px, height_px: of the patch at the model's scale.
        scores: (rater, grade) of the first raters; a rater without a name is "".
        more_scores: number of the other raters.
        raters_grade: by their consensus.
        said: (grade, probability) of the model's likeliest grades, its own grade first.
        expected: the model's expected grade, where grades are ordered: on their own scale where they are consecutive
            numbers, else an index into them.
        raters_share: the probability the model gave to the raters' grade.
    """

    source: str
    pixelated: bool
    path: str
    subject: str | None
    corner: tuple[int, int] | None
    width_px: int
    height_px: int
    scores: tuple[tuple[str, str], ...]
    more_scores: int
    raters_grade: str
    said: tuple[tuple[str, float], ...]
    expected: float | None
    raters_share: float


def worst_patches(evaluation: Evaluation) -> tuple[WorstPatch, ...]:
    """Up to a dozen of the patches graded otherwise than by the raters, the furthest off first.

    Where grades are ordered that is the distance from the raters' median to the model's expected grade, else the
    confidence in the wrong grade.
    """
    probabilities, truth = evaluation.probabilities.astype(np.float64), evaluation.data.consensus_grades()
    expected = probabilities @ np.arange(probabilities.shape[1]) if evaluation.ordered else None
    distance = probabilities.max(1) if expected is None else np.abs(expected - truth)
    wrong = np.flatnonzero(probabilities.argmax(1) != truth)
    worst = wrong[np.argsort(-distance[wrong], kind="stable")][:MOST_PICTURES]
    lowest = GradeScale(evaluation.grades).lowest or 0
    return tuple(
        _worst_patch(
            evaluation, int(row), probabilities[row], None if expected is None else lowest + float(expected[row])
        )
        for row in worst
    )


def _worst_patch(
    evaluation: Evaluation, row: int, probabilities: npt.NDArray[np.float64], expected: float | None
) -> WorstPatch:
    patch, pixels, grades = evaluation.data.patches[row], evaluation.data.pixels[row], evaluation.grades
    likeliest = np.argsort(-probabilities, kind="stable")[:2]
    scores = [(rater, grades[score]) for rater, score in zip(patch.raters, patch.scores, strict=True)]
    return WorstPatch(
        source=_embedded(pixels),
        pixelated=max(pixels.shape) < FEWEST_SMOOTH_PX,
        path=patch.path,
        subject=patch.subject if patch.has_subject else None,
        corner=patch.corner,
        width_px=pixels.shape[1],
        height_px=pixels.shape[0],
        scores=tuple(scores[:MOST_SCORES]),
        more_scores=max(0, len(scores) - MOST_SCORES),
        raters_grade=grades[patch.grade],
        said=tuple((grades[grade], float(probabilities[grade])) for grade in likeliest),
        expected=expected,
        raters_share=float(probabilities[patch.grade]),
    )


def _embedded(pixels: npt.NDArray[np.uint8]) -> str:
    """A picture as an address of its own: PNG, for JPEG's marks would be taken for texture."""
    scale = min(1.0, MOST_PICTURE_PX / max(pixels.shape))
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in pixels.shape[::-1])
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    data = cv2.imencode(".png", np.ascontiguousarray(pixels))[1]
    return f"data:image/png;base64,{base64.b64encode(data.tobytes()).decode()}"
