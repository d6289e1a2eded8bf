"""A ledger of version 1 is brought to this version at a start of the watch, all of it or nothing."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from watch_bench import Bench

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.ledger import State, open_ledger
from runtime.ledger.damage import damage_of, set_aside_damaged
from runtime.outputs import LEDGER_FILE
from runtime.service import Tally

# the schema of version 1, as it was in use
VERSION_1 = (Path(__file__).parent / "version_1.sql").read_text()
SHARED = (
    "path, state, reason, size, mtime_ns, arrived, due, begun, attempts, interruptions, redo, finished, sha256, "
    "um_per_px, score, grade, withheld_fraction, area_fraction, model, model_sha256, engine, precision, synthetic, "
    "read_ms, infer_ms, write_ms, total_ms, score_file, overlay_file, map_file"
)


def make_version_1(out: Path, *statements: str, rows_of: Path | None = None) -> Path:
    """A ledger of version 1; `rows_of`: with the rows of a ledger of this version."""
    path = out / LEDGER_FILE
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.executescript(VERSION_1)
        if rows_of is not None:
            database.execute("ATTACH ? AS newer", (str(rows_of),))
            database.execute(f"INSERT INTO images ({SHARED}) SELECT {SHARED} FROM newer.images")
            database.execute("INSERT INTO notes (name, value) SELECT name, value FROM newer.notes")
        for statement in statements:
            database.execute(statement)
    return path


ROWS = (
    "INSERT INTO images (path, state, size, mtime_ns, arrived, due) VALUES (x'772E626D70', 'waiting', 3, 4, 5.5, 0)",
    "INSERT INTO images (path, state, reason, size, mtime_ns, arrived, due, attempts, finished)"
    " VALUES (x'66C3A4', 'failed', 'größer', 3, 4, 5.5, 99.25, 7, 9.5)",
    "INSERT INTO notes VALUES ('folder', '\"/data/näher\"')",
)


def test_all_that_version_1_knew_is_kept(tmp_path: Path) -> None:
    path = make_version_1(tmp_path, *ROWS)
    assert set_aside_damaged(tmp_path) is None
    with open_ledger(tmp_path, create=True) as ledger:
        failed, waiting = ledger.rows()
        assert (waiting.path, waiting.state, waiting.file) == (
            Path("w.bmp"),
            State.WAITING,
            FileState(3, 4, None, None),
        )
        assert (failed.state, failed.reason, failed.due, failed.attempts) == (State.FAILED, "größer", 99.25, 7)
        assert ledger.noted("folder") == "/data/näher"
        assert ledger.damaged_rows() == 0
        taken = ledger.take(10.0)
        assert taken is not None
        assert taken.path == waiting.path
    assert damage_of(path) is None


def test_readers_are_told_to_start_the_watch_first(tmp_path: Path) -> None:
    path = make_version_1(tmp_path, *ROWS)
    before = path.read_bytes()
    told = r"seen: version 1; wanted: version 2; next: start the watch, which brings it to this version"
    with pytest.raises(InflamapError, match=told), open_ledger(tmp_path):
        pass
    assert path.read_bytes() == before


def test_migration_that_is_interrupted_leaves_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_version_1(tmp_path, *ROWS)

    def full(_database: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("runtime.ledger.schema.take_over_version_1", full)
        with pytest.raises(InflamapError, match="disk is full"), open_ledger(tmp_path, create=True):
            pass
    assert damage_of(path) is None
    with open_ledger(tmp_path, create=True) as ledger:
        assert len(list(ledger.rows())) == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE images SET reason = CAST(x'C328' AS TEXT)",
        "UPDATE images SET finished = x'00'",
        "UPDATE images SET attempts = 'seven'",
        "UPDATE notes SET value = '{'",
        "UPDATE notes SET value = CAST(x'22FF22' AS TEXT)",
        "DROP INDEX images_due",
        "PRAGMA user_version = 5",
        "PRAGMA user_version = 2",
        "PRAGMA application_id = 7",
    ],
)
def test_damaged_version_1_is_set_aside(tmp_path: Path, damage: str) -> None:
    make_version_1(tmp_path, *ROWS, damage)
    assert set_aside_damaged(tmp_path) is not None
    with open_ledger(tmp_path, create=True) as ledger:
        assert ledger.is_empty()


def test_images_of_version_1_are_read_once_more_and_not_scored_again(
    bench: Bench, tmp_path: Path, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for name in ("a.bmp", "b.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    bench.once()
    written = {path: path.stat().st_mtime_ns for path in bench.out.glob("*.score.json")}
    finished = {name: row.finished for name, row in bench.rows().items()}
    newer = (bench.out / LEDGER_FILE).rename(tmp_path / "newer.db")
    make_version_1(bench.out, rows_of=newer)
    assert bench.once() == Tally(kept=2)
    assert {path: path.stat().st_mtime_ns for path in bench.out.glob("*.score.json")} == written
    assert {name: row.finished for name, row in bench.rows().items()} == finished
    assert bench.once() == Tally()
