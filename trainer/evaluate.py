"""How a model agrees with the experts, on patches it never saw."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.bundle import abbreviate
from runtime.dense_map import Geometry
from runtime.engines import Engine
from runtime.errors import DataError
from trainer.dataset import Progress, ScoredPatches
from trainer.experts import Experts, compare_experts
from trainer.figures import agreement, confusion, recall
from trainer.intervals import Figure, Jackknife, figure_document, jackknife_figure, least_error, positive_scale
from trainer.network import TextureNetwork
from trainer.phantom import grade_distribution, oracle_agreement
from trainer.predict import predict_with_engine
from trainer.scores import consensus_name
from trainer.split import person
from trainer.torch_engine import TorchEngine

# the phantom's true severities, which no other part of the trainer reads
TRUTH_FILE = "truth.csv"
# keys of `evaluate --json` that mean nothing without an order of the grades: distances, weighted kappas, intraclass
# correlations, and what is concluded from them
OF_ORDER = frozenset(
    {
        *("mad", "mad_normalised", "qwk"),
        *("kappa_among_raters", "kappa_model_with_raters", "difference", "verdict"),
        *("icc", "icc_of_mean", "icc_with_model"),
    }
)


@dataclass(frozen=True)
class Evaluation:
    """Agreement with the experts.

    Attributes:
        figures: `accuracy`, `mad`, `mad_normalised`, `qwk`, `ece`; None where the patches leave one undefined.
        recall: by name of each grade the share of its patches that the model gave it; None without patches.
        confusion: int64 [K, K], row the raters' grade, column the model's.
        grades: names of the K grades.
        data: the N scored patches; `ordered` says whether distances and weighted kappas mean anything.
        probabilities: float32 [N, K], the model's for each image, see `trainer.predict.predict_with_engine`.
        experts: the raters among themselves and the model with each; None where there is but one.
        shared_subjects: how many of the subjects also have patches that the model was trained or chosen by; None where
            the patches name no subject.
        oracle: `accuracy`, `mad`, `mad_normalised`, `qwk` to expect of a grader who knows the true severity and the
            raters' noise; None but on the phantom.
        accuracy_of_oracle: the model's accuracy as a share of the oracle's; None but on the phantom.
    """

    figures: dict[str, Figure | None]
    recall: dict[str, Figure | None]
    confusion: npt.NDArray[np.int64]
    grades: tuple[str, ...]
    data: ScoredPatches
    probabilities: npt.NDArray[np.float32]
    experts: Experts | None
    shared_subjects: int | None
    oracle: dict[str, float] | None
    accuracy_of_oracle: Figure | None

    @property
    def ordered(self) -> bool:
        """Whether the grades are steps of one scale; False for classes without an order."""
        return self.data.ordered

    @property
    def consensus(self) -> str:
        """Name of the rule by which several raters' scores are combined: median or majority."""
        return consensus_name(ordered=self.ordered)

    @property
    def patches(self) -> int:
        """Number of patches."""
        return len(self.data)

    @property
    def subjects(self) -> int:
        """Number of subjects."""
        return len({patch.subject for patch in self.data.patches})

    @property
    def synthetic(self) -> bool:
        """Whether the phantom drew the patches."""
        return self.data.synthetic

    def optimism(self) -> str | None:
        """Return why the figures are, or may be, better than those of new subjects; None where they are not."""
        if self.shared_subjects is None:
            return (
                "the data names no subjects: where patches of one person stand on both sides of the split, these "
                "figures are optimistic"
            )
        if not self.shared_subjects:
            return None
        return (
            f"optimistic: {self.shared_subjects} of the {self.subjects} subjects also have patches that the model was "
            "trained or chosen by; for a person it never saw less is to be expected (train --split subject measures "
            "that)"
        )

    def verdict(self) -> str | None:
        """Return how the model compares with an expert, for the subjects it was held against.

        Returns:
            None where that is unknown, and without an order: it is a difference of weighted kappas.
        """
        found = self.experts.verdict() if self.experts and self.ordered else None
        if found is None:
            return found
        if self.shared_subjects == 0:
            return found if self.subjects > 1 else f"for one subject alone, {found}"
        if self.shared_subjects is None:
            return f"if no person stands on both sides of the split, which the data does not say, {found}"
        return f"on subjects that it was also trained or chosen by, and so optimistically, {found}"

    def to_json(self) -> dict[str, Any]:
        """The document of `evaluate --json`, without NaN; what rests on an order of the grades is null without one."""
        experts = self.experts
        return {
            **{
                name: figure_document(figure if self.ordered or name not in OF_ORDER else None)
                for name, figure in self.figures.items()
            },
            "patches": self.patches,
            "subjects": None if self.shared_subjects is None else self.subjects,
            "synthetic": self.synthetic,
            "ordered": self.ordered,
            "oracle": self._oracle_document(),
            "split": {
                "shared_subjects": self.shared_subjects,
                "optimistic": None if self.shared_subjects is None else self.shared_subjects > 0,
                "note": self.optimism(),
            },
            "experts": None
            if experts is None
            else self._without_order({**experts.to_json(), "verdict": self.verdict()}),
            "raters": {}
            if experts is None
            else {name: self._without_order(rater.to_json()) for name, rater in experts.raters.items()},
            "per_grade": {
                name: {
                    "patches": int(self.confusion[grade].sum()),
                    "recall": None if recall is None else round(recall.value, 6),
                    "ci95": None if recall is None else [round(recall.low, 6), round(recall.high, 6)],
                }
                for grade, (name, recall) in enumerate(self.recall.items())
            },
            "confusion": {"grades": list(self.grades), "rows_raters_columns_model": self.confusion.tolist()},
        }

    def _without_order(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document as it is where grades have an order, else with null for what rests on one."""
        return document if self.ordered else _nulled(document)

    def _oracle_document(self) -> dict[str, Any] | None:
        if self.oracle is None or self.accuracy_of_oracle is None:
            return None
        rounded = self._without_order({name: round(value, 6) for name, value in self.oracle.items()})
        return {**rounded, "accuracy_of_oracle": self.accuracy_of_oracle.to_json()}


def _nulled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: None if key in OF_ORDER else _nulled(each) for key, each in value.items()}
    return [_nulled(each) for each in value] if isinstance(value, list) else value


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


def evaluate_network(
    network: TextureNetwork,
    data: ScoredPatches,
    *,
    trained_subjects: frozenset[str] = frozenset(),
    severity: npt.NDArray[np.float64] | None,
    progress: Progress,
) -> Evaluation:
    """`evaluate` a run's own network."""
    config = network.config
    engine = TorchEngine(network, config.total_stride)
    return evaluate(
        data,
        engine,
        config.geometry,
        config.grades,
        trained_subjects=trained_subjects,
        severity=severity,
        progress=progress,
    )


def evaluate(
    data: ScoredPatches,
    engine: Engine,
    geometry: Geometry,
    grades: tuple[str, ...],
    *,
    trained_subjects: frozenset[str] = frozenset(),
    severity: npt.NDArray[np.float64] | None,
    progress: Progress,
) -> Evaluation:
    """Score every image by its patches, each through the dense map, and compare with the raters.

    The experts scored the whole image: where it is larger than a patch, the logits of patches from all over it are
    averaged, at the same positions for a run and its bundles.

    Args:
        data: patches the model never saw, ordered as the model's grades are.
        engine: the model.
        geometry: the model's geometry.
        grades: the model's grades, of which the data set's are the first.
        trained_subjects: those with patches that the model was trained or chosen by, as `person` spells them.
        severity: float64 [N], the true severity of each patch where a phantom drew it, else None.
        progress: told (label, done, total).
    """
    probabilities = predict_with_engine(
        data.pixels, engine, geometry, lambda done: progress("scoring patches", done, len(data))
    )
    truth = data.consensus_grades()
    jackknife = Jackknife.of([patch.subject for patch in data.patches])
    return Evaluation(
        figures=agreement(probabilities, truth, jackknife),
        recall=dict(zip(grades, recall(probabilities, truth, jackknife), strict=True)),
        confusion=confusion(probabilities, truth),
        grades=grades,
        data=data,
        probabilities=probabilities,
        experts=compare_experts(data.patches, probabilities.argmax(1), jackknife, len(grades)),
        shared_subjects=_shared_subjects(data, trained_subjects),
        oracle=None if severity is None else oracle_agreement(severity, ordered=data.ordered),
        accuracy_of_oracle=None
        if severity is None
        else _share_of_oracle(probabilities, truth, grade_distribution(severity, ordered=data.ordered), jackknife),
    )


def _shared_subjects(data: ScoredPatches, trained: frozenset[str]) -> int | None:
    """Return how many subjects of the data the model was trained on, None where the data names none."""
    named = {patch.subject for patch in data.patches if patch.has_subject}
    return sum(person(subject) in trained for subject in named) if named else None


def _share_of_oracle(
    probabilities: npt.NDArray[np.float32],
    truth: npt.NDArray[np.int64],
    expected: npt.NDArray[np.float64],
    jackknife: Jackknife,
) -> Figure | None:
    """Return the model's accuracy as a share of the oracle's, both over the same patches.

    `expected` is the distribution of the raters' grade of each patch, float64 [N, K], of which the oracle knows the
    most probable grade. How hard the patches are does not widen the interval.
    """
    right = probabilities.argmax(1) == truth
    model, oracle = jackknife.totals(np.column_stack([right, expected.max(-1)])).T
    with np.errstate(invalid="ignore"):
        shares = model / oracle
    sizes = jackknife.sizes()
    # the largest possible share: every patch right
    highest = len(truth) / float(oracle[0])
    least = least_error(1 - float(model[0]) / len(truth), sizes) * highest
    return jackknife_figure(shares, sizes, positive_scale(highest), least=least)
