"""The experts among themselves and the model with each of them: "as good as an expert" as a figure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from trainer.figures import (
    AgreementFigures,
    Floats,
    GradeAgreement,
    Grades,
    least_kappa_error,
    pair_terms,
)
from trainer.intervals import (
    Figure,
    Jackknife,
    correlation_scale,
    difference_scale,
    jackknife_figure,
    least_error,
)
from trainer.intraclass import intraclass_correlations
from trainer.scores import ScoredPatch, consensus

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
    def of(first: Grades, second: Grades, jackknife: Jackknife, rows: Grades, grades: int) -> "Agreed":
        """Return the agreement of two graders' grades int64 [n] of the patches `rows`, of `grades` grades."""
        found = GradeAgreement.of(jackknife.totals(pair_terms(first, second), rows))
        figures = AgreementFigures.of(found, jackknife.sizes(rows), grades)
        return Agreed(len(rows), figures.accuracy, figures.mad, figures.qwk)

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
        others: their scores against the consensus of the other raters of the same patch, see
            `trainer.scores.consensus`.
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
    raters on the same patches, one rater at a time: against their consensus it would have the easier task.

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


def compare_experts(patches: Sequence[ScoredPatch], model: Grades, jackknife: Jackknife, grades: int) -> Experts | None:
    """Compare the raters with each other and the model with each.

    Args:
        patches: N of them, scored by some of the raters each.
        model: int64 [N], the model's grades.
        jackknife: of the N patches.
        grades: K, the number of grades.

    Returns:
        None where there is but one rater.
    """
    raters = _raters(patches, model, jackknife, grades)
    if len(raters) < 2:
        return None
    names = tuple(raters)[:RATERS_COMPARED]
    scores = _table(patches, names)
    pairs, kappas = _pairs(names, scores, model, jackknife)
    return Experts(raters, pairs, _reliability(names, scores, model, jackknife), *_mean_kappas(kappas))


def _raters(patches: Sequence[ScoredPatch], model: Grades, jackknife: Jackknife, grades: int) -> dict[str, Rater]:
    """Return every rater, those with most patches first."""
    scored: dict[str, list[tuple[int, int]]] = defaultdict(list)
    shared: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for row, patch in enumerate(patches):
        for index, (rater, score) in enumerate(zip(patch.raters, patch.scores, strict=True)):
            scored[rater].append((row, score))
            others = patch.scores[:index] + patch.scores[index + 1 :]
            if others:
                shared[rater].append((row, score, consensus(others, ordered=patch.ordered)))
    found = {}
    for rater in sorted(scored, key=lambda name: (-len(scored[name]), name)):
        rows, own, others_grades = np.array(shared[rater], np.int64).reshape(-1, 3).T
        all_rows, all_own = np.array(scored[rater], np.int64).T
        found[rater] = Rater(
            Agreed.of(own, others_grades, jackknife, rows, grades),
            Agreed.of(model[all_rows], all_own, jackknife, all_rows, grades),
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


@dataclass(frozen=True)
class _PairKappas:
    """The kappas of two raters and of the model with them, over the patches both raters scored.

    Attributes:
        patches: float64 [1 + U], how many, over all and without each unit.
        sizes: float64 [U], patches of each unit.
        among: float64 [1 + U], kappa of the two raters.
        with_model: float64 [1 + U], mean kappa of the model with each of them.
        least_among, least_with_model: least standard errors of the two.
    """

    patches: Floats
    sizes: Floats
    among: Floats
    with_model: Floats
    least_among: float
    least_with_model: float


def _pairs(
    names: Sequence[str], scores: Grades, model: Grades, jackknife: Jackknife
) -> tuple[tuple[Pair, ...], list[_PairKappas]]:
    """Return every pair that shares patches, and the kappas of those that share enough."""
    pairs, kappas = [], []
    for first, second in combinations(range(len(names)), 2):
        rows = np.flatnonzero((scores[:, [first, second]] >= 0).all(1))
        if not len(rows):
            continue
        graders = (scores[rows, first], scores[rows, second], model[rows])
        sizes = jackknife.sizes(rows)
        totals = [jackknife.totals(pair_terms(one, other), rows) for one, other in combinations(graders, 2)]
        found = [GradeAgreement.of(sums) for sums in totals]
        least = [least_kappa_error(each, least_error(1 - float(each.accuracy[0]), sizes)) for each in found]
        qwk = jackknife_figure(found[0].qwk, sizes, correlation_scale(), least=least[0])
        pairs.append(Pair((names[first], names[second]), len(rows), qwk))
        if len(rows) >= PAIR_PATCHES:
            with_model = (found[1].qwk + found[2].qwk) / 2
            kappas.append(_PairKappas(totals[0][:, 0], sizes, found[0].qwk, with_model, least[0], max(least[1:])))
    return tuple(pairs), kappas


def _mean_kappas(pairs: Sequence[_PairKappas]) -> tuple[Figure | None, Figure | None, Figure | None]:
    """Return the mean kappa among the raters, of the model with them, and the model's less the raters'.

    Pairs are weighted by their patches; a pair counts where both kappas are defined over all patches.
    """
    pairs = [pair for pair in pairs if np.isfinite(pair.among[0]) and np.isfinite(pair.with_model[0])]
    if not pairs:
        return None, None, None
    found = np.array([(pair.among, pair.with_model) for pair in pairs])
    # a pair whose kappa is undefined without a unit does not count there
    weights = np.where(np.isfinite(found).all(1), [pair.patches for pair in pairs], 0.0)
    with np.errstate(invalid="ignore"):
        among, with_model = (np.nan_to_num(found) * weights[:, None]).sum(0) / weights.sum(0)
    sizes = np.sum([pair.sizes for pair in pairs], axis=0)
    scale = correlation_scale()
    least_among, least_with_model = (
        float(np.average(errors, weights=weights[:, 0]))
        for errors in ([pair.least_among for pair in pairs], [pair.least_with_model for pair in pairs])
    )
    # a paired difference may be known far better than its terms, unless nobody ever differs
    perfect = among[0] == 1 and with_model[0] == 1
    return (
        jackknife_figure(among, sizes, scale, least=least_among),
        jackknife_figure(with_model, sizes, scale, least=least_with_model),
        jackknife_figure(with_model - among, sizes, difference_scale(), least=least_with_model if perfect else 0.0),
    )


def _reliability(names: tuple[str, ...], scores: Grades, model: Grades, jackknife: Jackknife) -> Reliability:
    """Return the correlations of scores int64 [N, R] with -1 where there is none."""
    complete = np.cumprod(scores >= 0, axis=1, dtype=bool)
    # one rater who scored but a few patches must not take the others' from them; all of them where it makes no odds
    count = max(range(len(names), 1, -1), key=lambda count: count * int(complete[:, count - 1].sum()))
    rows = np.flatnonzero(complete[:, count - 1])
    own = scores[rows, :count]
    single, average = intraclass_correlations(own, jackknife, rows)
    with_model, _average = intraclass_correlations(np.column_stack([own, model[rows]]), jackknife, rows)
    return Reliability(names[:count], len(rows), single, average, with_model)


def _document(figure: Figure | None) -> dict[str, object] | None:
    return None if figure is None else figure.to_json()
