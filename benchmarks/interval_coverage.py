"""Simulate how often the 95 % intervals of `evaluate` hold the population's figure.

    python -m benchmarks.interval_coverage [--trials N] [--write docs/intervals.md]

Draws studies of 5 to 40 subjects from simulated populations of graders, evaluates each study by the trainer's own code,
and counts the intervals that hold the figure of the whole population. The percentile bootstrap over subjects, which the
intervals were before, stands beside it. Everything is simulated; no image and no trained network is involved.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.child_process import exit_with
from trainer.experts import compare_experts
from trainer.figures import GradeAgreement, agreement, pair_terms, recall
from trainer.intervals import Figure, Jackknife
from trainer.scores import ScoredPatch

GRADES, RATERS, ECE_BINS = 5, 3, 10
STUDIES = (5, 8, 12, 24, 40)
TRIALS = 2000
# subjects of a population
POPULATION = 4000
RESAMPLINGS = 500
BOOTSTRAPPED = ("accuracy", "mad", "qwk", "ece")
TABLE_BEGIN, TABLE_END = "<!-- table of benchmarks.interval_coverage -->", "<!-- end of table -->"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """The distributions that subjects, raters and model are drawn from.

    Attributes:
        what: in words.
        patches: mean number of patches of a subject.
        unequal: standard deviation of the logarithm of that number.
        error: of the model, in grades.
        bias: standard deviation between subjects of the model's mean error, in grades.
        spread: standard deviation between subjects of the logarithm of `error`.
        confidence: how narrow the model takes its error to be.
    """

    what: str
    patches: float = 33
    unequal: float = 0.5
    error: float = 0.25
    bias: float = 0.15
    spread: float = 0.25
    confidence: float = 0.95


POPULATIONS = {
    "calibrated": Population("33 patches a subject, probabilities that are nearly calibrated"),
    "overconfident": Population("the same, confidence far above accuracy", confidence=1.8),
    "accurate": Population("a model that rarely errs, underconfident", error=0.1, bias=0.05, confidence=0.75),
    "few patches": Population("12 patches a subject", patches=12),
    "unequal": Population(
        "subjects of 5 to 200 patches, and of very unequal error", unequal=0.9, spread=0.5, bias=0.25
    ),
}


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of some subjects, in the order of the subjects.

    Attributes:
        starts: int64 [S + 1], the first patch of each subject, and their number.
        probabilities: float64 [N, K], the model's.
        scores: int64 [N, R], the raters'.
    """

    starts: npt.NDArray[np.int64]
    probabilities: Floats
    scores: npt.NDArray[np.int64]

    @property
    def truth(self) -> npt.NDArray[np.int64]:
        """The raters' median, int64 [N]."""
        return np.sort(self.scores, axis=1)[:, RATERS // 2]

    @property
    def subjects(self) -> npt.NDArray[np.int64]:
        """The subject of each patch, int64 [N]."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def study(self, chosen: npt.NDArray[np.int64]) -> "Patches":
        """Return the patches of the chosen subjects; one chosen twice is two subjects."""
        rows = np.concatenate([np.arange(self.starts[s], self.starts[s + 1]) for s in chosen])
        starts = np.concatenate([[0], np.cumsum(self.starts[chosen + 1] - self.starts[chosen])])
        return Patches(starts, self.probabilities[rows], self.scores[rows])


def draw_population(population: Population, rng: np.random.Generator, subjects: int) -> Patches:
    """Draw subjects that differ in severity, in number of patches, and in how well the model does on them."""
    log_mean = np.log(population.patches) - population.unequal**2 / 2
    counts = np.maximum(3, np.round(np.exp(rng.normal(log_mean, population.unequal, subjects)))).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    subject = np.repeat(np.arange(subjects), counts)
    severity = np.clip(2 + rng.normal(0, 1.2, subjects)[subject] + rng.normal(0, 0.9, len(subject)), -0.49, 4.49)
    # experts score patches that show a grade well
    severity = np.round(severity) + 0.7 * (severity - np.round(severity))
    rater_bias = rng.normal(0, 0.1, (subjects, RATERS))[subject]
    scores = np.clip(np.round(severity[:, None] + rater_bias + rng.normal(0, 0.35, (len(subject), RATERS))), 0, 4)
    errors = population.error * np.exp(rng.normal(0, population.spread, subjects))
    bias = rng.normal(0, population.bias, subjects)
    seen = severity + bias[subject] + errors[subject] * rng.standard_normal(len(subject))
    # what the model takes its error, with the raters', for
    width = np.hypot(population.error, 0.3) / population.confidence
    logits = -((np.arange(GRADES) - seen[:, None]) ** 2) / (2 * width**2)
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    return Patches(starts, probabilities / probabilities.sum(1, keepdims=True), scores.astype(np.int64))


def figures_of(patches: Patches) -> dict[str, Figure | None]:
    """Return the figures of a study with their intervals, by the trainer's code."""
    truth, subjects = patches.truth, [f"s{subject}" for subject in patches.subjects]
    jackknife = Jackknife.of(subjects)
    said = patches.probabilities.argmax(1)
    names = tuple(f"r{rater}" for rater in range(RATERS))
    scored = [
        ScoredPatch("", None, tuple(scores), names, subject, None, 0.5)
        for scores, subject in zip(patches.scores.tolist(), subjects, strict=True)
    ]
    experts = compare_experts(scored, said, jackknife, GRADES)
    assert experts is not None
    return {
        **agreement(patches.probabilities, truth, jackknife),
        "recall of grade 2": recall(patches.probabilities, truth, jackknife)[2],
        "kappa of two raters": experts.kappa_among_raters,
        "model less raters": experts.difference,
        "ICC(2,1)": experts.reliability.single,
    }


@dataclass(frozen=True)
class Coverage:
    """The share of studies whose interval held the population's figure.

    Attributes:
        held: share of the studies.
        width: mean width of the interval.
        bootstrap: share of the studies by the percentile bootstrap; None where it was not computed.
    """

    held: float
    width: float
    bootstrap: float | None


def values_of(population: Patches) -> dict[str, float]:
    """Return the population's figures, which the intervals are to hold."""
    return {name: figure.value for name, figure in figures_of(population).items() if figure is not None}


def measure(
    population: Patches, true: Mapping[str, float], subjects: int, trials: int, rng: np.random.Generator
) -> dict[str, Coverage]:
    """Draw studies from a population, and return the coverage by figure.

    Args:
        population: from which subjects are drawn.
        true: its figures.
        subjects: of each study.
        trials: number of studies.
        rng: draws the studies.
    """
    held: dict[str, list[bool]] = defaultdict(list)
    widths: dict[str, list[float]] = defaultdict(list)
    bootstrapped: dict[str, list[bool]] = defaultdict(list)
    for _ in range(trials):
        study = population.study(rng.integers(0, len(population.starts) - 1, subjects))
        for name, figure in figures_of(study).items():
            if figure is not None:
                held[name].append(figure.low <= true[name] <= figure.high)
                widths[name].append(figure.high - figure.low)
        for name, (low, high) in percentile_bootstrap(study, rng).items():
            bootstrapped[name].append(low <= true[name] <= high)
    return {
        name: Coverage(
            float(np.mean(held[name])),
            float(np.mean(widths[name])),
            float(np.mean(bootstrapped[name])) if name in bootstrapped else None,
        )
        for name in held
        if name != "mad_normalised"
    }


def percentile_bootstrap(patches: Patches, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Return the 2.5 and 97.5 percentiles of each figure over resampled subjects."""
    count, truth = len(patches.starts) - 1, patches.truth
    said, confidence = patches.probabilities.argmax(1), patches.probabilities.max(1)
    gaps = np.zeros((len(truth), ECE_BINS))
    gaps[np.arange(len(truth)), np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)] = confidence - (
        said == truth
    )
    sums = np.add.reduceat(np.concatenate([pair_terms(said, truth), gaps], axis=1), patches.starts[:-1])
    weights = rng.multinomial(count, np.full(count, 1 / count), RESAMPLINGS).astype(np.float64)
    totals = weights @ sums
    found = GradeAgreement.of(totals[:, :7])
    values = {
        "accuracy": found.accuracy,
        "mad": found.mad,
        "qwk": found.qwk,
        "ece": np.abs(totals[:, 7:]).sum(1) / totals[:, 0],
    }
    ends = {name: np.nanpercentile(value, [2.5, 97.5]) for name, value in values.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def table(found: dict[int, dict[str, Coverage]]) -> Iterator[str]:
    """Yield the lines of a Markdown table: coverage, width in brackets, and the bootstrap's coverage."""
    yield "| figure | " + " | ".join(f"{subjects} subjects" for subjects in found) + " |"
    yield "|---" * (1 + len(found)) + "|"
    for name in next(iter(found.values())):
        cells = []
        for coverages in found.values():
            coverage = coverages[name]
            old = "" if coverage.bootstrap is None else f"; {coverage.bootstrap:.3f}"
            cells.append(f"**{coverage.held:.3f}** ({coverage.width:.3f}){old}")
        yield f"| {name} | " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=TRIALS, help="studies of each size from each population")
    parser.add_argument("--write", type=Path, help="page whose table is replaced")
    chosen = parser.parse_args(arguments)
    started, lines = time.monotonic(), [f"{chosen.trials} studies a cell."]
    for name, population in POPULATIONS.items():
        rng = np.random.default_rng(len(name))
        whole = draw_population(population, rng, POPULATION)
        true = values_of(whole)
        found = {subjects: measure(whole, true, subjects, chosen.trials, rng) for subjects in STUDIES}
        said = ", ".join(f"{key} {true[key]:.3f}" for key in BOOTSTRAPPED)
        lines += ["", f"**{name.capitalize()}**: {population.what}. The population's {said}.", "", *table(found)]
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    text = "\n".join(lines)
    if chosen.write is None:
        print(text)
        return 0
    page = chosen.write.read_text(encoding="utf-8")
    before, _begin, rest = page.partition(TABLE_BEGIN)
    after = rest.partition(TABLE_END)[2]
    chosen.write.write_text(f"{before}{TABLE_BEGIN}\n\n{text}\n\n{TABLE_END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    exit_with(main)
