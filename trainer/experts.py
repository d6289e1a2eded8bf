"""The experts among themselves and the model with each of them: "as good as an expert" as a figure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from trainer.figures import Figure, Floats, GradeAgreement, Grades, Resampling, pair_terms
from trainer.scores import ScoredPatch, median

# pairs grow with the square of the raters, and beyond a dozen each of them scored little
RATERS_COMPARED = 12
# over fewer patches kappa is near 0 however well two graders agree, and would drag the mean down
PAIR_PATCHES = 10


@dataclass(frozen=True)
class Agreed:
    """How far one grader agrees with another.

    Attributes:
        patches: that both graded.
        accuracy, mad, qwk: see `GradeAgreement`; None where those patches leave it undefined.
    """

    patches: int
    accuracy: Figure | None
    mad: Figure | None
    qwk: Figure | None

    @staticmethod
    def of(first: Grades, second: Grades, draws: Resampling, rows: Grades) -> "Agreed":
        """From two graders' grades int64 [n] of the patches `rows`."""
        found = GradeAgreement.of(draws.totals(pair_terms(first, second), rows))
        return Agreed(len(rows), *map(Figure.where_defined, (found.accuracy, found.mad, found.qwk)))

    def to_json(self) -> dict[str, Any]:
        return {
            "patches": self.patches,
            "accuracy": _document(self.accuracy),
            "mad": _document(self.mad),
            "qwk": _document(self.qwk),
        }


@dataclass(frozen=True)
class Rater:
    """One expert.

    Attributes:
        others: their scores against the median (ties down) of the other raters of the same patch.
        model: the model's grades against their scores.
    """

    others: Agreed
    model: Agreed

    def to_json(self) -> dict[str, Any]:
        others = self.others
        return {
            "patches": others.patches,
            "accuracy": None if others.accuracy is None else round(others.accuracy.value, 6),
            "mad": None if others.mad is None else round(others.mad.value, 6),
            "with_others": others.to_json(),
            "with_model": self.model.to_json(),
        }


@dataclass(frozen=True)
class Pair:
    """Quadratic-weighted kappa of two raters over the patches both scored; None where undefined."""

    raters: tuple[str, str]
    patches: int
    qwk: Figure | None


@dataclass(frozen=True)
class Reliability:
    """Intraclass correlations over patches that all of some raters scored (Shrout & Fleiss 1979).

    Attributes:
        raters: whose scores went in: of those with most patches as many as keep most scores.
        patches: that all of them scored.
        single: ICC(2,1), two-way random, absolute agreement: how far one rater's score can be relied on.
        average: ICC(2,k): the same of the mean of these raters.
        with_model: ICC(2,1) with the model as one more rater.
    """

    raters: tuple[str, ...]
    patches: int
    single: Figure | None
    average: Figure | None
    with_model: Figure | None


@dataclass(frozen=True)
class Experts:
    """What two raters or more say of each other and of the model.

    Means of kappas are over pairs of raters with `PAIR_PATCHES` or more in common, weighted by their number; a pair
    whose kappa, or the model's with one of them, is undefined is left out. The model is held against the same two
    raters on the same patches, one rater at a time: against their median it would have the easier task.

    Attributes:
        raters: by name, those with most patches first.
        pairs: of the `RATERS_COMPARED` raters with most patches, those that share some.
        reliability: of the same raters.
        kappa_among_raters: mean kappa of one rater with another.
        kappa_model_with_raters: mean kappa of the model with one rater.
        difference: the model's less the raters', both of each draw; above 0 the model agrees better with an expert than
            the experts agree with each other.
    """

    raters: dict[str, Rater]
    pairs: tuple[Pair, ...]
    reliability: Reliability
    kappa_among_raters: Figure | None
    kappa_model_with_raters: Figure | None
    difference: Figure | None

    def verdict(self) -> str | None:
        """`difference` in words, without a full stop; None where there is none."""
        found = self.difference
        if found is None:
            return None
        if found.low > 0:
            said = "the model agrees with an expert better than the experts agree with each other"
        elif found.high < 0:
            said = "the model agrees with an expert less well than the experts agree with each other"
        else:
            said = (
                "as far as these patches can tell, the model agrees with an expert as well as the experts agree with "
                "each other"
            )
        return f"{said}: difference in kappa {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"

    def to_json(self) -> dict[str, Any]:
        """The document's `experts`; `raters` stands beside it."""
        reliability = self.reliability
        return {
            "icc": _document(reliability.single),
            "icc_of_mean": _document(reliability.average),
            "icc_with_model": _document(reliability.with_model),
            "icc_raters": list(reliability.raters),
            "icc_patches": reliability.patches,
            "kappa_among_raters": _document(self.kappa_among_raters),
            "kappa_model_with_raters": _document(self.kappa_model_with_raters),
            "difference": _document(self.difference),
            "verdict": self.verdict(),
            "pairs": [
                {"raters": list(pair.raters), "patches": pair.patches, "qwk": _document(pair.qwk)}
                for pair in self.pairs
            ],
        }


def compare_experts(patches: Sequence[ScoredPatch], model: Grades, draws: Resampling) -> Experts | None:
    """Hold the raters against each other and the model against each.

    Args:
        patches: N of them, scored by some of the raters each.
        model: int64 [N], the model's grades.
        draws: of the N patches.

    Returns:
        None where there is but one rater.
    """
    raters = _raters(patches, model, draws)
    if len(raters) < 2:
        return None
    names = tuple(raters)[:RATERS_COMPARED]
    scores = _table(patches, names)
    pairs, among, with_model = _pairs(names, scores, model, draws)
    return Experts(
        raters,
        pairs,
        _reliability(names, scores, model, draws),
        *map(Figure.where_defined, (among, with_model, with_model - among)),
    )


def _raters(patches: Sequence[ScoredPatch], model: Grades, draws: Resampling) -> dict[str, Rater]:
    """Every rater, those with most patches first."""
    scored: dict[str, list[tuple[int, int]]] = defaultdict(list)
    shared: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for row, patch in enumerate(patches):
        for index, (rater, score) in enumerate(zip(patch.raters, patch.scores, strict=True)):
            scored[rater].append((row, score))
            others = patch.scores[:index] + patch.scores[index + 1 :]
            if others:
                shared[rater].append((row, score, median(others)))
    found = {}
    for rater in sorted(scored, key=lambda name: (-len(scored[name]), name)):
        rows, own, others_grades = np.array(shared[rater], np.int64).reshape(-1, 3).T
        all_rows, all_own = np.array(scored[rater], np.int64).T
        found[rater] = Rater(
            Agreed.of(own, others_grades, draws, rows), Agreed.of(model[all_rows], all_own, draws, all_rows)
        )
    return found


def _table(patches: Sequence[ScoredPatch], names: Sequence[str]) -> Grades:
    """Each named rater's score of each patch, int64 [N, R]; -1 where there is none."""
    column = {name: number for number, name in enumerate(names)}
    scores = np.full((len(patches), len(names)), -1, np.int64)
    for row, patch in enumerate(patches):
        for rater, score in zip(patch.raters, patch.scores, strict=True):
            if rater in column:
                scores[row, column[rater]] = score
    return scores


def _pairs(
    names: Sequence[str], scores: Grades, model: Grades, draws: Resampling
) -> tuple[tuple[Pair, ...], Floats, Floats]:
    """Every pair, and the mean kappas among the raters and of the model with them, float64 [1 + R] each."""
    pairs, shared, kappas = [], [], []
    for first, second in combinations(range(len(names)), 2):
        rows = np.flatnonzero((scores[:, [first, second]] >= 0).all(1))
        if not len(rows):
            continue
        graders = (scores[rows, first], scores[rows, second], model[rows])
        terms = np.concatenate([pair_terms(one, other) for one, other in combinations(graders, 2)], axis=1)
        sums = np.stack(np.split(draws.totals(terms, rows), 3, axis=1))
        among, *with_model = GradeAgreement.of(sums).qwk
        pairs.append(Pair((names[first], names[second]), len(rows), Figure.where_defined(among)))
        if len(rows) >= PAIR_PATCHES:
            shared.append(sums[0, :, 0])
            kappas.append([among, np.mean(with_model, axis=0)])
    # pairs x (raters, model) x draws; there may be no pair
    found = np.reshape(kappas, (-1, 2, len(draws.weights)))
    weights = np.where(np.isfinite(found).all(1), np.reshape(shared, (-1, len(draws.weights))), 0.0)
    with np.errstate(invalid="ignore"):
        means = np.nan_to_num(found * weights[:, None]).sum(0) / weights.sum(0)
    return tuple(pairs), means[0], means[1]


def _reliability(names: tuple[str, ...], scores: Grades, model: Grades, draws: Resampling) -> Reliability:
    """Of scores int64 [N, R] with -1 where there is none."""
    complete = np.cumprod(scores >= 0, axis=1, dtype=bool)
    # one rater who scored but a few patches must not take the others' from them; all of them where it makes no odds
    count = max(range(len(names), 1, -1), key=lambda count: count * int(complete[:, count - 1].sum()))
    rows = np.flatnonzero(complete[:, count - 1])
    own = scores[rows, :count]
    single, average = _intraclass_correlations(own, draws, rows)
    with_model, _average = _intraclass_correlations(np.column_stack([own, model[rows]]), draws, rows)
    return Reliability(names[:count], len(rows), single, average, with_model)


def _intraclass_correlations(scores: Grades, draws: Resampling, rows: Grades) -> tuple[Figure | None, Figure | None]:
    """ICC(2,1) and ICC(2,k) of Shrout & Fleiss 1979 (Psychological Bulletin 86, 420-428).

    Args:
        scores: int64 [n, k], k raters' scores of n patches.
        draws: of all patches.
        rows: int64 [n], which patches those are.

    Returns:
        None for what the scores leave undefined: fewer than two patches, or one score throughout.
    """
    count = scores.shape[1]
    of_patch = scores.sum(1)
    terms = np.column_stack([np.ones(len(rows)), (scores**2).sum(1), of_patch**2, scores])
    patches, squares, patch_squares, *of_rater = draws.totals(terms.astype(float), rows).T
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
    return Figure.where_defined(single), Figure.where_defined(average)


def _document(figure: Figure | None) -> dict[str, object] | None:
    return None if figure is None else figure.to_json()
