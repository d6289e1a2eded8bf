"""The ledger of the results, and the watch that keeps it. Nothing is written, whoever has it open."""

import shlex
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from runtime.doctor.finding import Case, Finding, Level
from runtime.ledger import Ledger, State
from runtime.ledger.binding import FOLDER_NOTE
from runtime.ledger.damage import fault_in, is_damage
from runtime.ledger.database import sqlite_uri
from runtime.ledger.schema import LEDGER_VERSION
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
    except sqlite3.Error as error:
        if is_damage(error):
            return [_damaged(path, str(error))]
        # no rights, a lock, a disk that does not answer: that says nothing against the file
        step = "ask as the watch's account; look whether the disk answers"
        return [Finding("ledger", Level.FAULT, f"{path} cannot be read ({error})", step)]


def watch(case: Case) -> Sequence[Finding]:
    """Whether one runs on these results now."""
    assert case.out is not None
    running = is_held(case.out)
    if running is None:
        return [Finding("watch", Level.WARNING, "cannot be told by this account", "ask as the watch's account")]
    return [Finding("watch", Level.OK, "one runs on these results" if running else "none runs on these results")]


def _judged(path: Path, case: Case) -> Finding:
    with read_only(path) as database:
        fault = fault_in(database)
        if fault is not None:
            return _damaged(path, fault)
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version != LEDGER_VERSION:
            return _of_other_version(path, version)
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


def _damaged(path: Path, fault: str) -> Finding:
    return Finding("ledger", Level.FAULT, f"{path} is damaged: {fault}", _MOVE_AWAY)


def _of_other_version(path: Path, version: int) -> Finding:
    seen = f"{path} is of version {version}, this inflamap's is {LEDGER_VERSION}"
    if 0 < version < LEDGER_VERSION:
        return Finding("ledger", Level.WARNING, seen, "start the watch, which brings it to this version")
    return Finding("ledger", Level.FAULT, seen, "use the inflamap that wrote it, or choose another --out")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other.absolute()
