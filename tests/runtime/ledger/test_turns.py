"""Whoever waits is taken in the end, however many come after."""

from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import arrive, result_of

from runtime.file_state import FileState
from runtime.ledger import open_ledger
from runtime.ledger.turns import Turn, Turns


def test_most_turns_are_the_newest_images() -> None:
    turns, seen = Turns(), list[Turn]()
    for _ in range(200):
        seen.append(turns.next)
        turns.taken()
    assert Counter(seen) == {Turn.NEWEST: 160, Turn.BACKLOG: 36, Turn.LONGEST: 4}
    # counted from 1
    assert [number for number, turn in enumerate(seen, 1) if turn is Turn.LONGEST] == [50, 100, 150, 200]
    assert [number for number, turn in enumerate(seen, 1) if turn is not Turn.NEWEST] == list(range(5, 201, 5))


def test_turn_that_found_nobody_comes_again() -> None:
    turns = Turns()
    for _ in range(49):
        turns.taken()
    assert [turns.next, turns.next] == [Turn.LONGEST, Turn.LONGEST]


@settings(max_examples=10, deadline=None)
@given(
    waiting=st.integers(1, 3),
    kinds=st.lists(st.sampled_from(["plain", "asked again", "interrupted", "failed"]), min_size=3, max_size=3),
)
def test_under_an_endless_flood_nobody_waits_for_ever(
    tmp_path_factory: "object", waiting: int, kinds: list[str]
) -> None:
    place = tmp_path_factory.mktemp("flood")  # type: ignore[attr-defined]
    now, turns, taken = 1000.0, Turns(), set[str]()
    with open_ledger(Path(place), create=True) as ledger:
        for number in range(waiting):
            arrive(ledger, Path(f"old {number}"), FileState(1, 1), now)
            if kinds[number] == "asked again":
                ledger.retry([Path(f"old {number}")], now)
            elif kinds[number] == "interrupted":
                ledger.take(now + number)
                ledger.recover()
            elif kinds[number] == "failed":
                row = ledger.take(now + number)
                assert row is not None
                ledger.failed(row, "cut", now + number)
        now += 100
        # two new ones for each that is taken: the backlog only grows
        for turn in range(50 * waiting):
            for number in range(2):
                arrive(ledger, Path(f"new {turn} {number}"), FileState(1, 1), now + number / 10)
            row = ledger.take(now + 1, turn=turns.next)
            assert row is not None
            turns.taken()
            taken.add(row.path.name)
            ledger.finished(row, result_of(Path(row.path)), now + 1)
            now += 1
    assert {f"old {number}" for number in range(waiting)} <= taken


def test_under_an_endless_flood_files_that_always_fail_keep_nobody_waiting(tmp_path: Path) -> None:
    """Old ones that fail again and again, whose pauses are over, do not take every turn of the longest wait."""
    now, turns, taken = 1000.0, Turns(), list[str]()
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(10):
            arrive(ledger, Path(f"broken {number}"), FileState(1, 1), now)
        arrive(ledger, Path("asked again"), FileState(1, 1), now + 1)
        ledger.retry([Path("asked again")], now + 1)
        now += 100
        for turn in range(50 * 11):
            arrive(ledger, Path(f"new {turn}"), FileState(1, 1), now)
            row = ledger.take(now, turn=turns.next)
            assert row is not None
            turns.taken()
            taken.append(row.path.name)
            if row.path.name.startswith("broken"):
                ledger.failed(row, "cut", now)
            else:
                ledger.finished(row, result_of(Path(row.path)), now)
            # each pause is over when its turn comes again
            now += 100
    assert "asked again" in taken
    assert {name for name in taken if name.startswith("broken")} == {f"broken {number}" for number in range(10)}
