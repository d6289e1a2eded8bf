"""A file is given once for each content, and only when it rests."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runtime.file_state import FileState
from runtime.settling import AtRest, Settling

SETTLE_S = 1.0


class SettlingMachine(RuleBasedStateMachine):
    """Random writes, looks and pauses against a plain account of what each file's content is.

    What was given is kept outside, as the ledger does, and dismissed when it is seen unchanged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.settling = Settling(SETTLE_S)
        self.now = 100.0
        self.given = {"a": FileState(1, 1)}
        self.content = dict(self.given)
        self.changed_at: dict[str, float] = {}
        self.version = 1

    names = st.sampled_from(["a", "b", "c"])

    @rule(path=names)
    def write(self, path: str) -> None:
        self.version += 1
        self.set_content(path, FileState(self.version, self.version))

    @rule(path=names)
    def change_back(self, path: str) -> None:
        if path in self.given and path in self.content:
            self.set_content(path, self.given[path])

    @rule(path=names)
    def remove(self, path: str) -> None:
        self.content.pop(path, None)
        self.look(path)

    @rule(path=names)
    def look(self, path: str) -> None:
        if path in self.content and self.content[path] == self.given.get(path):
            self.settling.dismiss(path)
        else:
            self.settling.see(path, self.content.get(path), self.now)

    @rule(path=names)
    def look_at_its_age(self, path: str) -> None:
        """As at the start, where a file says itself since when it rests."""
        if path in self.content and self.content[path] != self.given.get(path):
            self.settling.see(path, self.content[path], self.now, self.now - self.changed_at[path])

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
    def wait_and_take(self, seconds: float) -> None:
        self.now += seconds
        for path, state, rested_s in self.settling.take(self.now):
            assert SETTLE_S <= rested_s <= self.now - self.changed_at[path] + 1e-9
            assert state == self.content[path]
            assert state != self.given.get(path), "given twice"
            self.given[path] = state

    @invariant()
    def nothing_is_forgotten(self) -> None:
        waiting = set(self.settling.waiting(self.now, most=100)) | self.settling._at_rest.keys()
        assert waiting == {path for path, state in self.content.items() if self.given.get(path) != state}
        assert len(self.settling) == len(waiting - self.settling._at_rest.keys())

    def set_content(self, path: str, state: FileState) -> None:
        if self.content.get(path) != state:
            self.changed_at[path] = self.now
        self.content[path] = state
        self.look(path)


TestSettling = SettlingMachine.TestCase


def test_old_file_is_taken_at_once_and_a_time_in_the_future_waits() -> None:
    settling = Settling(SETTLE_S)
    settling.see("old", FileState(1, 1), now=10.0, age_s=3600)
    settling.see("future", FileState(1, 1), now=10.0, age_s=-3600)
    assert settling.take(10.0) == [AtRest("old", FileState(1, 1), 3600.0)]
    assert settling.take(11.0) == [AtRest("future", FileState(1, 1), 1.0)]


def test_of_many_only_those_are_looked_at_that_may_have_come_to_rest() -> None:
    settling = Settling(SETTLE_S)
    for number in range(5):
        settling.see(f"{number}", FileState(1, 1), now=10.0 + number / 10)
    assert len(settling.waiting(11.05, most=5)) == 5
    assert settling.waiting(11.05, most=4) == ["0"]
    assert settling.waiting(11.15, most=4) == ["0", "1"]


ONE, OTHER = FileState(1, 1), FileState(2, 2)


def test_an_age_of_exactly_the_rest_is_enough_and_a_shorter_one_is_counted() -> None:
    settling = Settling(SETTLE_S)
    settling.see("just", ONE, now=10.0, age_s=SETTLE_S)
    settling.see("half", ONE, now=10.0, age_s=0.5)
    settling.see("new", ONE, now=10.0)
    assert len(settling) == 2
    assert settling.take(10.0) == [AtRest("just", ONE, SETTLE_S)]
    assert settling.take(10.49) == []
    assert settling.take(10.5) == [AtRest("half", ONE, 1.0)]
    assert settling.take(11.0) == [AtRest("new", ONE, 1.0)]
    assert settling.take(1000.0) == []


def test_without_a_rest_a_file_of_no_age_is_given_like_one_that_has_just_come() -> None:
    settling = Settling(0.0)
    settling.see("new", ONE, now=10.0)
    settling.see("future", ONE, now=10.0, age_s=-5.0)
    assert len(settling) == 2
    assert settling.take(10.0) == [AtRest("future", ONE, 0.0), AtRest("new", ONE, 0.0)]


def test_files_are_given_as_they_came_to_rest_those_that_did_before_first() -> None:
    settling = Settling(SETTLE_S)
    for name, now in (("c", 10.2), ("b", 10.1), ("a", 10.2)):
        settling.see(name, ONE, now=now)
    settling.see("z", ONE, now=10.3, age_s=50.0)
    settling.see("y", ONE, now=10.3, age_s=60.0)
    assert [found.path for found in settling.take(20.0)] == ["z", "y", "b", "a", "c"]


def test_a_file_at_rest_that_changes_or_goes_before_it_is_given_is_not() -> None:
    settling = Settling(SETTLE_S)
    for name in ("changed", "gone", "dismissed"):
        settling.see(name, ONE, now=10.0, age_s=50.0)
    settling.see("changed", OTHER, now=10.5)
    settling.see("gone", None, now=10.5)
    settling.dismiss("dismissed")
    assert settling.take(11.0) == []
    assert settling.take(11.5) == [AtRest("changed", OTHER, 1.0)]


def test_a_change_begins_the_rest_anew_and_a_second_look_does_not() -> None:
    settling = Settling(SETTLE_S)
    settling.see("same", ONE, now=10.0)
    settling.see("changed", ONE, now=10.0)
    settling.see("same", ONE, now=10.9)
    settling.see("changed", OTHER, now=10.9)
    assert settling.take(11.0) == [AtRest("same", ONE, 1.0)]
    assert [found.path for found in settling.take(11.9)] == ["changed"]


def test_of_exactly_as_many_as_are_wanted_all_are_looked_at_again() -> None:
    settling = Settling(SETTLE_S)
    settling.see("old", ONE, now=10.0)
    settling.see("new", ONE, now=10.5)
    assert settling.waiting(11.0, most=2) == ["old", "new"]
    assert settling.waiting(11.0, most=1) == ["old"]
    assert settling.waiting(10.99, most=1) == []
