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


def test_file_that_rested_exactly_as_long_as_it_has_to_is_taken() -> None:
    settling = Settling(1.5)
    settling.see("seen", FileState(1, 1), now=10.0)
    assert settling.take(11.499) == []
    assert settling.take(11.5) == [AtRest("seen", FileState(1, 1), 1.5)]
    # by the time the file itself tells
    settling.see("younger", FileState(1, 1), now=20.0, age_s=1.499)
    assert settling.take(20.0) == []
    settling.see("old", FileState(1, 1), now=20.0, age_s=1.5)
    # the younger one alone is waited for
    assert len(settling) == 1
    assert settling.take(20.0) == [AtRest("old", FileState(1, 1), 1.5)]


def test_as_many_files_as_are_looked_at_again_and_again_are_looked_at() -> None:
    settling = Settling(1.0)
    for name in ("a", "b"):
        settling.see(name, FileState(1, 1), now=10.0)
    assert settling.waiting(10.5, most=2) == ["a", "b"]
    assert settling.waiting(10.5, most=1) == []
    assert settling.waiting(11.0, most=1) == ["a", "b"]


def test_without_a_pause_a_file_is_taken_when_it_is_seen() -> None:
    settling = Settling(0.0)
    settling.see("a", FileState(1, 1), now=10.0)
    assert settling.take(10.0) == [AtRest("a", FileState(1, 1), 0.0)]
