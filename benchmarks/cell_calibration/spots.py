"""Synthetic textures of sparse spots, too few in a patch to be certain of its grade; a larger image shows more."""

import csv
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

# mean number of spots in a patch of 128 px; counts of a Poisson process, so that neighbouring grades overlap
SPOTS_PER_PATCH = (6.0, 11.0, 20.0, 36.0, 65.0)
PATCH_AREA_PX = 128 * 128
SPOT_PX = 2.5


def write_spots(folder: Path, images: int, side_px: int, seed: int) -> None:
    """Write a data set of one rater: scores.csv and `images` PNG files of `side_px`, all grades alike often."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(images):
        grade, path = number % len(SPOTS_PER_PATCH), f"images/s{number:05d}.png"
        (folder / path).write_bytes(cv2.imencode(".png", draw_spots(grade, side_px, rng))[1].tobytes())
        rows.append((path, grade, 0.5))
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("path", "score", "um_per_px"), *rows])


def draw_spots(grade: int, side_px: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw one image of a grade, uint8 [side_px, side_px]: bright spots at random places under a camera's noise."""
    # spots beyond the edge reach into the image
    wide = side_px + 32
    impulses = np.zeros((wide, wide), np.float32)
    count = rng.poisson(SPOTS_PER_PATCH[grade] * wide * wide / PATCH_AREA_PX)
    rows, columns = rng.integers(0, wide, (2, count))
    np.add.at(impulses, (rows, columns), 2 * np.pi * SPOT_PX**2 * rng.uniform(50, 110, count).astype(np.float32))
    spots = cv2.GaussianBlur(impulses, (0, 0), SPOT_PX)[16:-16, 16:-16]
    grey = rng.uniform(60, 90) + spots + rng.uniform(4, 10) * rng.standard_normal((side_px, side_px))
    image: npt.NDArray[np.uint8] = np.clip(grey, 0, 255).astype(np.uint8)
    return image
