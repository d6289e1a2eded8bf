"""Texture without learned features: local binary patterns and co-occurrences, told apart by a random forest.

Ojala et al. 2002 (https://doi.org/10.1109/TPAMI.2002.1017623) and Haralick et al. 1973
(https://doi.org/10.1109/TSMC.1973.4309314), both by scikit-image; the forest by scikit-learn.
"""

import numpy as np
import numpy.typing as npt
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern
from sklearn.ensemble import RandomForestClassifier

from trainer.worker_pool import worker_pool

# neighbours and radius in pixels
PATTERNS = ((8, 1), (16, 2), (24, 3))
GREY_LEVELS = 32
DISTANCES_PX = (1, 2, 4, 8)
ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "ASM")
FEATURES = sum(neighbours + 2 for neighbours, _radius in PATTERNS) + len(PROPERTIES) * len(DISTANCES_PX)
TREES = 500
PROCESSES = 2
# patches handed to a process at once: handing over costs little, and a short list still keeps both at work
CHUNK = 32


class LbpGlcmForest:
    """Learns grades from patches, as the networks do.

    Args:
        grades: number K of grades.
        seed: of the forest.
    """

    def __init__(self, grades: int, seed: int) -> None:
        self._grades = grades
        self._forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=PROCESSES)

    def fit(self, pixels: npt.NDArray[np.uint8], grades: npt.NDArray[np.int64]) -> None:
        """Learn from patches.

        Args:
            pixels: uint8 [N, S, S].
            grades: int64 [N], each from 0 to K - 1; not every grade need be there.
        """
        self._forest.fit(texture_features(pixels), grades)

    def probabilities(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """The trees' votes for each grade, float64 [N, K], for uint8 [N, S, S]; none for a grade never shown."""
        shares = np.zeros((len(pixels), self._grades))
        shares[:, self._forest.classes_] = self._forest.predict_proba(texture_features(pixels))
        return shares


def texture_features(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Features of patches, float64 [N, FEATURES] for uint8 [N, S, S], by two processes.

    The processes are spawned: as with any such, the calling script's own work stands below `if __name__ ==
    "__main__"`.
    """
    with worker_pool(PROCESSES) as pool:
        return np.stack(list(pool.map(patch_features, pixels, chunksize=CHUNK)))


def patch_features(patch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Features of one patch, float64 [FEATURES] for uint8 [S, S].

    Shares of the uniform patterns at three scales; then each property of the symmetric co-occurrences of 32 grey levels
    at four distances, as mean over four angles.
    """
    shares = []
    for neighbours, radius in PATTERNS:
        codes = local_binary_pattern(patch, neighbours, radius, "uniform").astype(np.int64)
        shares.append(np.bincount(codes.ravel(), minlength=neighbours + 2) / codes.size)
    pairs = graycomatrix(
        patch // (256 // GREY_LEVELS), DISTANCES_PX, ANGLES, levels=GREY_LEVELS, symmetric=True, normed=True
    )
    return np.concatenate([*shares, *(graycoprops(pairs, name).mean(1) for name in PROPERTIES)])
