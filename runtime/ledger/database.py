"""The file behind the ledger: it is opened, brought to this version, and what is in the way is said plainly."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from runtime.disk import is_network_folder
from runtime.errors import InflamapError
from runtime.ledger import checksum, schema
from runtime.ledger.columns import COLUMNS, NOTE_COLUMNS
from runtime.ledger.damage import is_damage, mark_damaged
from runtime.ledger.schema import LEDGER_VERSION
from runtime.outputs import LEDGER_FILE

# for UPDATE ... RETURNING
OLDEST_SQLITE = (3, 35, 0)
# `status`, `results` and `retry` take the file for milliseconds
BUSY_S = 30.0


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
    with _said_plainly(path, holds=create), closing(_connected(path)) as database:
        checksum.prepare(database)
        fresh = not schema.has_objects(database)
        if fresh and not create:
            raise _no_ledger(path)
        if not fresh:
            # before anything is changed: it may be another program's
            _check_version(database, path, create=create)
        if not create and is_network_folder(out) and _journal(database) == "wal":
            raise InflamapError(
                f"{path}: in use by a watch on another machine, which SQLite cannot share over a network",
                wanted="the machine on whose disk it lies",
                next_step="run this command there",
            )
        if create:
            _prepare(database, fresh=fresh, wal=not is_network_folder(out))
        else:
            _keep_checksums(database)
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
        schema.create(database)
    if schema.version_of_head(database) == LEDGER_VERSION:
        _keep_checksums(database)
        return
    with database:
        database.execute("BEGIN IMMEDIATE")
        schema.move_aside_version_1(database)
        _keep_checksums(database)
        schema.take_over_version_1(database)


def _keep_checksums(database: sqlite3.Connection) -> None:
    checksum.keep_checksums(database, "images", "path", COLUMNS)
    checksum.keep_checksums(database, "notes", "name", NOTE_COLUMNS)


def _check_version(database: sqlite3.Connection, path: Path, *, create: bool) -> None:
    version = schema.version_of_head(database)
    older = version is not None and version < LEDGER_VERSION
    if version == LEDGER_VERSION or (create and older):
        return
    raise InflamapError(
        f"{path}: not a ledger of this inflamap",
        seen="another program's database" if version is None else f"version {version}",
        wanted=f"version {LEDGER_VERSION}",
        next_step="start the watch, which brings it to this version"
        if older
        else "use the inflamap that wrote it, or choose another --out",
    )


@contextmanager
def _said_plainly(path: Path, *, holds: bool) -> Iterator[None]:
    """Turn SQLite's errors into one line with the next step.

    Args:
        path: the ledger.
        holds: whether the caller holds the folder's lock, and so notes damage for the next start.
    """
    try:
        yield
    except sqlite3.Error as error:
        if is_damage(error):
            if holds:
                mark_damaged(path, str(error))
            raise InflamapError(
                f"{path}: the ledger is damaged",
                seen=error,
                next_step="start the watch again: it sets this file aside and makes a new one of the results, without "
                "scoring again",
            ) from error
        if not isinstance(error, sqlite3.OperationalError):
            # a statement of ours is wrong, not the file
            raise
        raise InflamapError(
            f"{path}: the ledger cannot be read or written",
            seen=error,
            next_step="check the disk and this user's rights on it, and start again",
        ) from error
