"""Every change keeps the checksums, whoever writes the statement; and none of a damaged row makes them fit."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from made_up import arrive, result_of

from runtime.file_state import FileState
from runtime.ledger import Ledger, open_ledger
from runtime.ledger.checksum import checksum, fault_in_rows, prepare
from runtime.ledger.columns import COLUMNS, NOTE_COLUMNS
from runtime.outputs import LEDGER_FILE

ONE, TWO = Path("a.bmp"), Path("b.bmp")
TABLES = {"images": COLUMNS, "notes": NOTE_COLUMNS}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, create=True) as opened:
        for path in (ONE, TWO):
            arrive(opened, path, FileState(1, 2, 3, 4), 1.0)
        opened.note("folder", "/data")
        yield opened


def finish_one(ledger: Ledger) -> None:
    row = ledger.take(3.0)
    assert row is not None
    ledger.finished(row, result_of(Path(row.path)), 4.0)


def fail_one(ledger: Ledger) -> None:
    row = ledger.take(3.0)
    assert row is not None
    ledger.failed(row, "größer", 4.0)
    ledger.dropped(Path(row.path))


CHANGES: dict[str, Callable[[Ledger], object]] = {
    "arrived": lambda ledger: arrive(ledger, ONE, FileState(2, 3), 2.0),
    "arrived, new": lambda ledger: arrive(ledger, Path("c.bmp"), FileState(2, 3), 2.0),
    "finished": finish_one,
    "failed and dropped": fail_one,
    "taken": lambda ledger: ledger.take(3.0),
    "interrupted": lambda ledger: (ledger.take(3.0), ledger.recover()),
    "released": lambda ledger: (ledger.take(3.0), ledger.release()),
    "retried": lambda ledger: ledger.retry([ONE, TWO], 3.0),
    "restored": lambda ledger: ledger.restore([(Path("d.bmp"), result_of(Path("d.bmp")), 3.0)]),
    "overlay removed": lambda ledger: (finish_one(ledger), ledger.overlay_removed(ONE), ledger.overlay_removed(TWO)),
    "noted": lambda ledger: (ledger.note("folder", "/other"), ledger.note("process", 5)),
    "any statement": lambda ledger: ledger._database.execute("UPDATE images SET score = 2.0, path = path || x'31'"),
    "any other": lambda ledger: ledger._database.execute("INSERT INTO notes (name, value) VALUES ('x', '1')"),
    "rolled back": lambda ledger: ledger._database.executescript("BEGIN; DELETE FROM notes; ROLLBACK"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_keeps_them(ledger: Ledger, change: str) -> None:
    CHANGES[change](ledger)
    assert ledger.damaged_rows() == 0
    assert {table: fault_in_rows(ledger._database, table, columns) for table, columns in TABLES.items()} == {
        "images": None,
        "notes": None,
    }


@pytest.mark.parametrize("table", TABLES)
def test_every_stored_column_is_in_them(ledger: Ledger, table: str) -> None:
    stored = [name for _, name, *_ in ledger._database.execute(f"PRAGMA table_info({table})")]
    assert sorted(stored) == sorted((*TABLES[table], "crc"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1,), (1.0,)),
        (("a",), (b"a",)),
        ((None,), (0,)),
        (("ab", "c"), ("a", "bc")),
        ((1, None), (None, 1)),
        ((), (None,)),
    ],
)
def test_values_are_told_apart_by_their_types_and_places(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    assert checksum(*one) != checksum(*other)


def test_checksum_is_the_same_for_ever() -> None:
    """Otherwise each ledger would be made anew by the next version of a library."""
    values = (b"a/\xff.bmp", "größer", None, 0, -1, 2**62, 1700000000.25, -0.5)
    assert checksum(*values) == 3238490937


def test_change_of_a_damaged_row_is_refused_whichever_column_was_damaged(tmp_path: Path, ledger: Ledger) -> None:
    finish_one(ledger)
    finish_one(ledger)
    for name in COLUMNS[1:]:
        with closing(sqlite3.connect(tmp_path / LEDGER_FILE, isolation_level=None)) as other:
            other.execute("PRAGMA ignore_check_constraints = ON")
            (before,) = other.execute(f"SELECT {name} FROM images WHERE path = ?", (b"a.bmp",)).fetchone()
            other.execute(f"UPDATE images SET {name} = ? WHERE path = ?", (b"\xff\0", b"a.bmp"))
            with pytest.raises(sqlite3.IntegrityError, match="a row of the ledger is damaged"):
                ledger.retry([ONE], 5.0)
            with pytest.raises(sqlite3.IntegrityError, match="a row of the ledger is damaged"):
                ledger._database.execute("DELETE FROM images")
            other.execute(f"UPDATE images SET {name} = ? WHERE path = ?", (before, b"a.bmp"))
    ledger.retry([ONE], 5.0)


@pytest.mark.usefixtures("ledger")
def test_another_program_can_read_and_what_it_changes_is_found(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE, isolation_level=None)) as other:
        assert other.execute("SELECT COUNT(*) FROM images").fetchone() == (2,)
        other.execute("UPDATE images SET attempts = 3")
        prepare(other)
        assert fault_in_rows(other, "images", COLUMNS) == "2 rows of images with a wrong checksum"
