"""The file behind the ledger: its tables, its journal, its version, and what can be wrong with it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from runtime.disk import is_network_folder
from runtime.errors import InflamapError
from runtime.ledger.row import State
from runtime.outputs import LEDGER_FILE

# raised when a column or its meaning changes
LEDGER_VERSION = 1
# for UPDATE ... RETURNING
OLDEST_SQLITE = (3, 35, 0)
_APPLICATION_ID = int.from_bytes(b"infl")
# `status`, `results` and `retry` take the file for milliseconds
BUSY_S = 30.0

_SCHEMA = f"""
CREATE TABLE images (
    path BLOB PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ({", ".join(f"'{state}'" for state in State)})),
    reason TEXT NOT NULL DEFAULT '',
    -- of the content that arrived
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
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
    score_file BLOB, overlay_file BLOB, map_file BLOB
) WITHOUT ROWID;
CREATE INDEX images_in_turn ON images (interruptions, redo, arrived, path) WHERE due IS NOT NULL;
CREATE INDEX images_due ON images (due) WHERE due IS NOT NULL;
CREATE INDEX images_finished ON images (finished) WHERE finished IS NOT NULL;
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@contextmanager
def open_database(out: Path, *, create: bool) -> Iterator[sqlite3.Connection]:
    """The ledger's file of an output folder.

    WAL lets `status` read while the watch writes, but does not work on network folders; those get SQLite's
    older journal.

    Args:
        out: the output folder.
        create: make the ledger where there is none; for the holder of the folder's lock only.

    Raises:
        InflamapError: there is none, it is damaged or of a newer inflamap, or it cannot be opened.
    """
    path = out / LEDGER_FILE
    if not create and not path.is_file():
        raise _no_ledger(path)
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise InflamapError(
            "the SQLite of this Python is too old for the ledger",
            seen=sqlite3.sqlite_version,
            wanted=".".join(map(str, OLDEST_SQLITE)),
            next_step="use the Python of python.org, or of a newer system",
        )
    with _said_plainly(path), closing(_connected(path)) as database:
        fresh = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0] == 0
        if fresh and not create:
            raise _no_ledger(path)
        if not fresh:
            # before anything is changed: it may be another program's
            _check_version(database, path)
        if not create and is_network_folder(out) and _journal(database) == "wal":
            raise InflamapError(
                f"{path}: in use by a watch on another machine, which SQLite cannot share over a network",
                wanted="the machine on whose disk it lies",
                next_step="run this command there",
            )
        if create:
            _prepare(database, fresh=fresh, wal=not is_network_folder(out))
        yield database


def sqlite_uri(path: Path, *options: str) -> str:
    """The address of a database with options, of which SQLite takes none with a plain path."""
    # a share's name stands behind an empty server, a drive behind a slash
    place = quote(os.fsencode(path.absolute().as_posix()))
    return f"file://{'' if place.startswith('/') else '/'}{place}?{'&'.join(options)}"


def _connected(path: Path) -> sqlite3.Connection:
    # who may only read, as the group of the service's account, cannot make the files beside it that WAL wants; where
    # nobody works with it, none are needed
    if not os.access(path.parent, os.W_OK) and _is_wal(path) and not path.with_name(path.name + "-wal").exists():
        return sqlite3.connect(sqlite_uri(path, "immutable=1"), timeout=BUSY_S, isolation_level=None, uri=True)
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)


def _is_wal(path: Path) -> bool:
    """By the file's header (sqlite.org, Database File Format): whoever writes then has a file beside it."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\x02\x02"
    except OSError:
        return False


def _no_ledger(path: Path) -> InflamapError:
    return InflamapError(
        f"{path}: no such ledger",
        wanted="the folder that was given to `inflamap watch` as --out",
        next_step="check --out",
    )


def _journal(database: sqlite3.Connection) -> str:
    return str(database.execute("PRAGMA journal_mode").fetchone()[0])


def _prepare(database: sqlite3.Connection, *, fresh: bool, wal: bool) -> None:
    database.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
    # a kill loses nothing; when the power fails, WAL may lose the last rows, which are then taken over from score.json
    database.execute("PRAGMA synchronous = NORMAL")
    if fresh:
        database.executescript(
            f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION_ID};"
            f" PRAGMA user_version = {LEDGER_VERSION}; COMMIT;"
        )


def _check_version(database: sqlite3.Connection, path: Path) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    ours = database.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION_ID
    if not ours or version != LEDGER_VERSION:
        raise InflamapError(
            f"{path}: not a ledger of this inflamap",
            seen=f"version {version}" if ours else "another program's database",
            wanted=f"version {LEDGER_VERSION}",
            next_step="use the inflamap that wrote it, or choose another --out",
        )


@contextmanager
def _said_plainly(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one line with the next step."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise InflamapError(
            f"{path}: the ledger cannot be read or written",
            seen=error,
            next_step="check the disk and this user's rights on it, and start again",
        ) from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            # a statement of ours is wrong, not the file
            raise
        raise InflamapError(
            f"{path}: the ledger is damaged",
            seen=error,
            next_step="start the watch again: it sets this file aside and makes a new one of the results, without "
            "scoring again",
        ) from error
