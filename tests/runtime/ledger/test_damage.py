"""A damaged ledger is told from a whole one, a busy one and another program's, and set aside with all of its files."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from made_up import arrive, result_of

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.ledger import Ledger, open_ledger
from runtime.ledger.damage import damage_of, is_damage, mark_damaged, set_aside_damaged
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
    # one line for a person
    assert moved[1]
    assert moved[1].isprintable()
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


def execute(path: Path, *statements: str) -> None:
    """Change the ledger as no watch does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for statement in statements:
            other.execute(statement)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE images SET score = 1.5 WHERE path = x'302E626D70'",
        "UPDATE images SET crc = crc + 1 WHERE path = x'302E626D70'",
        "UPDATE images SET model = CAST(model AS BLOB) WHERE path = x'302E626D70'",
        "UPDATE images SET reason = CAST(x'C3' AS TEXT) WHERE path = x'302E626D70'",
        # as an older version of its page
        "DELETE FROM images WHERE path = x'302E626D70'",
        "UPDATE notes SET value = 'null'",
        "DELETE FROM notes",
        "UPDATE totals SET crc = crc + 1 WHERE name = 'notes'",
        "DELETE FROM totals",
        "DROP INDEX images_since",
        "CREATE TABLE more (x)",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 3",
        "PRAGMA user_version = 33554432",
        "PRAGMA application_id = 1",
    ],
)
def test_damage_that_sqlite_does_not_see_is_found(path: Path, damage: str) -> None:
    with open_ledger(path.parent, create=True) as ledger:
        ledger.note("folder", "/data")
    assert damage_of(path) is None
    execute(path, damage)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert set_aside_damaged(path.parent) is not None


@pytest.mark.parametrize(
    ("place", "value"),
    [(18, 3), (18, 0), (19, 0), (19, 7), (44 + 3, 9), (56 + 3, 2), (56 + 3, 3), (20, 9), (16, 1), (21, 1)],
)
def test_header_that_sqlite_stumbles_over_is_damage(path: Path, place: int, value: int) -> None:
    """The versions to write and read with, the schema's format, the encoding, room kept in pages, and their size."""
    data = bytearray(path.read_bytes())
    data[place] = value
    path.write_bytes(data)
    assert set_aside_damaged(path.parent) is not None


def test_ledger_of_a_newer_inflamap_is_not_set_aside(path: Path) -> None:
    execute(path, "ALTER TABLE images ADD COLUMN more REAL", "PRAGMA user_version = 3")
    assert damage_of(path) is None
    with (
        pytest.raises(InflamapError, match="seen: version 3; wanted: version 2"),
        open_ledger(path.parent, create=True),
    ):
        pass


def error_of(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("made up")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "name", ["CORRUPT", "CORRUPT_INDEX", "NOTADB", "FORMAT", "ERROR", "SCHEMA", "CONSTRAINT_TRIGGER"]
)
def test_errors_of_a_damaged_file(name: str) -> None:
    assert is_damage(error_of(getattr(sqlite3, f"SQLITE_{name}")))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "BUSY",
            "BUSY_SNAPSHOT",
            "LOCKED",
            "CANTOPEN",
            "CANTOPEN_ISDIR",
            "IOERR",
            "IOERR_READ",
            "IOERR_FSYNC",
            "FULL",
        ),
        *("PERM", "NOMEM", "READONLY", "READONLY_DBMOVED", "PROTOCOL", "INTERRUPT", "AUTH"),
        *("CONSTRAINT", "CONSTRAINT_CHECK", "CONSTRAINT_NOTNULL", "MISUSE", "MISMATCH"),
    ],
)
def test_errors_that_say_nothing_against_the_file(name: str) -> None:
    assert not is_damage(error_of(getattr(sqlite3, f"SQLITE_{name}")))


def test_what_belongs_to_a_damaged_ledger_goes_with_it(path: Path) -> None:
    mark_damaged(path, "met by a running watch")
    kept = {suffix: f"content of {suffix}".encode() for suffix in ("-wal", "-shm", "-journal")}
    for suffix, data in kept.items():
        path.with_name(path.name + suffix).write_bytes(data)
    kept[""] = path.read_bytes()
    assert set_aside_damaged(path.parent) == (path.with_name("inflamap.db.damaged-1"), "met by a running watch")
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == {
        f"inflamap.db.damaged-1{suffix}": data for suffix, data in kept.items()
    }


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be renamed there")
def test_kill_between_two_names_does_not_leave_half_a_ledger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its -wal the file is whole, and older than it was."""
    wal = path.with_name(f"{path.name}-wal")

    class Killed(BaseException):
        pass

    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self == path:
            raise Killed
        return rename(self, target)

    script = (
        "import sqlite3, sys; page = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "page.execute('PRAGMA journal_mode = WAL'); page.execute('DELETE FROM totals')\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    # whoever else has the file open keeps the -wal
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as page:
        assert page.stdout is not None
        assert page.stdout.readline() == "open\n"
        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", killed)
            with pytest.raises(Killed):
                set_aside_damaged(path.parent)
        assert not wal.exists()
        assert damage_of(path) is None
        assert set_aside_damaged(path.parent) is not None
        page.kill()
    assert set_aside_damaged(path.parent) is None
    with open_ledger(path.parent, create=True):
        pass
    assert set_aside_damaged(path.parent) is None


def test_mark_of_a_ledger_that_is_gone_is_not_taken_for_the_next_ones(path: Path) -> None:
    mark_damaged(path, "met")
    path.unlink()
    assert set_aside_damaged(path.parent) is None
    with open_ledger(path.parent, create=True):
        pass
    assert set_aside_damaged(path.parent) is None


def test_nothing_is_marked_where_no_ledger_is(tmp_path: Path) -> None:
    mark_damaged(tmp_path / "gone" / LEDGER_FILE, "met")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda ledger: ledger.overlay_removed(Path("0.bmp")),
        lambda ledger: ledger.retry([Path("0.bmp")], 5.0),
        lambda ledger: arrive(ledger, Path("0.bmp"), FileState(2, 2), 5.0),
        lambda ledger: ledger.postponed(Path("0.bmp"), 5.0),
        lambda ledger: ledger.overlays(None, 10),
    ],
    ids=["overlay removed", "retry", "arrival", "postponed", "overlays"],
)
def test_row_that_a_running_watch_meets_damaged_marks_the_ledger(path: Path, act: Callable[[Ledger], object]) -> None:

    def meet() -> None:
        with open_ledger(path.parent, create=True) as ledger:
            execute(path, "UPDATE images SET score = 1.5 WHERE path = x'302E626D70'")
            act(ledger)

    with pytest.raises(InflamapError, match="the ledger is damaged"):
        meet()
    moved = set_aside_damaged(path.parent)
    assert moved is not None
    assert moved[1] == "a row of the ledger is damaged"


@pytest.mark.parametrize("damage", ["reason = CAST(x'C3' AS TEXT)", "arrived = 4.0", "attempts = 3"])
def test_image_whose_row_is_damaged_is_not_taken(path: Path, damage: str) -> None:
    with open_ledger(path.parent, create=True) as ledger:
        arrive(ledger, Path("w.bmp"), FileState(2, 2), 5.0)
    execute(path, f"UPDATE images SET {damage} WHERE path = x'772E626D70'")
    with pytest.raises(InflamapError, match="the ledger is damaged"), open_ledger(path.parent, create=True) as ledger:
        ledger.take(6.0)
    assert set_aside_damaged(path.parent) is not None


def test_reader_marks_nothing(path: Path) -> None:
    execute(path, "UPDATE images SET score = 1.5")
    with open_ledger(path.parent) as ledger:
        assert all(row.damaged for row in ledger.rows())
        with pytest.raises(sqlite3.IntegrityError, match="a row of the ledger is damaged"):
            ledger.retry([Path("0.bmp")], 5.0)
    with pytest.raises(InflamapError, match="the ledger is damaged"), open_ledger(path.parent) as ledger:
        ledger.retry([Path("0.bmp")], 5.0)
    assert {file.name for file in path.parent.iterdir()} == {LEDGER_FILE}


@pytest.mark.parametrize("index", ["images_in_turn", "images_since", "images_due", "images_finished"])
def test_index_that_disagrees_with_its_table_is_found(tmp_path: Path, index: str) -> None:
    """An image would not be found by it, and wait for ever."""
    with open_ledger(tmp_path, create=True) as ledger:
        arrive(ledger, Path("failed.bmp"), FileState(1, 1), 1.0)
        row = ledger.take(2.0)
        assert row is not None
        ledger.failed(row, "cut", 3.0)
    path = tmp_path / LEDGER_FILE
    with closing(sqlite3.connect(path)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,)).fetchone()
    data = path.read_bytes()
    place = data.index(b"failed.bmp", size * (page - 1), size * page)
    path.write_bytes(data[:place] + b"F" + data[place + 1 :])
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    assert set_aside_damaged(tmp_path) is not None


def test_tables_whose_text_is_no_utf8_are_damage(path: Path) -> None:
    """Python cannot read what SQLite says of it."""
    data = path.read_bytes()
    place = data.index(b"CREATE INDEX images_due")
    path.write_bytes(data[:place] + b"CREATE \xf1NDEX" + data[place + 12 :])
    told = "the ledger is damaged; seen: malformed database schema"
    with pytest.raises(InflamapError, match=told), open_ledger(path.parent):
        pass
    assert set_aside_damaged(path.parent) is not None
