"""A damaged ledger is told from a whole one, a busy one and another program's, and set aside with all of its files."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from made_up import arrive, result_of

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.ledger import open_ledger
from runtime.ledger.damage import damage_of, set_aside_damaged
from runtime.outputs import LEDGER_FILE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of two hundred images."""
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(200):
            arrive(ledger, Path(f"{number}.bmp"), FileState(1, 1), 1.0)
            row = ledger.take(2.0)
            assert row is not None
            ledger.finished(row, result_of(Path(row.path)), 3.0)
    return tmp_path / LEDGER_FILE


def test_whole_ledger_and_none_are_left(path: Path, tmp_path: Path) -> None:
    assert damage_of(path) is None
    assert set_aside_damaged(path.parent) is None
    assert path.is_file()
    assert set_aside_damaged(tmp_path / "none") is None


def overwrite(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(random.Random(5).randbytes(length))


@pytest.mark.parametrize("kind", ["header", "middle", "cut", "text"])
def test_damage_is_found_and_the_ledger_set_aside(path: Path, kind: str) -> None:
    size = path.stat().st_size
    if kind == "header":
        overwrite(path, 0, 100)
    elif kind == "middle":
        overwrite(path, size // 2, 8192)
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[: size // 2])
    else:
        path.write_text("no database at all " * 500)
    (path.parent / f"{LEDGER_FILE}-wal").write_bytes(b"what belongs to it")
    moved = set_aside_damaged(path.parent)
    assert moved is not None
    assert moved[0].name == f"{LEDGER_FILE}.damaged-1"
    assert moved[1]
    assert not path.exists()
    assert not (path.parent / f"{LEDGER_FILE}-wal").exists()
    with open_ledger(path.parent, create=True) as ledger:
        assert list(ledger.rows()) == []
    overwrite(path, 0, 100)
    again = set_aside_damaged(path.parent)
    assert again is not None
    assert again[0].name == f"{LEDGER_FILE}.damaged-2"


def test_busy_ledger_is_no_damaged_one(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert damage_of(path) is None
        other.execute("ROLLBACK")


def test_other_programs_database_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / LEDGER_FILE
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs (x)")
    assert set_aside_damaged(tmp_path) is None
    with pytest.raises(InflamapError, match="another program's database"), open_ledger(tmp_path, create=True):
        pass
    assert path.is_file()
