"""Whoever waits is taken in the end, however many come after."""

from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import arrive, result_of

from runtime.file_state import FileState
from runtime.ledger import open_ledger
from runtime.ledger.turns import BACKLOG_EVERY, LONGEST_EVERY, Turn, Turns


def test_most_turns_are_the_newest_images() -> None:
    turns, seen = Turns(), Counter[Turn]()
    for _ in range(10 * LONGEST_EVERY):
        seen[turns.next] += 1
        turns.taken()
    every = 10 * LONGEST_EVERY
    assert seen == {
        Turn.NEWEST: every - every // BACKLOG_EVERY,
        Turn.BACKLOG: every // BACKLOG_EVERY - every // LONGEST_EVERY,
        Turn.LONGEST: every // LONGEST_EVERY,
    }


def test_turn_that_found_nobody_comes_again() -> None:
    turns = Turns()
    for _ in range(LONGEST_EVERY - 1):
        turns.taken()
    assert [turns.next, turns.next] == [Turn.LONGEST, Turn.LONGEST]


@settings(max_examples=10, deadline=None)
@given(
    waiting=st.integers(1, 3),
    kinds=st.lists(st.sampled_from(["plain", "asked again", "interrupted"]), min_size=3, max_size=3),
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
        now += 100
        # two new ones for each that is taken: the backlog only grows
        for turn in range(LONGEST_EVERY * waiting):
            for number in range(2):
                arrive(ledger, Path(f"new {turn} {number}"), FileState(1, 1), now + number / 10)
            row = ledger.take(now + 1, turn=turns.next)
            assert row is not None
            turns.taken()
            taken.add(row.path.name)
            ledger.finished(row, result_of(Path(row.path)), now + 1)
            now += 1
    assert {f"old {number}" for number in range(waiting)} <= taken
