"""The short form of the coverage simulation: intervals of few subjects hold the population's figure."""

import numpy as np
import pytest

from benchmarks import interval_coverage
from benchmarks.interval_coverage import (
    POPULATIONS,
    TABLE_BEGIN,
    TABLE_END,
    draw_population,
    main,
    measure,
    percentile_bootstrap,
    values_of,
)

TRIALS = 250
# of 250 studies at 0.93 and at 0.97, three standard errors beyond
LEAST, MOST = 0.88, 1.0


@pytest.mark.parametrize("name", ["overconfident", "few patches"])
def test_intervals_cover_where_the_bootstrap_did_not(name):
    rng = np.random.default_rng(3)
    population = draw_population(POPULATIONS[name], rng, 1000)
    true = values_of(population)
    for subjects in (5, 12):
        found = measure(population, true, subjects, TRIALS, rng)
        for figure in ("accuracy", "mad", "qwk", "ece", "recall of grade 2", "model less raters", "ICC(2,1)"):
            assert LEAST < found[figure].held <= MOST, (figure, subjects)
    few = measure(population, true, 5, TRIALS, rng)
    for figure in ("accuracy", "mad", "qwk", "ece"):
        old = few[figure].bootstrap
        assert old is not None
        assert old < 0.9
        assert few[figure].held > old + 0.05


def test_the_bootstrap_beside_it_is_that_of_subjects():
    rng = np.random.default_rng(1)
    study = draw_population(POPULATIONS["calibrated"], rng, 30)
    wide = percentile_bootstrap(study, rng)["accuracy"]
    value = float((study.probabilities.argmax(1) == study.truth).mean())
    assert wide[0] < value < wide[1]
    # of patches it would be 0.05 wide
    assert wide[1] - wide[0] > 0.06


def test_the_tables_replace_those_of_the_page(monkeypatch, tmp_path):
    monkeypatch.setattr(interval_coverage, "POPULATION", 60)
    monkeypatch.setattr(interval_coverage, "STUDIES", (5, 8))
    monkeypatch.setattr(interval_coverage, "POPULATIONS", {"calibrated": POPULATIONS["calibrated"]})
    page = tmp_path / "page.md"
    page.write_text(f"before\n{TABLE_BEGIN}\nold\n{TABLE_END}\nafter\n")
    assert main(["--trials", "3", "--write", str(page)]) == 0
    text = page.read_text()
    assert text.startswith(f"before\n{TABLE_BEGIN}\n\n3 studies a cell.")
    assert text.endswith(f"{TABLE_END}\nafter\n")
    assert "| figure | 5 subjects | 8 subjects |" in text
    assert "old" not in text
