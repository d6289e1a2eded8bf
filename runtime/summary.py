"""The score of an image: what the cells of its maps come to."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from runtime.analysis import Analysis
from runtime.dense_map import InflammationMap
from runtime.result import Score, WorstRegion

# side of the region that is looked for, about; some hundred cells of skin
REGION_UM = 100.0


def sum_up(analyses: Sequence[Analysis], grades: tuple[str, ...]) -> Score | None:
    """The score over the valid cells of all frames that are not withheld; None where all are.

    A frame that is withheld counts among the cells left out, if it has any.
    """
    scored = [
        (slice_, analysis.map, analysis.valid)
        for slice_, analysis in enumerate(analyses)
        if not analysis.withheld and analysis.map is not None and analysis.valid is not None
    ]
    if not scored:
        return None
    expected = np.concatenate([found.expected_grade()[valid] for _, found, valid in scored])
    counts = np.bincount(np.concatenate([found.grade()[valid] for _, found, valid in scored]), minlength=len(grades))
    mean = float(expected.mean(dtype=np.float64))
    # frames of one file are alike in size
    cells = scored[0][2].size * len(analyses)
    regions = [_worst_region(found, valid, slice_) for slice_, found, valid in scored]
    worst = max(regions, key=lambda region: region.mean)
    return Score(
        mean=mean,
        grade=round(mean),
        area_fraction={name: float(count / counts.sum()) for name, count in zip(grades, counts, strict=True)},
        withheld_fraction=float(1 - expected.size / cells),
        worst_region=worst if len(analyses) > 1 else WorstRegion(worst.mean, worst.x_um, worst.y_um, worst.size_um),
    )


def _worst_region(found: InflammationMap, valid: npt.NDArray[np.bool_], slice_: int) -> WorstRegion:
    """The square of about `REGION_UM` with the highest mean grade; half of its cells are valid, at least."""
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
