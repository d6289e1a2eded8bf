"""The ledger of the results, and the watch that keeps it. Nothing is written, whoever has it open."""

import shlex
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from runtime.doctor.finding import Case, Finding, Level
from runtime.ledger import Ledger, State
from runtime.ledger.binding import FOLDER_NOTE
from runtime.ledger.database import LEDGER_VERSION, sqlite_uri
from runtime.output_lock import is_held
from runtime.outputs import LEDGER_FILE

_MOVE_AWAY = "start the watch again: it sets this file aside and makes a new one of the results"


def ledger(case: Case) -> Sequence[Finding]:
    """Whether it is whole, of this version, and of this folder; how many images stand how."""
    assert case.out is not None
    path = case.out / LEDGER_FILE
    if not path.is_file():
        return [Finding("ledger", Level.OK, "none yet; the first watch makes it")]
    try:
        return [_judged(path, case)]
    except sqlite3.OperationalError as error:
        # no rights, a lock, a disk that does not answer: that says nothing against the file
        step = "ask as the watch's account; look whether the disk answers"
        return [Finding("ledger", Level.FAULT, f"{path} cannot be read ({error})", step)]
    except sqlite3.DatabaseError as error:
        return [Finding("ledger", Level.FAULT, f"{path}: {error}", _MOVE_AWAY)]


def watch(case: Case) -> Sequence[Finding]:
    """Whether one runs on these results now."""
    assert case.out is not None
    running = is_held(case.out)
    if running is None:
        return [Finding("watch", Level.WARNING, "cannot be told by this account", "ask as the watch's account")]
    return [Finding("watch", Level.OK, "one runs on these results" if running else "none runs on these results")]


def _judged(path: Path, case: Case) -> Finding:
    with read_only(path) as database:
        verdict = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if verdict != "ok" or version != LEDGER_VERSION:
            return _unfit(path, verdict, version)
        kept = Ledger(database)
        counts, bound = kept.counts(), kept.noted(FOLDER_NOTE)
    seen = f"whole; {', '.join(f'{count} {state}' for state, count in counts.items())}"
    if case.folder is not None and bound is not None and not _same(Path(bound), case.folder):
        step = "give this folder an --out of its own; or, where it was moved here, go on: the watch knows its images"
        return Finding("ledger", Level.WARNING, f"{seen}; it is of the folder {bound}", step)
    if counts[State.FAILED]:
        return Finding(
            "ledger", Level.WARNING, seen, f"inflamap status --out {shlex.quote(str(path.parent))} tells why"
        )
    return Finding("ledger", Level.OK, seen)


@contextmanager
def read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """The ledger, without leaving SQLite's files beside it where nobody has it open."""
    log = path.with_name(f"{path.name}-wal")
    alone = not log.exists() and is_held(path.parent) is False
    address = sqlite_uri(path, "mode=ro", *(["immutable=1"] if alone else []))
    with closing(sqlite3.connect(address, uri=True, timeout=5.0, isolation_level=None)) as database:
        yield database


def _unfit(path: Path, verdict: str, version: int) -> Finding:
    if verdict != "ok":
        return Finding("ledger", Level.FAULT, f"{path} is damaged: {verdict}", _MOVE_AWAY)
    seen = f"{path} is of version {version}, this inflamap's is {LEDGER_VERSION}"
    return Finding("ledger", Level.FAULT, seen, "use the inflamap that wrote it, or choose another --out")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other.absolute()
