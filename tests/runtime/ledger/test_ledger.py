"""No image is lost, done twice or stranded, whatever happens in between, and the file behind it is never misread."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from made_up import result_of

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.ledger import Ledger, State, open_ledger
from runtime.ledger.ledger import (
    FIRST_PAUSE_S,
    LEDGER_FILE,
    LEDGER_VERSION,
    LONGEST_PAUSE_S,
    MOST_INTERRUPTIONS,
    ModelShare,
)
from runtime.outputs import result_files

ONE = Path("a.bmp")
FILE = FileState(10, 20)
NOW = 1_700_000_000.0
NAMES = [
    "a.bmp",
    "Site #1/deep er/v 0000000.bmp",
    "ä ö/%20?*.bmp",
    "line\nbreak\t'\".bmp",
    "x" * 246 + ".bmp",
    "ü" * 123 + ".bmp",
]
if sys.platform != "win32":
    NAMES += [os.fsdecode(b"a\xff.bmp"), os.fsdecode(b"\xe4\xf6/b\xff#.bmp"), "back\\slash.bmp"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, create=True) as opened:
        yield opened


@dataclass
class Account:
    """What a person would say of one image."""

    state: str
    arrived: float
    due: float | None = 0.0
    in_hand: bool = False
    attempts: int = 0
    interruptions: int = 0
    without_scale: bool = False
    # since it was taken
    asked_again: bool = False
    arrived_again: bool = False

    def ask(self, now: float, *, arrival: bool = False) -> None:
        self.state, self.arrived, self.due, self.attempts, self.interruptions = "waiting", now, 0.0, 0, 0
        self.asked_again |= self.in_hand and not arrival
        self.arrived_again |= self.in_hand and arrival

    def let_go(self) -> None:
        self.in_hand = self.asked_again = self.arrived_again = False


class LedgerMachine(RuleBasedStateMachine):
    """Random orders of all that can happen, against a plain account of every image."""

    paths = st.sampled_from([Path(name) for name in NAMES[:5] + NAMES[6:7]])

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.opened = ExitStack()
        self.now = NOW
        self.version = 0
        self.accounts: dict[Path, Account] = {}
        self.hand: dict[Path, Any] = {}

    def open(self) -> None:
        self.ledger = self.opened.enter_context(open_ledger(Path(self.place.name), create=True))

    @initialize()
    def start(self) -> None:
        self.open()

    @rule(path=paths)
    def arrive(self, path: Path) -> None:
        self.version += 1
        self.ledger.arrived(path, FileState(self.version, self.version), self.tick())
        self.accounts.setdefault(path, Account("waiting", self.now)).ask(self.now, arrival=True)

    @rule()
    def take(self) -> None:
        row = self.ledger.take(self.tick())
        able = {
            path: (account.interruptions, account.arrived)
            for path, account in self.accounts.items()
            if not account.in_hand and account.due is not None and account.due <= self.now
        }
        if row is None:
            assert not able, "left lying"
            return
        path = Path(row.path)
        assert path not in self.hand, "taken twice"
        assert path in able, "taken without an arrival or a retry"
        assert able[path] == min(able.values()), "not its turn"
        account = self.accounts[path]
        account.in_hand = True
        account.attempts += 1
        assert row.attempts == account.attempts
        self.hand[path] = row

    @precondition(lambda self: self.hand)
    @rule(status=st.sampled_from(["scored", "withheld"]), um_per_px=st.sampled_from([None, 0.5]), data=st.data())
    def finish(self, status: str, um_per_px: float | None, data: st.DataObject) -> None:
        path, row = self.let_go(data)
        self.ledger.finished(row, result_of(path, status=status, um_per_px=um_per_px), self.tick())
        account = self.accounts[path]
        again = account.asked_again
        if account.arrived_again and not again:
            # its content is hashed again after it was scored, so that both are right: done, and once more
            again = self.state_of(path) == "waiting"
        account.state, account.due = ("waiting", 0.0) if again else (status, None)
        account.without_scale = status == "withheld" and um_per_px is None
        account.interruptions = 0
        account.let_go()

    @precondition(lambda self: self.hand)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        path, row = self.let_go(data)
        self.ledger.failed(row, "cannot be read", self.tick())
        account = self.accounts[path]
        if (account.asked_again or account.arrived_again) and self.state_of(path) == "waiting":
            account.due = 0.0
        else:
            account.state = "failed"
            account.due = self.now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (row.attempts - 1))
        account.interruptions = 0
        account.let_go()

    @precondition(lambda self: self.hand)
    @rule(data=st.data(), settle_s=st.sampled_from([0.0, 1.0, 30.0]))
    def postpone(self, data: st.DataObject, settle_s: float) -> None:
        path, _row = self.let_go(data)
        self.ledger.postponed(path, self.tick() + settle_s)
        account = self.accounts[path]
        account.state, account.due = "waiting", self.now + settle_s
        account.attempts = max(0, account.attempts - 1)
        account.let_go()

    @rule(images=st.sets(paths))
    def retry(self, images: set[Path]) -> None:
        self.ledger.retry(images, self.tick())
        for path in images & self.accounts.keys():
            self.accounts[path].ask(self.now)

    @rule()
    def scale_is_given(self) -> None:
        asked = [a for a in self.accounts.values() if a.state == "withheld" and a.without_scale]
        assert self.ledger.retry_without_scale(self.tick()) == len(asked)
        for account in asked:
            account.ask(self.now)

    @rule()
    def kill_and_start(self) -> None:
        self.opened.close()
        self.open()
        given_up = set()
        for path, account in self.accounts.items():
            account.interruptions += account.in_hand
            account.let_go()
            if account.due is not None:
                account.due = 0.0
                if account.interruptions >= MOST_INTERRUPTIONS:
                    account.state, account.due, account.interruptions = "failed", None, 0
                    given_up.add(path)
        self.hand.clear()
        assert set(self.ledger.recover()) == given_up

    @rule(seconds=st.sampled_from([0.5, 11.0, 700.0, LONGEST_PAUSE_S]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def every_image_is_one_row_as_the_account_says(self) -> None:
        if not hasattr(self, "ledger"):
            return
        rows = list(self.ledger.rows())
        assert [(row.path, row.state, row.attempts) for row in rows] == [
            (path, account.state, account.attempts)
            for path, account in sorted(self.accounts.items(), key=lambda item: os.fsencode(item[0].as_posix()))
        ]
        states = [account.state for account in self.accounts.values()]
        assert self.ledger.counts() == {state: states.count(state) for state in State}
        assert self.ledger.waits() >= ("waiting" in states)

    def teardown(self) -> None:
        """Whatever happened: all that waits is done in the end, and what failed is tried again."""
        try:
            if hasattr(self, "ledger"):
                for path, row in self.hand.items():
                    self.ledger.finished(row, result_of(path), self.tick())
                for _ in range(3):
                    self.now += LONGEST_PAUSE_S
                    for _ in self.accounts:
                        if row := self.ledger.take(self.now):
                            self.ledger.finished(row, result_of(Path(row.path)), self.now)
                assert not self.ledger.waits()
                assert self.ledger.take(self.now) is None
                assert self.ledger.counts()[State.WAITING] == 0
                assert all("inflamap retry" in row.reason for row in self.ledger.rows(State.FAILED))
        finally:
            self.opened.close()
            self.place.cleanup()

    def tick(self) -> float:
        self.now += 0.001
        return self.now

    def let_go(self, data: st.DataObject) -> tuple[Path, Any]:
        path = data.draw(st.sampled_from(sorted(self.hand)))
        return path, self.hand.pop(path)

    def state_of(self, path: Path) -> str:
        return next(row.state for row in self.ledger.rows() if row.path == path)


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase


def take(ledger: Ledger, now: float = NOW) -> Any:
    row = ledger.take(now)
    assert row is not None, "nothing is due"
    return row


def read_all(out: Path, *, create: bool) -> None:
    """Open the ledger as a watch does, or as `status` does, and read all of it."""
    with open_ledger(out, create=create) as ledger:
        if create:
            ledger.recover()
        list(ledger.rows())


def only(ledger: Ledger) -> Any:
    (row,) = ledger.rows()
    return row


def test_pause_after_failures_doubles_from_ten_seconds_and_ends_at_an_hour(ledger: Ledger) -> None:
    ledger.arrived(ONE, FILE, NOW)
    now, pauses = NOW, []
    for attempt in range(1, 13):
        row = take(ledger, now)
        assert row.attempts == attempt
        ledger.failed(row, "locked", now)
        pause = next(s for s in (*(10 * 2**n for n in range(9)), 3600) if ledger_is_due(ledger, now, s))
        pauses.append(pause)
        now += pause
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]


def ledger_is_due(ledger: Ledger, failed_at: float, pause_s: float) -> bool:
    """Whether the failed image would be taken then; it is put back."""
    if ledger.take(failed_at + pause_s - 0.5) is not None:
        pytest.fail(f"due before {pause_s} s")
    row = ledger.take(failed_at + pause_s)
    if row is not None:
        ledger.postponed(row.path, failed_at + pause_s)
    return row is not None


def test_a_thousand_failures_are_counted_and_do_not_overflow(ledger: Ledger) -> None:
    ledger.arrived(ONE, FILE, NOW)
    for number in range(1100):
        ledger.failed(take(ledger, NOW + number * LONGEST_PAUSE_S), "locked", NOW + number * LONGEST_PAUSE_S)
    assert only(ledger).attempts == 1100


@pytest.mark.parametrize("back_s", [3700.0, 86_400.0, NOW])
def test_clock_set_back_far_strands_no_failed_image(ledger: Ledger, back_s: float) -> None:
    ledger.arrived(ONE, FILE, NOW)
    ledger.failed(take(ledger), "locked", NOW)
    assert ledger.take(NOW + 9) is None
    assert ledger.take(NOW - back_s) is not None


@pytest.mark.parametrize("back_s", [5.0, 600.0, 3500.0])
def test_clock_set_back_a_little_lets_a_failed_image_wait_no_more_than_that_longer(
    ledger: Ledger, back_s: float
) -> None:
    ledger.arrived(ONE, FILE, NOW)
    ledger.failed(take(ledger), "locked", NOW)
    assert ledger.take(NOW - back_s + FIRST_PAUSE_S + back_s) is not None


def test_new_content_of_a_failed_image_is_due_at_once_and_its_pauses_start_anew(ledger: Ledger) -> None:
    ledger.arrived(ONE, FILE, NOW)
    now = NOW
    for _ in range(5):
        ledger.failed(take(ledger, now), "locked", now)
        now += LONGEST_PAUSE_S
    ledger.failed(take(ledger, now), "locked", now)
    ledger.arrived(ONE, FileState(11, 21), now + 1)
    row = take(ledger, now + 1)
    assert (row.state, row.reason, row.attempts) == (State.WAITING, "", 1)
    ledger.failed(row, "locked", now + 1)
    assert ledger.take(now + 12) is not None


def test_failed_images_are_tried_at_once_after_a_start(ledger: Ledger) -> None:
    ledger.arrived(ONE, FILE, NOW)
    ledger.failed(take(ledger), "locked", NOW)
    assert not ledger.waits()
    assert ledger.recover() == []
    assert ledger.waits()
    row = take(ledger, NOW + 0.1)
    # what it failed with is still known, lest it be told twice
    assert (row.reason, row.attempts) == ("locked", 2)


def test_image_that_ends_the_program_is_given_up_with_a_reason_and_healed_by_retry(ledger: Ledger) -> None:
    ledger.arrived(ONE, FILE, NOW)
    for _ in range(MOST_INTERRUPTIONS - 1):
        take(ledger)
        assert ledger.recover() == []
    take(ledger)
    assert ledger.recover() == [ONE]
    row = only(ledger)
    assert row.state == State.FAILED
    assert "ended 5 times" in row.reason
    assert "next: inflamap retry" in row.reason
    # neither time nor a start brings it back, and it is told of once
    assert ledger.take(NOW + 1e9) is None
    assert ledger.recover() == []
    assert ledger.take(NOW + 1e9) is None
    ledger.retry([ONE], NOW)
    for _ in range(MOST_INTERRUPTIONS - 1):
        take(ledger)
        assert ledger.recover() == [], "the interruptions of before were counted again"


def test_new_content_of_an_image_given_up_is_taken(ledger: Ledger) -> None:
    ledger.arrived(ONE, FILE, NOW)
    for _ in range(MOST_INTERRUPTIONS):
        take(ledger)
        ledger.recover()
    ledger.arrived(ONE, FileState(11, 21), NOW)
    assert take(ledger).path == ONE


def test_interrupted_image_comes_after_all_others_that_wait(ledger: Ledger) -> None:
    for number, name in enumerate(["first", "second", "third"]):
        ledger.arrived(Path(name), FILE, NOW + number)
    assert take(ledger).path == Path("first")
    ledger.recover()
    assert [take(ledger).path.name for _ in range(3)] == ["second", "third", "first"]


@pytest.mark.parametrize("before", ["first time", "retried before"])
@pytest.mark.parametrize("end", ["finished", "failed"])
def test_retry_asked_for_while_in_hand_leaves_it_waiting(ledger: Ledger, before: str, end: str) -> None:
    ledger.arrived(ONE, FILE, NOW)
    if before == "retried before":
        ledger.retry([ONE], NOW)
    row = take(ledger)
    ledger.retry([ONE], NOW + 1)
    if end == "finished":
        ledger.finished(row, result_of(), NOW + 2)
    else:
        ledger.failed(row, "locked", NOW + 2)
    again = take(ledger, NOW + 2)
    assert again.redo
    ledger.finished(again, result_of(), NOW + 3)
    assert only(ledger).state == State.SCORED
    assert not only(ledger).redo
    assert ledger.take(NOW + 1e9) is None


def test_content_that_comes_while_an_older_one_fails_does_not_wait_for_the_older_ones_pause(ledger: Ledger) -> None:
    ledger.arrived(ONE, FILE, NOW)
    now = NOW
    for _ in range(9):
        ledger.failed(take(ledger, now), "truncated", now)
        now += LONGEST_PAUSE_S
    row = take(ledger, now)
    ledger.arrived(ONE, FileState(11, 21), now + 1)
    ledger.failed(row, "truncated", now + 2)
    assert ledger.take(now + 2 + FIRST_PAUSE_S) is not None


def test_retry_of_a_failed_image_clears_its_reason_and_keeps_the_others(ledger: Ledger) -> None:
    for name in ("a.bmp", "b.bmp"):
        ledger.arrived(Path(name), FILE, NOW)
        ledger.failed(take(ledger), f"{name} is locked", NOW)
    ledger.retry([ONE, Path("unknown.bmp")], NOW)
    assert [(row.path.name, row.state, row.reason, row.redo) for row in ledger.rows()] == [
        ("a.bmp", State.WAITING, "", True),
        ("b.bmp", State.FAILED, "b.bmp is locked", False),
    ]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_comes_back_as_it_was_and_so_do_its_result_files(name: str, tmp_path: Path) -> None:
    path = Path(name)
    with open_ledger(tmp_path, create=True) as ledger:
        ledger.arrived(path, FILE, NOW)
        ledger.finished(take(ledger), result_of(path), NOW)
    with open_ledger(tmp_path) as ledger:
        assert list(ledger.known()) == [(path, FILE)]
        row = only(ledger)
    files = result_files(path)
    assert row.path == path
    assert os.fsencode(row.outcome.score_file) == os.fsencode(files.score.as_posix())
    assert (row.outcome.overlay_file, row.outcome.map_file) == (files.overlay.as_posix(), files.map.as_posix())


def test_one_name_is_one_row_however_its_folders_are_written(ledger: Ledger) -> None:
    ledger.arrived(Path("sub") / "a.bmp", FILE, NOW)
    ledger.arrived(Path("sub/./a.bmp"), FILE, NOW)
    assert only(ledger).path.as_posix() == "sub/a.bmp"


def test_result_is_kept_whole(ledger: Ledger) -> None:
    ledger.arrived(ONE, FILE, NOW)
    ledger.finished(take(ledger), result_of(), NOW + 3)
    row = only(ledger)
    assert (row.state, row.reason, row.attempts, row.arrived, row.finished) == (State.SCORED, "", 1, NOW, NOW + 3)
    assert (row.outcome.score, row.outcome.grade, row.outcome.synthetic) == (2.25, 2, True)
    ledger.retry([ONE], NOW + 4)
    ledger.finished(take(ledger, NOW + 4), result_of(status="withheld"), NOW + 5)
    row = only(ledger)
    assert (row.state, row.reason, row.outcome.score, row.outcome.map_file) == (
        State.WITHHELD,
        "too dark, too small",
        None,
        None,
    )


def test_what_status_asks_is_answered(ledger: Ledger) -> None:
    records = [
        result_of(),
        result_of(um_per_px=0.7),
        result_of(status="withheld", um_per_px=None, model="other"),
    ]
    assert ledger.oldest_waiting() is None
    assert ledger.finished_between(0, NOW) == (0, None)
    for number, record in enumerate(records):
        ledger.arrived(Path(f"{number}.bmp"), FILE, NOW + number)
        ledger.finished(take(ledger, NOW + number), record, NOW + 10 + number)
    ledger.arrived(Path("w1.bmp"), FILE, NOW + 50)
    ledger.arrived(Path("w2.bmp"), FILE, NOW + 40)
    ledger.failed(take(ledger, NOW + 60), "locked", NOW + 60)
    assert ledger.counts() == {State.WAITING: 1, State.SCORED: 2, State.WITHHELD: 1, State.FAILED: 1}
    assert ledger.oldest_waiting() == NOW + 50
    assert ledger.finished_between(NOW + 11, NOW + 12) == (2, NOW + 11)
    assert ledger.models() == [ModelShare("tiny", "t" * 64, 2), ModelShare("other", "o" * 64, 1)]
    assert ledger.at_other_scale(0.5) == 1
    assert [row.path.name for row in ledger.rows(State.FAILED)] == ["w2.bmp"]


def test_notes_are_kept_and_replaced(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        assert ledger.noted("folder") is None
        for value in ("first", {"name": "m\udcff"}, None, os.fsdecode(b"/a\xff") if os.name != "nt" else "x"):
            ledger.note("folder", value)
            assert ledger.noted("folder") == value


def test_missing_ledger_is_told_with_the_next_step_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(InflamapError, match=r"inflamap\.db: no such ledger; wanted: .*--out; next: check --out"):
        read_all(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
def test_garbage_is_told_as_damage_with_what_to_do(tmp_path: Path, create: bool) -> None:
    garbage = bytes(range(256)) * 64
    (tmp_path / LEDGER_FILE).write_bytes(garbage)
    with pytest.raises(InflamapError, match=r"the ledger is damaged.*next: stop the watch and move this file away"):
        read_all(tmp_path, create=create)
    assert (tmp_path / LEDGER_FILE).read_bytes() == garbage


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9])
def test_truncated_ledger_is_told_as_damage(tmp_path: Path, kept: float, create: bool) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(500):
            ledger.arrived(Path(f"{number:0100}.bmp"), FILE, NOW)
    path = tmp_path / LEDGER_FILE
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(InflamapError, match=r"the ledger is damaged.*next: "):
        read_all(tmp_path, create=create)


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("version", [0, LEDGER_VERSION, 7])
def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path, version: int, create: bool) -> None:
    path = tmp_path / LEDGER_FILE
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE patients (name TEXT)")
        database.execute(f"PRAGMA user_version = {version}")
        database.commit()
    before = path.read_bytes()
    with pytest.raises(InflamapError, match=r"not a ledger of this inflamap.*another program's database.*next: "):
        read_all(tmp_path, create=create)
    assert path.read_bytes() == before


@pytest.mark.parametrize("create", [True, False])
def test_ledger_of_a_newer_inflamap_is_refused_and_left_as_it_is(
    tmp_path: Path, create: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        ledger.arrived(ONE, FILE, NOW)
    path = tmp_path / LEDGER_FILE
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {LEDGER_VERSION + 1}")
    before = path.read_bytes()
    monkeypatch.setattr("runtime.ledger.ledger.is_network_folder", lambda _out: True)
    with pytest.raises(InflamapError, match=r"seen: version 2; wanted: version 1; next: use the inflamap that wrote"):
        read_all(tmp_path, create=create)
    assert path.read_bytes() == before


@pytest.mark.parametrize("create", [True, False])
def test_file_of_no_bytes_as_a_kill_may_leave_it_becomes_a_ledger_at_the_next_start(
    tmp_path: Path, create: bool
) -> None:
    (tmp_path / LEDGER_FILE).touch()
    if create:
        with open_ledger(tmp_path, create=True) as ledger:
            assert not ledger.waits()
    else:
        with pytest.raises(InflamapError, match="next: "), open_ledger(tmp_path):
            pass


@pytest.mark.parametrize(("network", "journal"), [(False, "wal"), (True, "delete")])
def test_network_folders_get_the_journal_that_works_there(
    tmp_path: Path, network: bool, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whichever it had before
    for answer in (not network, network):
        monkeypatch.setattr("runtime.ledger.ledger.is_network_folder", lambda _out, answer=answer: answer)
        with open_ledger(tmp_path, create=True) as ledger:
            ledger.arrived(ONE, FILE, NOW)
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == (journal,)


def test_status_reads_while_the_watch_writes(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as watch, open_ledger(tmp_path) as status:
        watch.arrived(ONE, FILE, NOW)
        with closing(sqlite3.connect(tmp_path / LEDGER_FILE, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE images SET state = 'failed'")
            started = time.monotonic()
            assert status.counts()[State.WAITING] == 1
            assert time.monotonic() - started < 5
            writer.execute("COMMIT")
        assert status.counts()[State.FAILED] == 1


@pytest.mark.parametrize("network", [False, True])
def test_retry_command_asks_while_the_watch_works(
    tmp_path: Path, network: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.ledger.ledger.is_network_folder", lambda _out: network)
    with open_ledger(tmp_path, create=True) as watch, open_ledger(tmp_path) as command:
        watch.arrived(ONE, FILE, NOW)
        row = take(watch)
        command.retry([ONE], NOW + 1)
        watch.finished(row, result_of(), NOW + 2)
        assert take(watch, NOW + 2).redo


def test_disk_error_while_working_is_told_plainly(tmp_path: Path) -> None:
    told = r"inflamap\.db: the ledger cannot be read or written; seen: disk I/O error; next: check"
    with pytest.raises(InflamapError, match=told), open_ledger(tmp_path, create=True):
        raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_kill_loses_nothing_that_was_told_to_the_ledger(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from runtime.file_state import FileState\n"
        "from runtime.ledger import open_ledger\n"
        "with open_ledger(Path(sys.argv[1]), create=True) as ledger:\n"
        "    for name in 'abc': ledger.arrived(Path(name), FileState(1, 1), 1.0)\n"
        "    ledger.take(2.0)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path], check=False).returncode == -signal.SIGKILL
    with open_ledger(tmp_path) as ledger:
        assert ledger.counts()[State.WAITING] == 3
        assert ledger.recover() == []
        assert [take(ledger).path.name for _ in range(3)] == ["b", "c", "a"]
