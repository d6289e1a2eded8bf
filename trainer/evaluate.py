"""How a model agrees with the experts, on patches it never saw."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from runtime.bundle import abbreviate
from runtime.dense_map import Geometry, dense_map
from runtime.engines import Engine, EngineOutput
from runtime.errors import DataError
from runtime.images.patch import middle
from trainer.dataset import Progress, ScoredPatches
from trainer.figures import Figure, agreement, confusion
from trainer.network import MapNetwork, TextureNetwork
from trainer.phantom import oracle_accuracy
from trainer.scores import median

# the phantom's true severities, which no other part of the trainer reads
TRUTH_FILE = "truth.csv"


class TorchEngine:
    """A run's network behind the engines' protocol, so that it goes the one path that every model goes."""

    name, precision = "torch-fp32", "fp32"

    def __init__(self, network: TextureNetwork, stride_px: int) -> None:
        self._network = MapNetwork(network, stride_px).eval()

    def run(self, images: npt.NDArray[np.uint8]) -> EngineOutput:
        """See `Engine.run`."""
        with torch.inference_mode():
            probabilities, unfamiliarity = self._network(torch.from_numpy(images))
        return EngineOutput(probabilities.numpy(), unfamiliarity.numpy())


@dataclass(frozen=True)
class Evaluation:
    """Agreement with the experts.

    Attributes:
        figures: `accuracy`, `mad`, `mad_normalised`, `qwk`, `ece`.
        confusion: int64 [K, K], row the raters' median grade, column the model's.
        grades: names of the grades.
        patches: number of patches.
        subjects: number of subjects.
        synthetic: whether the phantom drew the patches.
        raters: of each rater `patches`, `accuracy` and `mad` against the median of the others; empty where no patch
            has a second rater.
        oracle: accuracy of a grader who knows the true severity and the raters' noise; None but on the phantom.
    """

    figures: dict[str, Figure]
    confusion: npt.NDArray[np.int64]
    grades: tuple[str, ...]
    patches: int
    subjects: int
    synthetic: bool
    raters: dict[str, dict[str, float]]
    oracle: float | None

    def to_json(self) -> dict[str, Any]:
        """The document of `evaluate --json`."""
        counts = self.confusion
        return {
            **{name: figure.to_json() for name, figure in self.figures.items()},
            "patches": self.patches,
            "subjects": self.subjects,
            "synthetic": self.synthetic,
            "oracle": None if self.oracle is None else {"accuracy": round(self.oracle, 6)},
            "raters": self.raters,
            "per_grade": {
                name: {
                    "patches": int(counts[grade].sum()),
                    "recall": round(float(counts[grade, grade] / counts[grade].sum()), 6)
                    if counts[grade].any()
                    else None,
                }
                for grade, name in enumerate(self.grades)
            },
            "confusion": {"grades": list(self.grades), "rows_raters_columns_model": counts.tolist()},
        }


def unseen(data: ScoredPatches, seen: frozenset[str], folder: Path) -> ScoredPatches:
    """The patches whose content is not among `seen`, which holds hashes as `abbreviate` cuts them.

    Raises:
        DataError: none is left.
    """
    rows = [row for row, sha256 in enumerate(data.sha256) if abbreviate(sha256) not in seen]
    if not rows:
        raise DataError(
            f"{folder}: nothing to evaluate on",
            seen=f"all {len(data)} patches were trained or chosen by",
            wanted="patches the run never saw",
        )
    return data.select(rows)


def read_severity(folder: Path, data: ScoredPatches) -> npt.NDArray[np.float64] | None:
    """The true severity of each patch, float64 [N], where `folder` is a phantom with its truth; else None.

    Raises:
        DataError: the truth is damaged or lacks a patch.
    """
    path = folder / TRUTH_FILE
    if not data.synthetic or not path.exists():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            severity_of = {row["path"]: float(row["severity"]) for row in csv.DictReader(file)}
        return np.array([severity_of[patch.path] for patch in data.patches])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: not the truth of these patches", seen=repr(error), next_step="draw the phantom again"
        ) from error


def rater_agreement(data: ScoredPatches) -> dict[str, dict[str, float]]:
    """How far the experts agree among themselves: each against the median (ties down) of the others."""
    apart: dict[str, list[int]] = defaultdict(list)
    for patch in data.patches:
        for index, (rater, score) in enumerate(zip(patch.raters, patch.scores, strict=True)):
            others = patch.scores[:index] + patch.scores[index + 1 :]
            if others:
                apart[rater].append(abs(score - median(others)))
    return {
        rater: {
            "patches": len(found),
            "accuracy": round(found.count(0) / len(found), 6),
            "mad": round(sum(found) / len(found), 6),
        }
        for rater, found in sorted(apart.items())
    }


def evaluate(
    data: ScoredPatches,
    engine: Engine,
    geometry: Geometry,
    grades: tuple[str, ...],
    *,
    severity: npt.NDArray[np.float64] | None,
    progress: Progress,
) -> Evaluation:
    """Score the middle of every patch by the one dense map and compare with the raters.

    Args:
        data: patches the model never saw.
        engine: the model.
        geometry: the model's geometry.
        grades: the model's grades, of which the data set's are the first.
        severity: float64 [N], the true severity of each patch where a phantom drew it, else None.
        progress: told (label, done, total).
    """
    rows = []
    for done, pixels in enumerate(data.pixels):
        patch = np.ascontiguousarray(middle(pixels, geometry.patch_px))
        rows.append(dense_map(patch, engine, geometry).probabilities[:, 0, 0])
        progress("scoring patches", done + 1, len(data))
    probabilities, truth = np.stack(rows), data.median_grades()
    subjects = [patch.subject for patch in data.patches]
    return Evaluation(
        agreement(probabilities, truth, subjects),
        confusion(probabilities, truth),
        grades,
        len(data),
        len(set(subjects)),
        data.synthetic,
        rater_agreement(data),
        None if severity is None else oracle_accuracy(severity),
    )
