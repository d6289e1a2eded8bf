"""Checksums of the ledger's rows: SQLite has none, so that a flipped bit of a score would pass for a score.

Each row of `images` and `notes` holds the CRC-32 of its columns, and `totals` the number of rows and the sum of their
checksums, so that a row that disappeared or is an older one again is missed. Triggers of the connection set them, so
that no statement can forget to; a row that was damaged is not changed, and its checksum never made to fit.

The triggers are temporary, of this connection: another program can open the file and read it, and what another program
changes is found as damage.
"""

import sqlite3
from collections.abc import Sequence
from operator import methodcaller
from typing import Any
from zlib import crc32

import msgspec

DAMAGED = "a row of the ledger is damaged"
_encode = msgspec.msgpack.Encoder().encode


def checksum(*values: object) -> int:
    """Return the CRC-32 of a row's columns: integers, floats, texts, bytes and None, told apart by their types."""
    return crc32(_encode(values))


def is_sound(values: Sequence[Any]) -> bool:
    """Return whether a row, its checksum last, is as it was written."""
    return bool(checksum(*values[:-1]) == values[-1])


def prepare(database: sqlite3.Connection) -> None:
    """Let a connection read any text and know the function `checksum`. Text that is no UTF-8 is read with U+FFFD."""
    database.text_factory = methodcaller("decode", "utf-8", "replace")
    # no file for the triggers
    database.execute("PRAGMA temp_store = MEMORY")
    database.create_function("checksum", -1, checksum, deterministic=True)


def keep_checksums(database: sqlite3.Connection, table: str, key: str, columns: Sequence[str]) -> None:
    """Have all changes of a table by this connection keep its checksums.

    Args:
        database: after `prepare`.
        table: has a column `crc`, and a row in `totals`.
        key: its primary key.
        columns: all that are stored but `crc`.
    """
    of_row, of_old = ", ".join(columns), ", ".join(f"old.{name}" for name in columns)
    require_sound = f"SELECT RAISE(ABORT, '{DAMAGED}') WHERE old.crc IS NOT checksum({of_old});"
    set_new = f"UPDATE {table} SET crc = checksum({of_row}) WHERE {key} = new.{key};"
    crc_of_new = f"(SELECT crc FROM {table} WHERE {key} = new.{key})"
    for event, actions in (
        ("INSERT", f"{set_new} {_total(table, f'crc + {crc_of_new}', '+ 1')}"),
        (f"UPDATE OF {of_row}", f"{require_sound} {set_new} {_total(table, f'crc - old.crc + {crc_of_new}')}"),
        ("DELETE", f"{require_sound} {_total(table, 'crc - old.crc', '- 1')}"),
    ):
        name = f"{table}_{event.split()[0].lower()}"
        database.execute(f"CREATE TEMP TRIGGER {name} AFTER {event} ON main.{table} BEGIN {actions} END")


def fault_in_rows(database: sqlite3.Connection, table: str, columns: Sequence[str]) -> str | None:
    """Return what is wrong with the rows of a table; None where all are as they were written.

    The rows are checked here and not by a function that SQLite calls: SQLite would report Ctrl-C in such a function as
    an error of its own.

    Args:
        database: after `prepare`.
        table: as of `keep_checksums`.
        columns: all that are stored but `crc`.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    number = total = damaged = 0
    for row in database.execute(f"SELECT {', '.join(columns)}, crc FROM {table}"):
        number += 1
        if is_sound(row):
            total += row[-1]
        else:
            damaged += 1
    if damaged:
        return f"{damaged} row{'s' * (damaged != 1)} of {table} with a wrong checksum"
    kept = database.execute("SELECT number, crc FROM totals WHERE name = ?", (table,)).fetchone()
    return None if kept == (number, total) else f"rows of {table} are missing, or older than they were"


def _total(table: str, crc: str, number: str = "") -> str:
    return f"UPDATE totals SET number = number {number}, crc = {crc} WHERE name = '{table}';"
