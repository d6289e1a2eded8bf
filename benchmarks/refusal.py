"""Measure what the shipped model refuses, on skin that it never saw and on images that are not skin.

    python -m benchmarks.refusal [--frames N] [--work DIR] [--cornea DIR] [--strange DIR]

Draws N phantom frames of a seed that nothing was trained or chosen with, and holds against them white and filtered
noise, the photographs that scikit-image brings with it (grey, whole and in parts), and, where folders are given, real
corneal frames and any other images, in grey. Then makes the phantom frames worse step by step (blur, too little and too
much light) and brings them to other scales. Ends with 1 where a figure misses what is wanted of it. All skin here is
synthetic.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import DEVNULL

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.child_process import exit_with, python_module, run_child
from benchmarks.strange_images import images_in, strange_images
from export.familiarity import auroc
from export.quality_limits import MOST_ERROR, blurred, brighter
from runtime.analysis import Analysis, analyse
from runtime.bundle import DEFAULT_BUNDLE, open_bundle
from runtime.images import EIGHT_BIT, Frame, find_images, picture, read_frame
from runtime.model import Model
from runtime.summary import sum_up

SEED = 1234
LEAST_AUROC, MOST_WITHHELD, MOST_SHIFT = 0.995, 0.02, 0.1
# within the range, both ends among them; and outside
SCALES, OUTSIDE = (0.35, 0.42, 0.6, 0.7), (0.1, 2.5)
# HRT3-RCM: 400 µm by 384 pixels
CORNEA_UM_PER_PX = 400 / 384
FAULTS: dict[str, tuple[Callable[[npt.NDArray[np.uint8], float], npt.NDArray[np.uint8]], tuple[float, ...]]] = {
    "blur, sigma in px": (blurred, (0.5, 1, 1.5, 2, 2.5, 3, 4, 6)),
    "light": (brighter, (0.7, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1)),
    "overexposure": (brighter, (1.5, 2, 3, 4, 5, 6, 8, 12)),
}

Image = npt.NDArray[np.uint8]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=50, help="phantom frames; 50 by default")
    parser.add_argument("--work", type=Path, help="where the frames are kept; a temporary folder by default")
    cornea = os.environ.get("INFLAMAP_REAL_FRAMES")
    parser.add_argument("--cornea", type=Path, default=cornea and Path(cornea), help="folder of real corneal frames")
    parser.add_argument("--strange", type=Path, help="folder of other images, none of which shows skin")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        skin = _unseen_skin(chosen.work or Path(folder), chosen.frames)
        missed = refusals(Model.load(open_bundle(DEFAULT_BUNDLE)), skin, chosen.cornea, chosen.strange)
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    return 1 if missed else 0


def refusals(model: Model, skin: Sequence[Image], cornea: Path | None = None, others: Path | None = None) -> list[str]:
    """Prints the figures; what missed."""
    missed = []
    whole = [_analysed(image, model) for image in skin]
    withheld = float(np.mean([each.withheld for each in whole]))
    cells = float(np.mean([1 - each.valid.mean() for each in whole if each.valid is not None]))
    print(f"unseen phantom skin, {len(skin)} frames: {withheld:.3f} withheld, {cells:.4f} of the cells left out")
    if withheld > MOST_WITHHELD:
        missed.append(f"good skin withheld: {withheld:.3f}, wanted at most {MOST_WITHHELD}")
    familiar, least_px = _unfamiliarity(whole), model.bundle.geometry.patch_px
    strange = {name: [_frame(image, model) for image in images] for name, images in strange_images(least_px).items()}
    if cornea is not None:
        strange["real corneal frames"] = [read_frame(path, um_per_px=CORNEA_UM_PER_PX) for path in find_images(cornea)]
    if others is not None:
        strange[f"images in {others.name}"] = [_frame(image, model) for image in images_in(others, least_px)]
    for name, frames in strange.items():
        found = [analyse(frame, model) for frame in frames]
        scored = sum(not each.withheld for each in found)
        by_cell = auroc(familiar, _unfamiliarity(found))
        print(f"{name}: {scored} of {len(frames)} scored, AUROC by cell {by_cell:.4f}")
        if scored:
            missed.append(f"{name}: {scored} scored, wanted none")
        if by_cell < LEAST_AUROC:
            missed.append(f"{name}: AUROC {by_cell:.4f}, wanted {LEAST_AUROC}")
    missed += _faults(model, skin, whole)
    missed += _scales(model, skin, whole)
    return missed


def _faults(model: Model, skin: Sequence[Image], whole: Sequence[Analysis]) -> list[str]:
    missed = []
    for name, (apply, sizes) in FAULTS.items():
        print(f"{name}: size, mean error in grades of all cells, share of the frames withheld")
        fails = False
        for size in sizes:
            found = [_analysed(apply(image, size), model) for image in skin]
            error = float(np.mean([_cell_error(each, first) for each, first in zip(found, whole, strict=True)]))
            share = float(np.mean([each.withheld for each in found]))
            print(f"  {size:<5g} {error:.3f} {share:.2f}")
            fails |= error > MOST_ERROR
            if fails and share < 1 - MOST_WITHHELD:
                missed.append(f"{name} {size:g}: {share:.2f} withheld where the error is {error:.2f}, wanted all")
    return missed


def _scales(model: Model, skin: Sequence[Image], whole: Sequence[Analysis]) -> list[str]:
    missed = []
    low, high = model.bundle.manifest.um_per_px_range
    model_scale, grading = model.bundle.geometry.um_per_px, model.bundle.manifest.grading
    for scale in (low, *SCALES, high, *OUTSIDE):
        shifts, withheld = [], 0
        for image, first in zip(skin, whole, strict=True):
            factor = model_scale / scale
            # drawn anew at that scale by another method than the one that brings it back
            seen = cv2.resize(
                image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LANCZOS4 if factor > 1 else cv2.INTER_AREA
            )
            found = analyse(Frame(seen, EIGHT_BIT, "", scale, "option"), model)
            score, wanted = sum_up([found], grading), sum_up([first], grading)
            withheld += score is None
            # the shipped model's grades have an order
            if score is not None and wanted is not None and score.mean is not None and wanted.mean is not None:
                shifts.append(abs(score.mean - wanted.mean))
        shift = float(np.mean(shifts)) if shifts else float("nan")
        print(f"{scale:.3f} µm/px: score shifts by {shift:.4f} grades on average, {withheld} of {len(skin)} withheld")
        if low <= scale <= high:
            if not shift <= MOST_SHIFT or withheld > MOST_WITHHELD * len(skin):
                missed.append(
                    f"{scale:.3f} µm/px: shift {shift:.3f}, {withheld} withheld, wanted at most {MOST_SHIFT}, 0"
                )
        elif withheld < len(skin):
            missed.append(f"{scale:.3f} µm/px: {withheld} of {len(skin)} withheld, wanted all")
    return missed


def _analysed(image: Image, model: Model) -> Analysis:
    return analyse(_frame(image, model), model)


def _frame(image: Image, model: Model) -> Frame:
    """The image as if its sampling were the model's."""
    return Frame(image, EIGHT_BIT, "", model.bundle.geometry.um_per_px, "option")


def _unfamiliarity(found: Sequence[Analysis]) -> npt.NDArray[np.float32]:
    """Return the unfamiliarity of all cells of all images, float32 [n]."""
    return np.concatenate([each.map.unfamiliarity.ravel() for each in found if each.map is not None])


def _cell_error(found: Analysis, first: Analysis) -> float:
    assert found.map is not None
    assert first.map is not None
    return float(np.abs(found.map.expected_grade() - first.map.expected_grade()).mean())


def _unseen_skin(work: Path, number: int) -> list[Image]:
    data = work / f"unseen-{number}"
    if not (data / "phantom.json").exists():
        words = ["phantom", data, "--patches", 10, "--frames", number, "--seed", SEED]
        run_child(python_module("runtime.cli", *words), check=True, stdout=DEVNULL)
    return [picture(read_frame(path)) for path in sorted((data / "frames").glob("*.bmp"))]


if __name__ == "__main__":
    exit_with(main)
