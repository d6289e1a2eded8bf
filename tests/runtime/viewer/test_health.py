"""How the watch stands, and when somebody has to come."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runtime.ledger import open_ledger
from runtime.status import Status, status_of
from runtime.viewer import health
from runtime.viewer.health import STUCK_S, Health, health_of


@pytest.fixture
def status(tmp_path: Path) -> Status:
    with open_ledger(tmp_path, create=True) as ledger:
        return status_of(ledger, running=True, now=0.0)


def look(status: Status | None, out: Path, **options: Any) -> Health:
    return health_of(status, out, **{"loop_age_s": 1.0, "min_free_gb": 0.0} | options)


def test_nothing_wrong_is_ok(status: Status, tmp_path: Path) -> None:
    found = look(status, tmp_path)
    assert (found.ok, found.severe, found.faults) == (True, False, ())
    assert found.free_gb is not None


def test_a_loop_that_is_stuck_is_severe(status: Status, tmp_path: Path) -> None:
    assert look(status, tmp_path, loop_age_s=STUCK_S).ok
    found = look(status, tmp_path, loop_age_s=STUCK_S + 60)
    assert (found.ok, found.severe) == (False, True)
    assert found.faults == ("the watch does not answer: its loop was last seen alive 80 s ago",)


def test_a_full_disk_is_severe(status: Status, tmp_path: Path) -> None:
    found = look(status, tmp_path, min_free_gb=1e9)
    assert found.severe
    assert "the results' disk is full" in found.faults[0]


def test_a_disk_that_does_not_answer_is_severe(status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path) -> int:
        raise OSError

    monkeypatch.setattr(health, "free_bytes", refuse)
    assert look(status, tmp_path).severe


def test_a_share_that_is_gone_is_told_and_not_severe(status: Status, tmp_path: Path) -> None:
    found = look(replace(status, folder_fault="/scans: cannot be listed"), tmp_path)
    assert (found.ok, found.severe, found.faults) == (False, False, ("/scans: cannot be listed",))


def test_a_ledger_that_cannot_be_read_is_severe(tmp_path: Path) -> None:
    found = look(None, tmp_path)
    assert found.severe
    assert found.faults == ("the ledger cannot be read",)
    assert found.counts == {"waiting": 0, "scored": 0, "withheld": 0, "failed": 0}
