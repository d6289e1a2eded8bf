"""The short form of fuzzing: every reader against inputs made worse."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.mutations import worsen
from benchmarks.fuzz.targets import targets
from benchmarks.fuzz.verdict import judge

TARGETS = targets()
# a caption costs as much as fifty files
INPUTS = {"caption": 40}


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read(name: str) -> None:
    seeds = TARGETS[name].seeds()
    verdicts = [judge(TARGETS[name], data) for data in seeds]
    assert [verdict.failure for verdict in verdicts] == [None] * len(seeds)
    assert [verdict.caught for verdict in verdicts] == [None] * len(seeds)
    # those that formats.md says are not read among them
    assert sum(verdict.outcome == "read" for verdict in verdicts) >= 0.7 * len(seeds)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_crashes_hangs_or_takes_a_gigabyte(name: str) -> None:
    target = TARGETS[name]
    seeds = target.seeds()

    @settings(
        max_examples=INPUTS.get(name, 1000), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.sampled_from(range(len(seeds))), st.integers(0, 2**32))
    def against(which: int, seed: int) -> None:
        data = worsen(seeds[which], random.Random(seed), seeds)
        verdict = judge(target, data)
        assert verdict.failure is None, data
        assert verdict.caught is None, data

    against()
