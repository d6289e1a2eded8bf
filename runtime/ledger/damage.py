"""A damaged ledger is set aside, so that a watch nobody looks after goes on: its results tell what was done."""

import sqlite3
from contextlib import closing
from pathlib import Path

from runtime.outputs import LEDGER_FILE, said_plainly

# what SQLite keeps beside the file, which belongs to the damaged one
_COMPANIONS = ("", "-wal", "-shm", "-journal")


def set_aside_damaged(out: Path) -> tuple[Path, str] | None:
    """Look through the ledger of an output folder, and rename it if it is damaged; for the holder of its lock only.

    Returns:
        its new name and what SQLite found; None where it is whole, or there is none.

    Raises:
        InflamapError: it cannot be renamed.
    """
    path = out / LEDGER_FILE
    if not path.is_file():
        return None
    fault = damage_of(path)
    if fault is None:
        return None
    aside = _free_name(path)
    with said_plainly(path):
        # the file itself last: while it stands, the next start finds it damaged and does the rest
        for suffix in reversed(_COMPANIONS):
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                companion.rename(aside.with_name(aside.name + suffix))
    return aside, fault


def damage_of(path: Path) -> str | None:
    """What is wrong with the ledger's file; None where it is whole, or cannot be opened, which is another fault."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            # pages and rows, which takes some milliseconds for ten thousand images
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            return None if found == "ok" else str(found)
    except sqlite3.OperationalError:
        return None
    except sqlite3.DatabaseError as error:
        return str(error)


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside
