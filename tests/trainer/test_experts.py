"""As good as an expert: raters among themselves and the model with each, against values of others."""

import dataclasses
import json
import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from trainer.experts import RATERS_COMPARED, Experts, compare_experts
from trainer.intervals import Figure, Jackknife
from trainer.scores import ScoredPatch

# six targets by four judges, Shrout & Fleiss 1979, table 2
SHROUT_AND_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def said_by(
    scores: Sequence[Sequence[int | None]],
    model: Sequence[int] | npt.NDArray[np.int64] | None = None,
    subjects: Sequence[str] | None = None,
) -> Experts | None:
    """Compares raters a, b, ... and a model that says what the first of them says; None where a rater gave no score."""
    patches = []
    for number, row in enumerate(scores):
        given_scores = {chr(ord("a") + rater): score for rater, score in enumerate(row) if score is not None}
        subject = subjects[number] if subjects else f"s{number}"
        patches.append(
            ScoredPatch(f"p{number}", None, tuple(given_scores.values()), tuple(given_scores), subject, None, 0.5)
        )
    grades = np.array([patch.scores[0] for patch in patches] if model is None else model, np.int64)
    return compare_experts(patches, grades, Jackknife.of([patch.subject for patch in patches]), 11)


def noisy(
    truth: npt.NDArray[np.int64], share: float, rng: np.random.Generator, highest: int = 4
) -> npt.NDArray[np.int64]:
    """A grader who is one grade off in `share` of the patches."""
    off = rng.choice([-1, 1], len(truth)) * (rng.random(len(truth)) < share)
    return np.clip(truth + off, 0, highest)


def three_raters(model_share: float, *, count: int = 400) -> Experts:
    """Three raters each off in 30 % of the patches, and a model."""
    rng = np.random.default_rng(8)
    truth = rng.integers(0, 5, count)
    raters = [noisy(truth, 0.3, rng) for _ in range(3)]
    subjects = [f"s{number % 20}" for number in range(count)]
    found = said_by(np.transpose(raters).tolist(), noisy(truth, model_share, rng), subjects)
    assert found is not None
    return found


def test_each_rater_is_compared_with_the_median_of_the_others():
    found = said_by([(0, 0, 2), (1, 3, 4), (2, None, None)], [0, 2, 4])
    assert found is not None
    # a: others (0, 2) and (3, 4), ties down; b: (0, 2) and (1, 4); c: (0, 0) and (1, 3)
    wanted = {"a": (2, 0.5, 1.0), "b": (2, 0.5, 1.0), "c": (2, 0.0, 2.5)}
    for name, (patches, accuracy, mad) in wanted.items():
        others = found.raters[name].others
        assert others.accuracy is not None
        assert others.mad is not None
        assert (others.patches, others.accuracy.value, others.mad.value) == (patches, accuracy, mad)


def test_the_model_is_held_against_each_rater_over_all_that_rater_scored():
    found = said_by([(0, 0, 2), (1, 3, 4), (2, None, None)], [0, 2, 4])
    assert found is not None
    model = {name: rater.model for name, rater in found.raters.items()}
    assert {name: (agreed.patches, agreed.mad.value) for name, agreed in model.items() if agreed.mad} == {
        "a": (3, 1.0),
        "b": (2, 0.5),
        "c": (2, 2.0),
    }
    assert model["a"].accuracy is not None
    assert model["a"].accuracy.value == pytest.approx(1 / 3)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 4), min_size=10, max_size=30))
@settings(max_examples=25)
def test_kappas_are_those_of_scikit_learn(rows):
    table = np.array(rows)
    found = said_by(table[:, :3].tolist(), table[:, 3])
    assert found is not None

    def kappa(first: int, second: int) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn divides by zero where one side is constant
            one = cohen_kappa_score(table[:, first], table[:, second], weights="quadratic", labels=range(5))
        constant = len({*table[:, first], *table[:, second]}) == 1
        return math.nan if constant else 0.0 if math.isnan(one) else float(one)

    among = []
    with_model = []
    for pair in found.pairs:
        first, second = ("abc".index(name) for name in pair.raters)
        wanted = kappa(first, second)
        assert pair.patches == len(rows)
        assert (math.nan if pair.qwk is None else pair.qwk.value) == pytest.approx(wanted, nan_ok=True)
        both = [wanted, kappa(first, 3), kappa(second, 3)]
        if not any(map(math.isnan, both)):
            among.append(wanted)
            with_model.append((both[1] + both[2]) / 2)
    if among:
        assert found.kappa_among_raters is not None
        assert found.kappa_model_with_raters is not None
        assert found.difference is not None
        assert found.kappa_among_raters.value == pytest.approx(np.mean(among))
        assert found.kappa_model_with_raters.value == pytest.approx(np.mean(with_model))
        assert found.difference.value == pytest.approx(np.mean(with_model) - np.mean(among))
    else:
        assert found.difference is None


def test_a_model_like_one_more_expert_is_as_good_as_they_are_and_a_poor_one_is_not():
    alike, worse, better = three_raters(0.3), three_raters(0.8), three_raters(0.0)
    for found, said in (
        (alike, "the model agrees with an expert as well as the experts agree with each other: difference in kappa "),
        (worse, "the model agrees with an expert less well than the experts agree with each other: difference in kap"),
        (better, "the model agrees with an expert better than the experts agree with each other: difference in kappa"),
    ):
        verdict = found.verdict()
        assert verdict is not None
        assert said in verdict
    assert alike.difference is not None
    assert alike.difference.low < 0 < alike.difference.high
    # the same draws on both sides: far narrower than the kappas' own intervals
    assert alike.kappa_among_raters is not None
    own = alike.kappa_among_raters.high - alike.kappa_among_raters.low
    assert alike.difference.high - alike.difference.low < 1.5 * own


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (
            Figure(0.05, -0.01, 0.11),
            "as well as the experts agree with each other: difference in kappa +0.050 (-0.010 to",
        ),
        (
            Figure(-0.05, -0.11, 0.01),
            "as well as the experts agree with each other: difference in kappa -0.050 (-0.110",
        ),
        (
            Figure(0.05, 0.01, 0.09),
            "better than the experts agree with each other: difference in kappa +0.050 (+0.010 to",
        ),
        (
            Figure(-0.05, -0.09, -0.01),
            "less well than the experts agree with each other: difference in kappa -0.050 (-0.",
        ),
    ],
)
def test_the_verdict_goes_by_the_interval_and_not_by_the_value(figure, said):
    verdict = dataclasses.replace(three_raters(0.3, count=30), difference=figure).verdict()
    assert verdict is not None
    assert said in verdict
    assert ("as far as these patches can tell" in verdict) is (figure.low < 0 < figure.high)


def test_means_weigh_a_pair_by_the_patches_it_shares():
    # a and b share 30 patches and agree; a and c share 10 and say the opposite; b and c share none
    rows = [(n % 2, n % 2, None) for n in range(30)] + [(n % 2, None, 1 - n % 2) for n in range(10)]
    found = said_by(rows)
    assert found is not None
    assert [(pair.raters, pair.patches) for pair in found.pairs] == [(("a", "b"), 30), (("a", "c"), 10)]
    assert found.kappa_among_raters is not None
    assert found.kappa_among_raters.value == pytest.approx((30 * 1 + 10 * -1) / 40)
    # the model says what a says: kappa 1 with a and b, 1 with a and -1 with c
    assert found.kappa_model_with_raters is not None
    assert found.kappa_model_with_raters.value == pytest.approx((30 * 1 + 10 * 0) / 40)


def test_a_pair_with_too_few_patches_in_common_is_told_but_does_not_count():
    rows = [(n % 2, n % 2, None) for n in range(30)] + [(n % 2, None, 1 - n % 2) for n in range(8)]
    found = said_by(rows)
    assert found is not None
    assert [pair.qwk.value for pair in found.pairs if pair.qwk] == [1, -1]
    assert found.kappa_among_raters is not None
    assert (found.kappa_among_raters.value, found.kappa_among_raters.high) == (1, 1)
    assert 0.5 < found.kappa_among_raters.low < 1


def test_intraclass_correlations_are_those_published():
    found = said_by(SHROUT_AND_FLEISS)
    assert found is not None
    reliability = found.reliability
    assert reliability.single is not None
    assert reliability.average is not None
    assert reliability.single.value == pytest.approx(0.290, abs=5e-4)
    assert reliability.average.value == pytest.approx(0.620, abs=5e-4)
    assert (reliability.raters, reliability.patches) == (("a", "b", "c", "d"), 6)


def test_the_model_joins_the_raters_as_one_more():
    three, fourth = [row[:3] for row in SHROUT_AND_FLEISS], [row[3] for row in SHROUT_AND_FLEISS]
    found = said_by(three, fourth)
    assert found is not None
    assert found.reliability.with_model is not None
    assert found.reliability.with_model.value == pytest.approx(0.290, abs=5e-4)


def test_patches_that_a_rater_left_out_do_not_count_for_the_intraclass_correlation():
    rows: list[Sequence[int | None]] = [*SHROUT_AND_FLEISS, (9, None, 1, 4), (None, 9, 1, 4)]
    found = said_by(rows)
    assert found is not None
    assert found.reliability.patches == 6
    assert found.reliability.single is not None
    assert found.reliability.single.value == pytest.approx(0.290, abs=5e-4)


def test_a_rater_who_scored_but_a_few_does_not_take_the_others_patches():
    found = said_by([(*row, row[0] if number < 2 else None) for number, row in enumerate(SHROUT_AND_FLEISS)])
    assert found is not None
    assert found.reliability.raters == ("a", "b", "c", "d")
    assert found.reliability.patches == 6


def test_subjects_are_drawn_whole_for_experts_too():
    rng = np.random.default_rng(3)
    truth = np.repeat(rng.integers(0, 5, 40), 20)
    # whether a rater is off is a matter of the subject
    off = np.repeat(rng.random(40) < 0.4, 20)
    rows = np.stack([truth, np.where(off, (truth + 1) % 5, truth)], axis=1).tolist()
    by_subject = said_by(rows, truth, [f"s{number // 20}" for number in range(800)])
    by_patch = said_by(rows, truth)
    assert by_subject is not None
    assert by_patch is not None
    for pick in (lambda e: e.reliability.single, lambda e: e.kappa_among_raters, lambda e: e.raters["b"].model.qwk):
        wide, narrow = pick(by_subject), pick(by_patch)
        assert wide.value == narrow.value
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_one_rater_is_no_experts():
    assert said_by([(0,), (1,), (2,)]) is None


@pytest.mark.parametrize(
    ("rows", "model"),
    [
        ([(3, 3)] * 12, [3] * 12),
        ([(3, 3)] * 12, [1, 2] * 6),
        ([(0, 4)] * 12, [1, 2] * 6),
        ([(0, None), (None, 1)] * 6, [0, 1] * 6),
        ([(0, 1)], [1]),
    ],
    ids=["all constant", "raters constant", "raters constant and apart", "no patch in common", "one patch"],
)
def test_what_is_undefined_is_null_and_the_document_stays_valid(rows, model):
    found = said_by(rows, model)
    assert found is not None
    document = {"experts": found.to_json(), "raters": {name: rater.to_json() for name, rater in found.raters.items()}}
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    if rows[0] == (3, 3):
        assert document["experts"]["icc"] is None
        assert document["experts"]["difference"] is None
        assert document["experts"]["pairs"] == [{"raters": ["a", "b"], "patches": 12, "qwk": None}]
        assert document["raters"]["a"]["accuracy"] == 1
        assert found.verdict() is None
    if rows[0] == (0, None):
        assert document["experts"]["pairs"] == []
        assert document["raters"]["a"]["patches"] == 0
        assert document["raters"]["a"]["accuracy"] is None
        assert document["raters"]["a"]["with_model"]["patches"] == 6


def test_the_document_names_what_it_holds():
    found = three_raters(0.3)
    document = found.to_json()
    for name in ("icc", "icc_of_mean", "icc_with_model", "kappa_among_raters", "kappa_model_with_raters", "difference"):
        assert set(document[name]) == {"value", "ci95"}
    assert document["icc_raters"] == ["a", "b", "c"]
    assert document["icc_patches"] == 400
    assert [pair["raters"] for pair in document["pairs"]] == [["a", "b"], ["a", "c"], ["b", "c"]]
    rater = found.raters["a"].to_json()
    assert rater["accuracy"] == rater["with_others"]["accuracy"]["value"]
    assert rater["mad"] == rater["with_others"]["mad"]["value"]
    assert rater["with_model"]["patches"] == 400


def test_the_raters_with_most_patches_come_first_and_alone_are_compared_in_pairs():
    count = RATERS_COMPARED + 3
    rows = [[(number + rater) % 3 if number < 20 + rater else None for rater in range(count)] for number in range(34)]
    found = said_by(rows)
    assert found is not None
    assert len(found.raters) == count
    assert next(iter(found.raters)) == chr(ord("a") + count - 1)
    compared = {name for pair in found.pairs for name in pair.raters}
    assert compared == set(list(found.raters)[:RATERS_COMPARED])


def test_without_an_order_each_rater_is_compared_with_the_majority_of_the_others():
    scores = [(4, 0, 4, 4), (2, 0, 4, 0), (1, 0, 4, 1)]
    patches = [
        ScoredPatch(f"p{number}", None, row, tuple("abcd"), f"s{number}", None, 0.5, ordered=False)
        for number, row in enumerate(scores)
    ]
    jackknife = Jackknife.of([patch.subject for patch in patches])
    found = compare_experts(patches, np.array([4, 0, 1]), jackknife, 5)
    assert found is not None
    # a: 4 of (0, 4, 4), 0 of (0, 4, 0), and of (0, 4, 1), which tie, the first; their medians are 4, 0 and 1
    accuracy = {name: rater.others.accuracy.value for name, rater in found.raters.items() if rater.others.accuracy}
    assert accuracy == pytest.approx({"a": 1 / 3, "b": 0, "c": 1 / 3, "d": 2 / 3})
    ordered = [dataclasses.replace(patch, ordered=True) for patch in patches]
    by_median = compare_experts(ordered, np.array([4, 0, 1]), jackknife, 5)
    assert by_median is not None
    assert by_median.raters["a"].others.accuracy is not None
    assert by_median.raters["a"].others.accuracy.value == pytest.approx(2 / 3)
