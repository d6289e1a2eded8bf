"""Idle connections make room for new ones, those of a crowd first."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.viewer.connections import (
    MAX_ACTIVE,
    MAX_ACTIVE_PER_ADDRESS,
    MAX_IDLE,
    MAX_IDLE_EVER,
    MAX_IDLE_PER_ADDRESS,
    ActiveRequests,
    IdleConnections,
    address_key,
)


class Fake:
    """A connection that notes whether it was closed."""

    closed = False

    def close_idle(self) -> None:
        self.closed = True


class Later:
    """Functions that are to run later, run when the test says so."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def __call__(self, _seconds: float, work: Callable[[], None]) -> None:
        self.due.append(work)

    def run(self) -> None:
        due, self.due = self.due, []
        for work in due:
            work()


def test_the_oldest_of_an_address_with_too_many_are_closed_after_a_while() -> None:
    later = Later()
    idle = IdleConnections(later)
    crowd = [Fake() for _ in range(MAX_IDLE_PER_ADDRESS + 3)]
    for each in crowd:
        idle.add(each, "a")
    # the last of them may be about to send its request
    assert not any(each.closed for each in crowd)
    assert len(later.due) == 1
    later.run()
    assert [each.closed for each in crowd] == [True] * 3 + [False] * MAX_IDLE_PER_ADDRESS
    assert len(idle) == MAX_IDLE_PER_ADDRESS


def test_many_addresses_together_lose_those_of_the_largest() -> None:
    later = Later()
    idle = IdleConnections(later)
    single = Fake()
    idle.add(single, "single")
    for number in range(MAX_IDLE + 20):
        idle.add(Fake(), f"crowd {number % 5}")
    later.run()
    assert len(idle) == MAX_IDLE
    assert not single.closed


def test_a_connection_that_had_its_answer_makes_room_for_those_that_wait_for_one() -> None:
    later = Later()
    idle = IdleConnections(later)
    fresh = [Fake() for _ in range(MAX_IDLE_PER_ADDRESS)]
    assert all(idle.add(each, "a") for each in fresh)
    assert not idle.add(Fake(), "a", answered=True)
    assert idle.add(Fake(), "b", answered=True)
    later.run()
    assert not any(each.closed for each in fresh)


def test_never_more_than_a_process_can_open() -> None:
    idle = IdleConnections(Later())
    for _ in range(3 * MAX_IDLE_EVER):
        idle.add(Fake(), "a")
    assert len(idle) == MAX_IDLE_EVER


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.sampled_from("ab")), max_size=60))
def test_the_count_is_that_of_the_connections(changes: list[tuple[bool, int, str]]) -> None:
    idle = IdleConnections(Later())
    fakes = {(number, address): Fake() for number in range(10) for address in "ab"}
    held = set()
    for joins, number, address in changes:
        if joins:
            idle.add(fakes[number, address], address)
            held.add((number, address))
        else:
            idle.discard(fakes[number, address], address)
            held.discard((number, address))
        assert len(idle) == len(held)


def test_requests_are_limited_by_address_and_in_all() -> None:
    active = ActiveRequests()
    assert all(active.begin("a") for _ in range(MAX_ACTIVE_PER_ADDRESS))
    assert not active.begin("a")
    assert sum(active.begin(f"b{number}") for number in range(MAX_ACTIVE)) == MAX_ACTIVE - MAX_ACTIVE_PER_ADDRESS
    active.end("a")
    assert active.begin("a")


@pytest.mark.parametrize(
    ("client", "key"),
    [
        (("192.168.1.5", 1), "192.168.1.5"),
        (("::ffff:192.168.1.5", 1), "192.168.1.5"),
        # one machine owns a network of 64 bits
        (("2001:db8:1:2::1", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::2", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("somewhere", 1), "somewhere"),
        (None, ""),
    ],
)
def test_address_by_which_a_client_is_counted(client: tuple[str, int] | None, key: str) -> None:
    assert address_key(client) == key
