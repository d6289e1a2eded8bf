"""No image is lost, taken twice or stranded, in whatever order things happen."""

import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from made_up import arrive, result_of

from runtime.file_state import FileState
from runtime.ledger import State, open_ledger
from runtime.ledger.checksum import fault_in_rows
from runtime.ledger.columns import COLUMNS
from runtime.ledger.turns import Turn

NOW = 1_700_000_000.0
# written out, lest a change of them goes unseen
FIRST_PAUSE_S, LONGEST_PAUSE_S, MOST_INTERRUPTIONS = 10.0, 3600.0, 5
HOPELESS = "will never be an image"
NAMES = ["a.bmp", "Site #1/deep er/v 0000000.bmp", "ä ö/%20?*.bmp", "line\nbreak\t'\".bmp", "x" * 246 + ".bmp"]
if sys.platform != "win32":
    NAMES.append(os.fsdecode(b"a\xff.bmp"))


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
    redo: bool = False
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

    paths = st.sampled_from([Path(name) for name in NAMES])

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
        arrive(self.ledger, path, FileState(self.version, self.version), self.tick())
        self.accounts.setdefault(path, Account("waiting", self.now)).ask(self.now, arrival=True)

    @rule(turn=st.sampled_from(Turn), beside=st.booleans())
    def take(self, turn: Turn, beside: bool) -> None:
        row = self.ledger.take(self.tick(), turn=turn, beside=beside)
        able = {
            path: self.rank(account, turn)
            for path, account in self.accounts.items()
            if not account.in_hand and account.due is not None and account.due <= self.now
        }
        first = min(able, key=lambda path: able[path], default=None)
        if row is None:
            # one that interrupted before is taken alone
            assert first is None or (beside and self.accounts[first].interruptions), "left lying"
            return
        path = Path(row.path)
        assert path not in self.hand, "taken twice"
        assert path in able, "taken without an arrival or a retry"
        assert first is not None
        assert able[path] == able[first], "not its turn"
        account = self.accounts[path]
        assert not (beside and account.interruptions), "taken beside another"
        account.in_hand = True
        account.attempts += 1
        assert row.attempts == account.attempts
        self.hand[path] = row

    @precondition(lambda self: self.hand)
    @rule(
        status=st.sampled_from(["scored", "withheld"]),
        um_per_px=st.sampled_from([None, 0.5]),
        gone=st.booleans(),
        data=st.data(),
    )
    def finish(self, status: str, um_per_px: float | None, gone: bool, data: st.DataObject) -> None:
        path, row = self.let_go(data)
        self.ledger.finished(row, result_of(path, status=status, um_per_px=um_per_px), self.tick(), gone=gone)
        account = self.accounts[path]
        again = account.asked_again
        if account.arrived_again and not again:
            # its content is hashed again after it was scored, so that both are right: done, and once more
            again = self.state_of(path) == "waiting"
        account.state, account.due = ("waiting", 0.0) if again else (status, None)
        # what somebody asked for is not forgotten because the image is away just now
        account.redo &= again or gone
        account.without_scale = status == "withheld" and um_per_px is None
        account.interruptions = 0
        account.let_go()

    @precondition(lambda self: self.hand)
    @rule(data=st.data(), heals=st.booleans(), gone=st.booleans())
    def fail(self, data: st.DataObject, heals: bool, gone: bool) -> None:
        path, row = self.let_go(data)
        reason = "cannot be read" if heals and not gone else HOPELESS
        due = self.ledger.failed(row, reason, self.tick(), heals=heals, gone=gone)
        account = self.accounts[path]
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (row.attempts - 1))
        assert due == (self.now + pause_s if heals and not gone else None)
        if (account.asked_again or account.arrived_again) and self.state_of(path) == "waiting":
            account.due = 0.0
        else:
            account.state, account.due = "failed", due
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
            self.accounts[path].redo = True

    @rule()
    def other_version_starts(self) -> None:
        failed = [account for account in self.accounts.values() if account.state == "failed" and not account.in_hand]
        if not any(account.in_hand for account in self.accounts.values()):
            gone = {row.path for row in self.ledger.rows() if row.file.size == -1}
            failed = [account for path, account in self.accounts.items() if account in failed and path not in gone]
            assert self.ledger.retry_failed(self.tick()) == len(failed)
            for account in failed:
                account.due, account.attempts, account.interruptions, account.arrived = 0.0, 0, 0, self.now

    @rule()
    def scale_is_given(self) -> None:
        asked = [a for a in self.accounts.values() if a.state == "withheld" and a.without_scale]
        assert self.ledger.retry_without_scale(self.tick()) == len(asked)
        for account in asked:
            account.ask(self.now)

    @rule()
    def end_in_order_and_start(self) -> None:
        self.ledger.release()
        for account in self.accounts.values():
            account.let_go()
        self.kill_and_start()

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

    @rule(seconds=st.sampled_from([0.5, 11.0, 61.0, 700.0, LONGEST_PAUSE_S]))
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
        assert fault_in_rows(self.ledger._database, "images", COLUMNS) is None

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
                # what is left is listed with its reason
                reasons = [row.reason for row in self.ledger.rows(State.FAILED)]
                assert all("inflamap retry" in reason or reason == HOPELESS for reason in reasons)
        finally:
            self.opened.close()
            self.place.cleanup()

    def tick(self) -> float:
        self.now += 0.001
        return self.now

    def rank(self, account: Account, turn: Turn) -> tuple[float, ...]:
        """The lowest is taken."""
        retried = account.state == "failed"
        if turn is Turn.NEWEST and not (account.redo or account.interruptions or retried):
            return (-1, -account.arrived)
        since = max(account.arrived, account.due or 0.0) if retried else account.arrived
        if turn is Turn.LONGEST:
            return (since,)
        return (account.interruptions, retried, account.redo, since)

    def let_go(self, data: st.DataObject) -> tuple[Path, Any]:
        path = data.draw(st.sampled_from(sorted(self.hand)))
        return path, self.hand.pop(path)

    def state_of(self, path: Path) -> str:
        return next(row.state for row in self.ledger.rows() if row.path == path)


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase
