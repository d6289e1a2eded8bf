"""Every call by which inflamap changes its results' folder fails or kills it, and the next start makes all good.

    pytest -m slow tests/faults/test_every_call.py    # the full form: every call and every fault, some twenty minutes

The short form tries every scenario too, at calls drawn by a fixed seed and at all renames.
"""

import datetime
import os
import platform
import random
import subprocess
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
from fault_injector.folders import CHECKOUT, Folders, folders
from fault_injector.library import Call, Fault, why_not
from fault_injector.pictures import pictures_of
from fault_injector.scenarios import SCENARIOS
from fault_injector.trial import Outcome, Scenario, Undisturbed, undergo, undisturbed

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

DRAWN = 10
AT_RENAMES = (Fault.EIO, Fault.KILL_BEFORE, Fault.KILL_AFTER)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, skin: npt.NDArray[np.uint8]) -> Iterator[Folders]:
    with folders(tmp_path_factory.mktemp("every call"), pictures_of(skin)) as made:
        yield made


@pytest.fixture
def weaken(there: Folders) -> Iterator[Callable[[str], None]]:
    """Takes a guarantee of the runtime away for a test."""

    def take_away(guarantee: str) -> None:
        there.weakness = guarantee

    yield take_away
    there.weakness = ""


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Rows of the table in docs/reliability.md, printed at the end with its heading."""
    rows: list[str] = []
    yield rows
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=CHECKOUT
    ).stdout.strip()
    machine = f"{os.cpu_count()} {platform.machine()} cores, {platform.system()}"
    heading = ["| scenario | mutating calls | faults tried | held |", "|---|---|---|---|"]
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("", *heading, *rows, "", f"{datetime.date.today()}, {commit}, {machine}", sep="\n")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@each_scenario
def test_every_fault_at_every_call_is_made_good(scenario: Scenario, there: Folders, table: list[str]) -> None:
    normal = undisturbed(scenario, there)
    trials = [(number, fault) for number, call in enumerate(normal.ran.calls, 1) for fault in call.faults]
    outcomes = undergone(scenario, there, normal, trials)
    held = sum(not outcome.wrong for outcome in outcomes)
    table.append(f"| {scenario.name} | {len(normal.ran.calls)} | {len(outcomes)} | {held} |")
    require_held(outcomes)


@each_scenario
def test_faults_at_some_calls_and_all_renames_are_made_good(scenario: Scenario, there: Folders) -> None:
    normal = undisturbed(scenario, there)
    require_held(undergone(scenario, there, normal, drawn(normal.ran.calls)))


@pytest.mark.parametrize(
    ("weakness", "scenario", "faults", "found"),
    [
        ("record_first", "an image is overwritten", {Fault.KILL_AFTER}, "vouches for an overlay that is not its own"),
        ("record_first", "an image arrives", {Fault.KILL_AFTER}, "vouches for an overlay that is missing"),
        ("earlier_record_stays", "an image is overwritten", {Fault.KILL_BEFORE}, "that is not its own"),
        ("earlier_record_stays", "an image is overwritten", {Fault.EIO_ON}, "that is not its own"),
        ("written_in_place", "an image arrives", {Fault.TORN}, "half a record"),
        ("errors_kept_quiet", "an image arrives", {Fault.EIO}, "a row that is scored without a record"),
        ("errors_not_said", "first start", {Fault.ENOSPC}, "an error that was not thought of"),
        ("temporaries_stay", "an image arrives", {Fault.KILL_BEFORE}, "left over"),
        ("results_not_taken_over", "an image arrives", {Fault.KILL_AFTER}, "written a second time"),
        ("blamed_for_good", "an image arrives", {Fault.HALF}, "instead of"),
        ("table_in_place", "`inflamap results --csv`", {Fault.KILL_BEFORE}, "table.csv"),
    ],
)
def test_guarantee_that_is_taken_away_is_missed(
    weakness: str,
    scenario: str,
    faults: set[Fault],
    found: str,
    there: Folders,
    weaken: Callable[[str], None],
) -> None:
    weaken(weakness)
    normal = undisturbed(BY_NAME[scenario], there)
    # the guarantees are about results, not about the ledger
    trials = [
        (number, fault)
        for number, call in enumerate(normal.ran.calls, 1)
        for fault in faults.intersection(call.faults)
        if "inflamap." not in call.path
    ]
    outcomes = (undergo(BY_NAME[scenario], there, normal, number, fault) for number, fault in trials)
    assert any(found in line for outcome in outcomes for line in outcome.wrong)


def drawn(calls: list[Call]) -> list[tuple[int, Fault]]:
    """Numbers of calls, from 1, and faults: some at random, and those that the order of renames stands against."""
    trials = [(number, fault) for number, call in enumerate(calls, 1) for fault in call.faults]
    renames = [number for number, call in enumerate(calls, 1) if call.name == "rename"]
    some = set(random.Random(7).sample(trials, DRAWN))
    return sorted(some | {(number, fault) for number in renames for fault in AT_RENAMES})


def undergone(
    scenario: Scenario, there: Folders, normal: Undisturbed, trials: Iterable[tuple[int, Fault]]
) -> list[Outcome]:
    return [undergo(scenario, there, normal, number, fault) for number, fault in trials]


def require_held(outcomes: list[Outcome]) -> None:
    """Each fault came at its call, and all held."""
    assert [outcome.call for outcome in outcomes if not outcome.hit] == []
    wrong = [
        f"{outcome.fault.name} at {outcome.call}: {'; '.join(outcome.wrong)}" for outcome in outcomes if outcome.wrong
    ]
    assert not wrong, f"{len(wrong)} of {len(outcomes)} faults were not made good:\n" + "\n".join(wrong[:20])
