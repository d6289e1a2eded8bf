"""Frames of known truth, and confidence against accuracy over their cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.dense_map import Geometry, InflammationMap
from runtime.images import read_frame
from trainer.parts import Part
from trainer.phantom import grade_distribution

Floats = npt.NDArray[np.float64]
TILES_PER_SIDE = 5
BINS = 10


@dataclass(frozen=True)
class KnownFrame:
    """A frame with the truth of each cell of its map.

    Attributes:
        pixels: uint8 [H, W].
        truth: float64 [h, w, K], probability that the median grade of a cell is each of the grades.
        inside: bool [h, w], cells that lie within one image of a mosaic, or all cells of a single image.
    """

    pixels: npt.NDArray[np.uint8]
    truth: Floats
    inside: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy over n cells.

    Attributes:
        counts: float64 [BINS], cells of each tenth of the confidence.
        confidence, right: float64 [BINS], their confidence and the probability that they are right, summed.
    """

    counts: Floats
    confidence: Floats
    right: Floats

    @staticmethod
    def of(maps: Sequence[InflammationMap], frames: Sequence[KnownFrame], *, inside: bool) -> "Reliability":
        """Sum over the cells of all frames whose `inside` is as given."""
        confidence, right = [], []
        for found, frame in zip(maps, frames, strict=True):
            chosen = frame.inside == inside
            confidence.append(found.confidence()[chosen].astype(np.float64))
            right.append(np.take_along_axis(frame.truth, found.grade()[..., None], -1)[..., 0][chosen])
        sure, correct = np.concatenate(confidence), np.concatenate(right)
        bins = np.minimum((sure * BINS).astype(int), BINS - 1)
        counts, confidences, rights = (
            np.bincount(bins, weights, BINS).astype(np.float64) for weights in (np.ones_like(sure), sure, correct)
        )
        return Reliability(counts, confidences, rights)

    @property
    def accuracy(self) -> float:
        """Expected share of cells whose grade is the median grade."""
        return float(self.right.sum() / self.counts.sum())

    @property
    def mean_confidence(self) -> float:
        return float(self.confidence.sum() / self.counts.sum())

    @property
    def ece(self) -> float:
        """Expected calibration error over tenths."""
        return float(np.abs(self.confidence - self.right).sum() / self.counts.sum())

    def to_json(self) -> dict[str, Any]:
        """Return the figures, and a row for each tenth that holds cells."""
        rows = zip(range(BINS), self.counts, self.confidence, self.right, strict=True)
        return {
            "cells": int(self.counts.sum()),
            "accuracy": round(self.accuracy, 4),
            "confidence": round(self.mean_confidence, 4),
            "ece": round(self.ece, 4),
            "bins": [
                {
                    "from": number / BINS,
                    "share": round(float(count / self.counts.sum()), 4),
                    "confidence": round(float(sure / count), 4),
                    "accuracy": round(float(right / count), 4),
                }
                for number, count, sure, right in rows
                if count
            ],
        }


def mosaics(held_out: Part, grades: int, geometry: Geometry) -> list[KnownFrame]:
    """Lay held-out images of one size side by side; a cell has the grade of the image at its centre.

    A frame is `TILES_PER_SIDE` images wide and high; images that fill no frame are left out.
    """
    side = held_out.pixels[0].shape[0]
    per_frame = TILES_PER_SIDE**2
    length = TILES_PER_SIDE * side
    starts = np.arange(geometry.cells(length)) * geometry.stride_px
    tile_of = (starts + geometry.patch_px // 2) // side
    alone = starts % side <= side - geometry.patch_px
    frames = []
    for first in range(0, len(held_out) - per_frame + 1, per_frame):
        rows = np.arange(first, first + per_frame).reshape(TILES_PER_SIDE, TILES_PER_SIDE)
        pixels = np.block([[held_out.pixels[row] for row in line] for line in rows])
        graded = held_out.grades.numpy()[rows][np.ix_(tile_of, tile_of)]
        frames.append(KnownFrame(pixels, np.eye(grades)[graded], np.logical_and.outer(alone, alone)))
    return frames


def phantom_frames(folder: Path, geometry: Geometry) -> list[KnownFrame]:
    """Read phantom frames; the truth of a cell is what raters would say of the mean severity of its patch."""
    frames = []
    for path in sorted(folder.glob("*.bmp")):
        severity = _patch_means(np.load(path.with_suffix(".severity.npy")), geometry)
        truth = grade_distribution(severity)
        pixels = read_frame(path).pixels.astype(np.uint8)
        frames.append(KnownFrame(pixels, truth, np.ones(severity.shape, np.bool_)))
    return frames


def _patch_means(values: npt.NDArray[np.float32], geometry: Geometry) -> Floats:
    """Return the mean over the patch of each cell: float64 [h, w] of [H, W]."""
    sums = np.pad(values.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = (np.arange(geometry.cells(length)) * geometry.stride_px for length in values.shape)
    corners = [
        sums[np.ix_(rows + down, columns + right)]
        for down, right in ((0, 0), (0, geometry.patch_px), (geometry.patch_px, 0), (geometry.patch_px,) * 2)
    ]
    means: Floats = (corners[3] - corners[2] - corners[1] + corners[0]) / geometry.patch_px**2
    return means
