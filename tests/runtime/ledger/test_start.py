"""A ledger at a start: a lost or damaged one is made anew of a watch's records, and of no others."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from made_up import arrive, result_of

from runtime.failure_record import FailureRecord, write_failure
from runtime.file_state import FileState
from runtime.ledger import State, open_ledger
from runtime.ledger.binding import bind_folder
from runtime.ledger.start import Start, started_ledger
from runtime.outputs import LEDGER_FILE, write_result

SCORED, FAILED, LATE = Path("scored.bmp"), Path("failed.bmp"), Path("late.bmp")


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder with the records of a result and of a failure, without a ledger."""
    folder = tmp_path / "out"
    write_result(folder, SCORED, overlay=b"o", map_file=b"m", record=result_of(SCORED).to_json())
    write_failure(
        folder,
        FailureRecord(path=FAILED, file=FileState(1, 2), reason="cut", attempts=3, heals=False, gone=False, at=1000.0),
    )
    return folder


def watch(out: Path, watched: Path) -> None:
    """Make the ledger of a watch that knows one image."""
    with open_ledger(out, create=True) as ledger:
        bind_folder(ledger, watched, out)
        arrive(ledger, LATE, FileState(1, 1), 1.0)


def states(start: Start) -> dict[str, State]:
    return {row.path.name: row.state for row in start.ledger.rows()}


def test_results_without_a_watch_are_not_taken_over(out: Path, watched: Path) -> None:
    with started_ledger(out, watched) as start:
        assert (start.taken_over, start.failures, start.damage, start.aside) == (0, 0, None, None)
        assert states(start) == {}


def test_whole_ledger_is_opened_as_it_is(out: Path, watched: Path) -> None:
    watch(out, watched)
    with started_ledger(out, watched) as start:
        assert (start.taken_over, start.failures, start.damage, start.aside) == (0, 0, None, None)
        assert states(start) == {"late.bmp": State.WAITING}


def test_lost_ledger_is_made_anew(out: Path, watched: Path) -> None:
    watch(out, watched)
    (out / LEDGER_FILE).unlink()
    with started_ledger(out, watched) as start:
        assert (start.taken_over, start.failures, start.damage, start.aside) == (1, 1, None, None)
        assert states(start) == {"scored.bmp": State.SCORED, "failed.bmp": State.FAILED}


def test_damaged_ledger_is_set_aside_and_made_anew(out: Path, watched: Path) -> None:
    watch(out, watched)
    with closing(sqlite3.connect(out / LEDGER_FILE, isolation_level=None)) as other:
        other.execute("DELETE FROM images")
    with started_ledger(out, watched) as start:
        assert (start.taken_over, start.failures) == (1, 1)
        assert start.damage == "rows of images are missing, or older than they were"
        assert start.aside == out / f"{LEDGER_FILE}.damaged-1"
        assert states(start) == {"scored.bmp": State.SCORED, "failed.bmp": State.FAILED}
