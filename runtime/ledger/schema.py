"""The tables of the ledger's file: their text, the version that each text is of, and the way from an older version."""

import sqlite3
from functools import cache
from hashlib import sha256

from runtime.ledger.columns import COLUMNS, NOTE_COLUMNS
from runtime.ledger.row import State

# raised when a column or its meaning changes
LEDGER_VERSION = 2
APPLICATION_ID = int.from_bytes(b"infl")

# The version stands in the text as well as in the header. A newer inflamap writes another text, so this text with
# another version in the header means damage.
_TABLES = (
    f"""CREATE TABLE images (
    -- version {LEDGER_VERSION}
    path BLOB PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ({", ".join(f"'{state}'" for state in State)})),
    reason TEXT NOT NULL DEFAULT '',
    -- of the content that arrived; NULL where the disk does not keep it, or no file was seen
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER,
    inode INTEGER,
    arrived REAL NOT NULL,
    -- when it may be taken; NULL: not at all
    due REAL,
    -- set while it is in hand
    begun REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    redo INTEGER NOT NULL DEFAULT 0,
    finished REAL,
    sha256 TEXT, um_per_px REAL,
    score REAL, grade INTEGER, withheld_fraction REAL, area_fraction TEXT,
    model TEXT, model_sha256 TEXT, engine TEXT, precision TEXT, synthetic INTEGER,
    read_ms REAL, infer_ms REAL, write_ms REAL, total_ms REAL,
    score_file BLOB, overlay_file BLOB, map_file BLOB,
    -- of all columns above, see `runtime.ledger.checksum`
    crc INTEGER NOT NULL DEFAULT 0,
    -- whether it is tried again after a failure, and since when it waits for its turn
    retried INTEGER AS (state = 'failed'),
    since REAL AS (CASE WHEN state = 'failed' THEN max(arrived, due) ELSE arrived END)
) WITHOUT ROWID""",
    "CREATE INDEX images_in_turn ON images (interruptions, retried, redo, since, path) WHERE due IS NOT NULL",
    "CREATE INDEX images_since ON images (since, path) WHERE due IS NOT NULL",
    "CREATE INDEX images_due ON images (due) WHERE due IS NOT NULL",
    "CREATE INDEX images_finished ON images (finished) WHERE finished IS NOT NULL",
    "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    # how many rows a table has, and the sum of their crc
    "CREATE TABLE totals (name TEXT PRIMARY KEY, number INTEGER NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO totals VALUES ('images', 0, 0), ('notes', 0, 0)",
)
# the text of older versions, by its digest
_EARLIER = {"fd6f02b448b7d82eb91a0ba857f8d09f96023fb569c49fbd63aaaa93b36bf191": 1}
_OBJECTS = r"SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'"


def create(database: sqlite3.Connection) -> None:
    """Make the tables of a new ledger, all or none."""
    with database:
        database.execute("BEGIN IMMEDIATE")
        _make(database)


def version_of_text(database: sqlite3.Connection) -> int | None:
    """Return the version whose text the tables have; None where it is no ledger's that this inflamap knows."""
    digest = _digest(database)
    return LEDGER_VERSION if digest == _digest_of_new() else _EARLIER.get(digest)


def version_of_head(database: sqlite3.Connection) -> int | None:
    """Return the version in the file's header; None where the header is another program's."""
    if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        return None
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def has_objects(database: sqlite3.Connection) -> bool:
    """Return whether the file holds any table or index; the first statement on a connection.

    Raises:
        sqlite3.Error: the file cannot be read, or what it says of its tables is damaged.
    """
    try:
        return bool(database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0])
    except UnicodeDecodeError as error:
        # Python cannot read the message, which quotes the damaged text
        raise sqlite3.DatabaseError("malformed database schema") from error


def move_aside_version_1(database: sqlite3.Connection) -> None:
    """Make way for the tables of this version, within the caller's transaction."""
    for index in ("images_in_turn", "images_due", "images_finished"):
        database.execute(f"DROP INDEX {index}")
    for table in ("images", "notes"):
        database.execute(f"ALTER TABLE {table} RENAME TO {table}_1")
    _make(database)


def take_over_version_1(database: sqlite3.Connection) -> None:
    """Copy what version 1 knew, within the caller's transaction.

    The marks of a file that version 1 did not keep stay unknown: each file is read once more and, where its hash is
    that of its result, kept.
    """
    for table, columns in (("images", COLUMNS), ("notes", NOTE_COLUMNS)):
        known = ", ".join(name for name in columns if name not in ("ctime_ns", "inode"))
        database.execute(f"INSERT INTO {table} ({known}) SELECT {known} FROM {table}_1")
        database.execute(f"DROP TABLE {table}_1")


def _make(database: sqlite3.Connection) -> None:
    for statement in _TABLES:
        database.execute(statement)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {LEDGER_VERSION}")


def _digest(database: sqlite3.Connection) -> str:
    return sha256(repr(sorted(map(repr, database.execute(_OBJECTS)))).encode()).hexdigest()


@cache
def _digest_of_new() -> str:
    database = sqlite3.connect(":memory:", isolation_level=None)
    try:
        create(database)
        return _digest(database)
    finally:
        database.close()
