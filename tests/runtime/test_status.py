"""How a watch stands, told from its ledger."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import arrive, result_of

from runtime.file_state import FileState
from runtime.ledger import Ledger, State, open_ledger
from runtime.status import status_of
from runtime.version import NOTICE, __version__

NOW = 1_700_000_000.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, create=True) as opened:
        yield opened


def arrives(ledger: Ledger, name: str, at: float = NOW) -> None:
    arrive(ledger, Path(name), FileState(1, 1), at)


def finish(ledger: Ledger, name: str, at: float = NOW, **record: Any) -> None:
    arrives(ledger, name, at)
    row = ledger.take(at)
    assert row is not None
    ledger.finished(row, result_of(Path(name), **record), at)


def test_before_the_first_watch_there_is_nothing_to_tell(ledger: Ledger) -> None:
    document = status_of(ledger, running=False, now=NOW).to_json()
    assert document == {
        "counts": {"waiting": 0, "scored": 0, "withheld": 0, "failed": 0},
        "oldest_waiting_s": None,
        "engine": None,
        "images_per_second": 0.0,
        "running": False,
        "process": None,
        "paused": None,
        "folder": None,
        "folder_fault": None,
        "discovery": None,
        "model": None,
        "models": [],
        "mixed_models": False,
        "of_another_model": 0,
        "failed": [],
        "version": __version__,
        "notice": NOTICE,
    }


def test_everything_is_told(ledger: Ledger) -> None:
    for name, value in {
        "engine": "onnxruntime-fp32",
        "model": {"name": "tiny", "sha256": "t" * 64, "synthetic": True},
        "folder_fault": "cannot be listed",
        "process": 77,
        "paused": "disk full",
        "folder": "/data/in",
        "discovery": "polling",
    }.items():
        ledger.note(name, value)
    finish(ledger, "a.bmp", NOW)
    finish(ledger, "b.bmp", NOW + 10, status="withheld")
    finish(ledger, "c.bmp", NOW + 20, model="other")
    arrives(ledger, "site 1/f.bmp", NOW + 20)
    row = ledger.take(NOW + 20)
    assert row is not None
    ledger.failed(row, "locked", NOW + 20)
    arrives(ledger, "w.bmp", NOW + 25)
    arrives(ledger, "v.bmp", NOW + 22)
    # in hand it still waits for its result
    assert ledger.take(NOW + 25) is not None
    document = status_of(ledger, running=True, now=NOW + 30).to_json()
    assert json.loads(json.dumps(document)) == {
        "counts": {"waiting": 2, "scored": 2, "withheld": 1, "failed": 1},
        "oldest_waiting_s": 8.0,
        "engine": "onnxruntime-fp32",
        "images_per_second": 0.1,
        "running": True,
        "process": 77,
        "paused": "disk full",
        "folder": "/data/in",
        "folder_fault": "cannot be listed",
        "discovery": "polling",
        "model": {"name": "tiny", "sha256": "t" * 64, "synthetic": True},
        "models": [
            {"model": "tiny", "sha256": "t" * 64, "images": 2},
            {"model": "other", "sha256": "o" * 64, "images": 1},
        ],
        "mixed_models": True,
        "of_another_model": 1,
        "failed": [{"path": "site 1/f.bmp", "reason": "locked", "attempts": 1, "again_in_s": 0.0}],
        "version": __version__,
        "notice": NOTICE,
    }


def test_pause_of_a_watch_that_was_killed_is_over(ledger: Ledger) -> None:
    ledger.note("paused", "disk full")
    assert status_of(ledger, running=True, now=NOW).paused == "disk full"
    assert status_of(ledger, running=False, now=NOW).paused is None


@pytest.mark.parametrize(
    ("finished", "now", "rate"),
    [
        ([], 0.0, 0.0),
        # one result a moment ago is no thousand a second
        ([0.0], 0.001, 1.0),
        ([0.0, 1.0, 2.0, 3.0], 4.0, 1.0),
        # the last minute only
        ([0.0] * 50 + [100.0, 110.0], 120.0, 0.1),
        ([0.0], 61.0, 0.0),
    ],
)
def test_rate_is_of_the_last_minute(ledger: Ledger, finished: list[float], now: float, rate: float) -> None:
    for number, at in enumerate(finished):
        finish(ledger, f"{number}.bmp", NOW + at)
    assert status_of(ledger, running=True, now=NOW + now).images_per_second == pytest.approx(rate)


def test_clock_set_back_makes_neither_ages_below_zero_nor_a_rate_of_results_to_come(ledger: Ledger) -> None:
    for number in range(100):
        finish(ledger, f"{number}.bmp", NOW + number)
    arrives(ledger, "w.bmp", NOW + 100)
    status = status_of(ledger, running=True, now=NOW - 3600)
    assert status.oldest_waiting_s == 0.0
    assert status.images_per_second <= 1.0


def test_failed_images_keep_no_model_in_the_mix(ledger: Ledger) -> None:
    finish(ledger, "a.bmp", model="tiny")
    finish(ledger, "b.bmp", model="other")
    ledger.retry([Path("b.bmp")], NOW)
    status = status_of(ledger, running=True, now=NOW)
    assert not status.mixed_models
    assert status.counts == {State.WAITING: 1, State.SCORED: 1, State.WITHHELD: 0, State.FAILED: 0}
