"""A damaged ledger is found and set aside, so that a watch nobody looks after goes on: its results tell what was done.

Every start of the watch looks through the whole file. What only a running watch meets is noted in a file beside the
ledger, by which the next start knows.
"""

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from runtime.errors import InflamapError
from runtime.ledger.checksum import fault_in_rows, prepare
from runtime.ledger.columns import COLUMNS, NOTE_COLUMNS
from runtime.ledger.row import State
from runtime.ledger.schema import LEDGER_VERSION, has_objects, version_of_head, version_of_text
from runtime.outputs import LEDGER_FILE, said_plainly, write_atomically

# what SQLite keeps beside the file, which belongs to the damaged one
_COMPANIONS = ("", "-wal", "-shm", "-journal")
# beside a ledger in which damage was met: what was met
_MARK = ".damaged"
# Primary codes of SQLite that say nothing against the file: others use it, the disk or the rights are in the way.
_OBSTACLES = frozenset(
    {
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_ABORT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM),
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_NOLFS),
    }
)
_CONSTRAINTS = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_MISUSE})
# bytes 18 and 19 of the file's header (sqlite.org, Database File Format): which versions may write and read it
_FILE_VERSIONS = (b"\1", b"\2")


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error of SQLite tells of a damaged ledger, and not of what is in the way of using it.

    The statements are ours and sound, so that a table or column that SQLite does not find is damage too.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # raised by Python itself
        return type(error) is sqlite3.DatabaseError
    if code & 0xFF in _CONSTRAINTS:
        # of a trigger: it met a row with a wrong checksum
        return bool(code == sqlite3.SQLITE_CONSTRAINT_TRIGGER)
    return code & 0xFF not in _OBSTACLES


def set_aside_damaged(out: Path) -> tuple[Path, str] | None:
    """Look through the ledger of an output folder, and rename it if it is damaged; for the holder of its lock only.

    Returns:
        its new name and what is wrong with it; None where it is whole, or there is none.

    Raises:
        InflamapError: it cannot be renamed.
    """
    path = out / LEDGER_FILE
    mark = _mark_of(path)
    if not path.is_file():
        # of a ledger that is gone, should a kill have left it
        with said_plainly(mark):
            mark.unlink(missing_ok=True)
        return None
    fault = _marked(mark) or damage_of(path)
    if fault is None:
        return None
    aside = _free_name(path)
    # a kill may come between two names: what is left is not to be taken for whole
    mark_damaged(path, fault)
    with said_plainly(path):
        for suffix in reversed(_COMPANIONS):
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                companion.rename(aside.with_name(aside.name + suffix))
        mark.unlink(missing_ok=True)
    return aside, fault


def mark_damaged(path: Path, fault: str) -> None:
    """Note beside the ledger that it is damaged, for the next start of the watch."""
    if path.is_file():
        # on a disk that takes nothing the start has to find it again
        with suppress(InflamapError):
            write_atomically(_mark_of(path), fault.encode("utf-8", "replace"))


def damage_of(path: Path) -> str | None:
    """What is wrong with the ledger's file; None where it is whole, or cannot be opened, which is another fault."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            return fault_in(database) or _fault_of_header(path)
    except sqlite3.Error as error:
        return str(error) if is_damage(error) else None


def fault_in(database: sqlite3.Connection) -> str | None:
    """Return what is wrong with an opened ledger; None where it is whole, of a newer inflamap or another program's.

    Raises:
        sqlite3.Error: it cannot be read; see `is_damage`.
    """
    prepare(database)
    if not has_objects(database):
        # new, unless the header says otherwise
        return None if version_of_head(database) is None else "its tables are missing"
    # one state of it, whoever writes meanwhile
    database.execute("BEGIN")
    try:
        # pages, rows and indexes, and whether they agree
        (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        # SQLite's text has several lines
        return " ".join(str(found).split()) if found != "ok" else _fault_of_schema(database)
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def _fault_of_schema(database: sqlite3.Connection) -> str | None:
    of_head, of_text = version_of_head(database), version_of_text(database)
    if of_text is None:
        damaged = of_head is not None and of_head <= LEDGER_VERSION
        return "its tables are not those of a ledger" if damaged else None
    if of_head != of_text:
        return f"its tables are of version {of_text}, its header says otherwise"
    if of_text != LEDGER_VERSION:
        return _fault_without_checksums(database)
    return fault_in_rows(database, "images", COLUMNS) or fault_in_rows(database, "notes", NOTE_COLUMNS)


def _fault_without_checksums(database: sqlite3.Connection) -> str | None:
    """Return what is wrong with rows of version 1: all that can be told is a value that never was one."""
    database.text_factory = bytes.decode
    types = {"BLOB": bytes, "TEXT": str, "REAL": float, "INTEGER": int}
    columns = database.execute("SELECT name, type FROM pragma_table_info('images')").fetchall()
    expected = [types[kind] for _name, kind in columns]
    try:
        for values in database.execute(f"SELECT {', '.join(name for name, _kind in columns)} FROM images"):
            if not all(value is None or type(value) is kind for value, kind in zip(values, expected, strict=True)):
                return "a row of images holds what no row ever held"
            State(values[1])
        for (value,) in database.execute("SELECT value FROM notes"):
            json.loads(value)
    except ValueError as error:
        return f"a row holds what no row ever held: {error}"
    finally:
        prepare(database)
    return None


def _fault_of_header(path: Path) -> str | None:
    """Return what SQLite would meet only when it writes."""
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        return None
    if len(header) < 20 or (header[18:19] in _FILE_VERSIONS and header[19:20] in _FILE_VERSIONS):
        return None
    return "its header is of no SQLite that ever wrote it"


def _mark_of(path: Path) -> Path:
    return path.with_name(path.name + _MARK)


def _marked(mark: Path) -> str | None:
    try:
        return mark.read_text("utf-8", "replace") or "marked as damaged"
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"marked as damaged ({error.strerror})"


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}{_MARK}-{number}")).exists():
        number += 1
    return aside
