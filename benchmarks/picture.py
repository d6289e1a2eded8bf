"""The README's picture: a frame, its map and its overlay side by side, from the files `inflamap score` wrote.

python -m benchmarks.picture FRAME RESULTS OUT.jpg
"""

import argparse
from pathlib import Path, PurePath

import cv2
import numpy as np
import numpy.typing as npt
import tifffile

from benchmarks.child_process import exit_with
from runtime.grading import Grading
from runtime.images import picture, read_frame
from runtime.outputs import read_record, result_files
from runtime.overlay.palette import class_colour

HEIGHT_PX = 620
GAP_PX = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frame", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    relative = PurePath(chosen.frame.name)
    record, files = read_record(chosen.results, relative), result_files(relative)
    if record is None or record["map"] is None:
        parser.error(f"{chosen.results} holds no map of {chosen.frame.name}: score it first")
    frame = np.dstack([picture(read_frame(chosen.frame))] * 3)
    overlay = np.asarray(cv2.imread(str(chosen.results / files.overlay), cv2.IMREAD_COLOR), np.uint8)
    grade = tifffile.imread(chosen.results / files.map)[0]
    grading = Grading(tuple(record["score"]["area_fraction"]), record["score"]["mean"] is not None)
    row = side_by_side([frame, _coloured(grade, grading), overlay])
    # a page loads it; nothing is measured on it
    cv2.imwrite(str(chosen.out), row, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return 0


def side_by_side(pictures: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """BGR pictures of any size in a row on white, all brought to one height."""
    gap = np.full((HEIGHT_PX, GAP_PX, 3), 255, np.uint8)
    row: list[npt.NDArray[np.uint8]] = []
    for one in pictures:
        width = round(one.shape[1] * HEIGHT_PX / one.shape[0])
        # a map's few cells stay the squares they are
        shrinks = one.shape[0] > HEIGHT_PX
        method = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
        row += [cv2.resize(one, (width, HEIGHT_PX), interpolation=method), gap]
    return np.hstack(row[:-1])


def _coloured(grade: npt.NDArray[np.float32], grading: Grading) -> npt.NDArray[np.uint8]:
    """Expected grade [h, w] in Viridis, or class in its colour; black where it was withheld."""
    coloured: npt.NDArray[np.uint8]
    grades = len(grading.names)
    if grading.ordered:
        level = np.nan_to_num((grade - np.float32(grading.lowest)) / (grades - 1) * 255).astype(np.uint8)
        coloured = cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS)
    else:
        table = np.array([class_colour(index)[::-1] for index in range(grades)], np.uint8)
        coloured = table[np.nan_to_num(grade).astype(np.intp)]
    coloured[np.isnan(grade)] = 0
    return coloured


if __name__ == "__main__":
    exit_with(main)
