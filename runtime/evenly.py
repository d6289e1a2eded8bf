"""Some of a list, from all over it: it may be sorted by subject or grade."""

import numpy as np
import numpy.typing as npt


def evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    """Places of `most` of `count` things at even distances, first and last among them; all where there are no more.

    Args:
        count: at least 1.
        most: at least 1.
    """
    return np.unique(np.linspace(0, count - 1, most).astype(np.int64))
