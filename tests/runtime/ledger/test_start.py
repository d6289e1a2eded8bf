"""A ledger at a start: a lost or damaged one is made anew of a watch's records, and of no others."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from made_up import arrive, result_of

from runtime.errors import InflamapError
from runtime.failure_record import FailureRecord, write_failure
from runtime.file_state import FileState
from runtime.ledger import State, checksum, open_ledger
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


@pytest.mark.parametrize("lost", [False, True], ids=["damaged", "lost"])
def test_ledger_made_anew_is_still_of_its_folder(out: Path, watched: Path, lost: bool, tmp_path: Path) -> None:
    """Another folder's image of the same name would replace a result."""
    watch(out, watched)
    if lost:
        (out / LEDGER_FILE).unlink()
    else:
        (out / LEDGER_FILE).write_bytes(b"no database" * 1000)
    (tmp_path / "other").mkdir()
    with started_ledger(out, watched) as start:
        with pytest.raises(InflamapError, match="holds results of another folder"):
            bind_folder(start.ledger, tmp_path / "other", out)
        bind_folder(start.ledger, watched, out)


def test_stop_while_the_ledger_is_looked_through_damages_nothing(
    out: Path, watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(out, watched)

    def stop(*_columns: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checksum, "checksum", stop)
        with pytest.raises(KeyboardInterrupt):
            started_ledger(out, watched).__enter__()
    assert sorted(path.name for path in out.iterdir() if "damaged" in path.name) == []
    with started_ledger(out, watched) as start:
        assert (start.damage, states(start)) == (None, {"late.bmp": State.WAITING})
