"""Intraclass correlations of raters who scored the same patches."""

import numpy as np

from trainer.figures import Grades
from trainer.intervals import Figure, Jackknife, correlation_scale, jackknife_figure, least_error


def intraclass_correlations(scores: Grades, jackknife: Jackknife, rows: Grades) -> tuple[Figure | None, Figure | None]:
    """Return ICC(2,1) and ICC(2,k) of Shrout & Fleiss 1979 (Psychological Bulletin 86, 420-428).

    Args:
        scores: int64 [n, k], k raters' scores of n patches.
        jackknife: of all patches.
        rows: int64 [n], which patches those are.

    Returns:
        None for what the scores leave undefined: fewer than two patches, or one score throughout.
    """
    if not len(rows):
        return None, None
    count = scores.shape[1]
    of_patch = scores.sum(1)
    terms = np.column_stack([np.ones(len(rows)), (scores**2).sum(1), of_patch**2, scores])
    patches, squares, patch_squares, *of_rater = jackknife.totals(terms.astype(float), rows).T
    total_square = np.sum(of_rater, axis=0) ** 2
    # sums of squares times patches and raters: whole numbers, so that none comes out a hair off zero
    between_patches = patches * patch_squares - total_square
    between_raters = count * np.square(of_rater).sum(0) - total_square
    rest = patches * count * squares - total_square - between_patches - between_raters
    with np.errstate(invalid="ignore", divide="ignore"):
        patch_mean = between_patches / (patches - 1)
        rater_mean = between_raters / (count - 1)
        rest_mean = rest / ((patches - 1) * (count - 1))
        bias = (rater_mean - rest_mean) / patches
        single = (patch_mean - rest_mean) / (patch_mean + (count - 1) * rest_mean + count * bias)
        spread = patch_mean + bias
        # patches that differ less than chance would make them say nothing of their mean's reliability
        average = np.where(spread > 0, (patch_mean - rest_mean) / spread, np.nan)
    sizes, scale = jackknife.sizes(rows), correlation_scale()
    variance = float(scores.var())
    least = least_error(float((scores.min(1) != scores.max(1)).mean()), sizes) / (2 * variance) if variance else 0.0
    return (
        jackknife_figure(single, sizes, scale, least=least),
        jackknife_figure(average, sizes, scale, least=least / count),
    )
