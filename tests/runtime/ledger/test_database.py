"""The ledger's file is never misread, and another program's is never touched."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from made_up import arrive, result_of

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.ledger import Ledger, State, open_ledger
from runtime.ledger.database import sqlite_uri
from runtime.ledger.schema import LEDGER_VERSION
from runtime.outputs import LEDGER_FILE

ONE = Path("a.bmp")
FILE = FileState(10, 20)
NOW = 1_700_000_000.0


def read_all(out: Path, *, create: bool) -> None:
    """Open the ledger as a watch does, or as `status` does, and read all of it."""
    with open_ledger(out, create=create) as ledger:
        if create:
            ledger.recover()
        list(ledger.rows())


def take(ledger: Ledger, now: float = NOW) -> Any:
    row = ledger.take(now)
    assert row is not None, "nothing is due"
    return row


def test_missing_ledger_is_told_with_the_next_step_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(InflamapError, match=r"inflamap\.db: no such ledger; wanted: .*--out; next: check --out"):
        read_all(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
def test_garbage_is_told_as_damage_with_what_to_do(tmp_path: Path, create: bool) -> None:
    garbage = bytes(range(256)) * 64
    (tmp_path / LEDGER_FILE).write_bytes(garbage)
    with pytest.raises(
        InflamapError, match=r"the ledger is damaged.*next: start the watch again: it sets this file aside"
    ):
        read_all(tmp_path, create=create)
    assert (tmp_path / LEDGER_FILE).read_bytes() == garbage


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9])
def test_truncated_ledger_is_told_as_damage(tmp_path: Path, kept: float, create: bool) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(500):
            arrive(ledger, Path(f"{number:0100}.bmp"), FILE, NOW)
    path = tmp_path / LEDGER_FILE
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(InflamapError, match=r"the ledger is damaged.*next: "):
        read_all(tmp_path, create=create)


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("version", [0, LEDGER_VERSION, 7])
def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path, version: int, create: bool) -> None:
    path = tmp_path / LEDGER_FILE
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE patients (name TEXT)")
        database.execute(f"PRAGMA user_version = {version}")
        database.commit()
    before = path.read_bytes()
    with pytest.raises(InflamapError, match=r"not a ledger of this inflamap.*another program's database.*next: "):
        read_all(tmp_path, create=create)
    assert path.read_bytes() == before


@pytest.mark.parametrize("create", [True, False])
def test_ledger_of_a_newer_inflamap_is_refused_and_left_as_it_is(
    tmp_path: Path, create: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        arrive(ledger, ONE, FILE, NOW)
    path = tmp_path / LEDGER_FILE
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {LEDGER_VERSION + 1}")
    before = path.read_bytes()
    monkeypatch.setattr("runtime.ledger.database.is_network_folder", lambda _out: True)
    with pytest.raises(InflamapError, match=r"seen: version 3; wanted: version 2; next: use the inflamap that wrote"):
        read_all(tmp_path, create=create)
    assert path.read_bytes() == before


@pytest.mark.parametrize("create", [True, False])
def test_file_of_no_bytes_as_a_kill_may_leave_it_becomes_a_ledger_at_the_next_start(
    tmp_path: Path, create: bool
) -> None:
    (tmp_path / LEDGER_FILE).touch()
    if create:
        with open_ledger(tmp_path, create=True) as ledger:
            assert not ledger.waits()
    else:
        with pytest.raises(InflamapError, match="next: "), open_ledger(tmp_path):
            pass


@pytest.mark.parametrize(("network", "journal"), [(False, "wal"), (True, "delete")])
def test_network_folders_get_the_journal_that_works_there(
    tmp_path: Path, network: bool, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whichever it had before
    for answer in (not network, network):
        monkeypatch.setattr("runtime.ledger.database.is_network_folder", lambda _out, answer=answer: answer)
        with open_ledger(tmp_path, create=True) as ledger:
            arrive(ledger, ONE, FILE, NOW)
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == (journal,)


def test_status_reads_while_the_watch_writes(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as watch, open_ledger(tmp_path) as status:
        arrive(watch, ONE, FILE, NOW)
        with closing(sqlite3.connect(tmp_path / LEDGER_FILE, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE images SET state = 'failed'")
            started = time.monotonic()
            assert status.counts()[State.WAITING] == 1
            assert time.monotonic() - started < 5
            writer.execute("COMMIT")
        assert status.counts()[State.FAILED] == 1


@pytest.mark.parametrize("network", [False, True])
def test_retry_command_asks_while_the_watch_works(
    tmp_path: Path, network: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.ledger.database.is_network_folder", lambda _out: network)
    with open_ledger(tmp_path, create=True) as watch, open_ledger(tmp_path) as command:
        arrive(watch, ONE, FILE, NOW)
        row = take(watch)
        command.retry([ONE], NOW + 1)
        watch.finished(row, result_of(), NOW + 2)
        assert take(watch, NOW + 2).redo


def test_disk_error_while_working_is_told_plainly(tmp_path: Path) -> None:
    told = r"inflamap\.db: the ledger cannot be read or written; seen: disk I/O error; next: check"
    with pytest.raises(InflamapError, match=told), open_ledger(tmp_path, create=True):
        raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_kill_loses_nothing_that_was_told_to_the_ledger(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from runtime.file_state import FileState\n"
        "from runtime.ledger import open_ledger\n"
        "from runtime.ledger.ledger import Arrival\n"
        "with open_ledger(Path(sys.argv[1]), create=True) as ledger:\n"
        "    ledger.arrived(Arrival(name, FileState(1, 1), 1.0) for name in 'abc')\n"
        "    ledger.take(2.0)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path], check=False).returncode == -signal.SIGKILL
    with open_ledger(tmp_path) as ledger:
        assert ledger.counts()[State.WAITING] == 3
        assert ledger.recover() == []
        assert [take(ledger).path.name for _ in range(3)] == ["b", "a", "c"]


def test_ledger_of_a_watch_on_another_machine_is_not_read_over_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        arrive(ledger, ONE, FILE, NOW)
    monkeypatch.setattr("runtime.ledger.database.is_network_folder", lambda _out: True)
    with pytest.raises(InflamapError, match=r"in use by a watch on another machine.*next: run this command there"):
        read_all(tmp_path, create=False)


def test_too_old_a_sqlite_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 34, 1))
    with pytest.raises(InflamapError, match=r"too old.*wanted: 3\.35\.0"):
        read_all(tmp_path, create=True)


def test_mistake_in_a_statement_is_not_told_as_damage(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError), open_ledger(tmp_path, create=True):
        raise sqlite3.IntegrityError("CHECK constraint failed")


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (PurePosixPath("/data/Site #1/50 %?.db"), "file:///data/Site%20%231/50%20%25%3F.db?mode=ro"),
        (PureWindowsPath("D:/results/inflamap.db"), "file:///D%3A/results/inflamap.db?mode=ro"),
        (PureWindowsPath(r"\\server\share\inflamap.db"), "file:////server/share/inflamap.db?mode=ro"),
    ],
)
def test_address_of_a_database_on_any_system(path: PurePath, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(path), "absolute", lambda self: self, raising=False)
    assert sqlite_uri(path, "mode=ro") == uri  # type: ignore[arg-type]
