"""The score of an image: what the cells of its maps come to."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from runtime.analysis import Analysis
from runtime.dense_map import InflammationMap
from runtime.grading import Grading
from runtime.result import Score, WorstRegion

# side of the region that is looked for, about; some hundred cells of skin
REGION_UM = 100.0

# slice, map, valid cells
_Scored = tuple[int, InflammationMap, npt.NDArray[np.bool_]]


def sum_up(analyses: Sequence[Analysis], grading: Grading) -> Score | None:
    """The score over the valid cells of all frames that are not withheld; None where all are.

    A frame that is withheld counts among the cells left out, if it has any. Where the grades have no order, the score
    has no mean and no worst region, and its grade is the class that is the most probable one of most cells; of classes
    with equally many the one that is more probable over all cells, then the first.
    """
    scored = [
        (slice_, *counted)
        for slice_, analysis in enumerate(analyses)
        if (counted := counted_cells(analysis)) is not None
    ]
    if not scored:
        return None
    counts = np.bincount(
        np.concatenate([found.grade()[valid] for _, found, valid in scored]), minlength=len(grading.names)
    )
    mean, worst = _mean_and_worst(scored, grading.lowest, stack=len(analyses) > 1) if grading.ordered else (None, None)
    return Score(
        mean=mean,
        grade=_class_with_most_area(counts, scored) if mean is None else round(mean),
        area_fraction={name: float(count / counts.sum()) for name, count in zip(grading.names, counts, strict=True)},
        # frames of one file are alike in size
        withheld_fraction=float(1 - counts.sum() / (scored[0][2].size * len(analyses))),
        worst_region=worst,
    )


def counted_cells(analysis: Analysis) -> tuple[InflammationMap, npt.NDArray[np.bool_]] | None:
    """A frame's map and its valid cells, bool [h, w]; None where the frame is withheld or has no valid cell."""
    if analysis.withheld or analysis.map is None or analysis.valid is None or not analysis.valid.any():
        return None
    return analysis.map, analysis.valid


def _class_with_most_area(counts: npt.NDArray[np.intp], scored: Sequence[_Scored]) -> int:
    """Its index, from the number of cells of each class, [K], and the maps, which decide between equals."""
    largest = np.flatnonzero(counts == counts.max())
    if len(largest) == 1:
        return int(largest[0])
    total = sum(found.probabilities[largest][:, valid].sum(axis=1, dtype=np.float64) for _, found, valid in scored)
    return int(largest[np.argmax(total)])


def _mean_and_worst(scored: Sequence[_Scored], lowest: int, *, stack: bool) -> tuple[float, WorstRegion]:
    """Return the mean expected grade, and the worst region, which names its slice where the file is a stack.

    Args:
        scored: maps of the file.
        lowest: number of the lowest grade.
        stack: whether the file is a stack.
    """
    expected = np.concatenate([found.expected_grade()[valid] for _, found, valid in scored])
    regions = [_worst_region(found, valid, slice_) for slice_, found, valid in scored]
    worst = max(regions, key=lambda region: region.mean)
    worst = replace(worst, mean=worst.mean + lowest, slice=worst.slice if stack else None)
    return float(expected.mean(dtype=np.float64)) + lowest, worst


def _worst_region(found: InflammationMap, valid: npt.NDArray[np.bool_], slice_: int) -> WorstRegion:
    """The square of about `REGION_UM` with the highest mean grade; half of its cells are valid, at least. The mean is
    counted from 0."""
    geometry = found.geometry
    side = max(1, min(round(REGION_UM / geometry.cell_um), *valid.shape))
    sums, counts = (
        _window_sums(np.where(valid, values, 0), side) for values in (found.expected_grade(), np.ones(valid.shape))
    )
    enough = counts * 2 >= min(side * side, counts.max())
    means = np.where(enough, sums / np.maximum(counts, 1), -1.0)
    row, column = (int(at) for at in np.unravel_index(int(means.argmax()), means.shape))
    x_um, y_um = (geometry.origin_um + (at + (side - 1) / 2) * geometry.cell_um for at in (column, row))
    return WorstRegion(float(means[row, column]), x_um, y_um, side * geometry.cell_um, slice_)


def _window_sums(values: npt.NDArray[np.floating], side: int) -> npt.NDArray[np.float64]:
    """Sums over all squares of side cells: float64 [h - side + 1, w - side + 1]."""
    sums = cv2.integral(values.astype(np.float64))
    below, above = sums[side:], sums[:-side]
    inside: npt.NDArray[np.float64] = below[:, side:] - above[:, side:] - below[:, :-side] + above[:, :-side]
    return inside
