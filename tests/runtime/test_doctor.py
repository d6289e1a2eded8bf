"""The checks one by one: what is seen, how bad it is, and that nothing is left behind."""

import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from made_up import fail, finish

from runtime.bundle import Bundle
from runtime.doctor import engine, folder, ledger, machine, results, service
from runtime.doctor.examination import all_checks, examine
from runtime.doctor.finding import Case, Finding, Level
from runtime.errors import InflamapError
from runtime.install.systemd_unit import MARK
from runtime.ledger import open_ledger
from runtime.ledger.binding import bind_folder
from runtime.output_lock import held

linux = pytest.mark.skipif(sys.platform == "win32", reason="rights of Linux")
not_root = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")


@pytest.fixture(autouse=True)
def _fresh_look() -> Iterator[None]:
    folder.survey.cache_clear()
    yield
    folder.survey.cache_clear()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (tmp_path / "in" / "case 1").mkdir(parents=True)
    (tmp_path / "in" / "case 1" / "a.bmp").write_bytes(b"BM" + bytes(100))
    (tmp_path / "out").mkdir()
    return Case(folder=tmp_path / "in", out=tmp_path / "out", min_free_gb=0)


def listing(place: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns) for path in place.rglob("*"))


def only(found: object) -> Finding:
    assert isinstance(found, list)
    (finding,) = found
    assert isinstance(finding, Finding)
    return finding


def have_a_service(says: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with `site.service` of ours, whose systemctl is this line of shell."""
    (place / "site.service").write_text(f"{MARK}\n")
    program = place / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    system = service.System(lambda _line: None, units=place, booted=place)
    monkeypatch.setattr(service, "System", lambda _say: system)


def test_sound_case_has_no_fault_and_nothing_is_left_behind(case: Case, tmp_path: Path) -> None:
    with open_ledger(tmp_path / "out", create=True) as kept:
        bind_folder(kept, tmp_path / "in", tmp_path / "out")
        finish(kept, "a.bmp")
    before = [name for name, _time in listing(tmp_path)], listing(tmp_path / "in")
    found = list(examine(case))
    assert [one for one in found if one.level is Level.FAULT] == []
    assert {"software", "machine", "account", "folder", "share", "results", "ledger", "clock", "engine"} <= {
        one.check for one in found
    }
    assert ([name for name, _time in listing(tmp_path)], listing(tmp_path / "in")) == before


def test_without_folders_the_rest_is_checked() -> None:
    assert [name for name, _check in all_checks(Case())] == [
        *("software", "machine", "account", "clock", "engine", "service")
    ]


def test_check_that_breaks_is_a_fault_and_the_next_is_made(case: Case) -> None:
    def broken(_case: Case) -> list[Finding]:
        raise ZeroDivisionError("by zero")

    def wrong(_case: Case) -> list[Finding]:
        raise InflamapError("what", seen=1, wanted="2", next_step="do it")

    def fine(_case: Case) -> list[Finding]:
        return [Finding("c", Level.OK, "fine")]

    first, second, third = examine(case, [("a", broken), ("b", wrong), ("c", fine)])
    assert (first.check, first.level) == ("a", Level.FAULT)
    assert "ZeroDivisionError: by zero" in first.seen
    assert second == Finding("b", Level.FAULT, "what; seen: 1; wanted: 2", "do it")
    assert third.level is Level.OK


def test_check_that_hangs_is_a_fault_and_the_next_is_made(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.doctor.examination.PATIENCE_S", 0.05)
    server = threading.Event()

    def hangs(_case: Case) -> list[Finding]:
        server.wait(60)
        return []

    found = list(examine(case, [("share", hangs), ("b", lambda _case: [Finding("b", Level.OK, "")])]))
    server.set()
    assert [(one.check, one.level) for one in found] == [("share", Level.FAULT), ("b", Level.OK)]
    assert "no answer within" in found[0].seen


def test_library_that_is_missing_is_named(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "NEEDED", ("numpy", "no-such-library"))
    finding = only(list(machine.software(case)))
    assert finding.level is Level.FAULT
    assert finding.seen.startswith("not installed: no-such-library; ")


def test_sqlite_that_is_too_old_is_named(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "OLDEST_SQLITE", (99, 0, 0))
    finding = only(list(machine.software(case)))
    assert finding.level is Level.FAULT
    assert "is older than 99.0.0" in finding.seen


@pytest.mark.parametrize(("uid", "level"), [(0, Level.WARNING), (1000, Level.OK)])
@linux
def test_root_is_told_that_the_service_may_do_less(
    uid: int, level: Level, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    assert only(list(machine.account(case))).level is level


def test_folder_is_counted_and_read(case: Case) -> None:
    finding = only(list(folder.folder(case)))
    assert finding.level is Level.OK
    assert finding.seen == f"{case.folder}: 1 images, 2 folders; one was read"


def test_folder_that_is_not_there_or_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, said in (("none", "is not there"), ("file", "is a file")):
        finding = only(list(folder.folder(Case(folder=tmp_path / name))))
        assert finding.level is Level.FAULT
        assert said in finding.seen
        assert finding.next_step


@pytest.mark.parametrize(
    ("closed", "said"), [("case 1", "cannot be listed (Permission denied)"), ("", "cannot be listed")]
)
def test_folder_that_may_not_be_listed_is_a_fault(
    closed: str, said: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def listed(place: Path) -> object:
        assert case.folder is not None
        if Path(place) == case.folder / closed:
            raise PermissionError(13, "Permission denied")
        return scandir(place)

    monkeypatch.setattr("os.scandir", listed)
    finding = only(list(examine(case, [("folder", folder.folder)])))
    assert finding.level is Level.FAULT
    assert said in finding.seen
    assert "read access" in finding.next_step


@not_root
def test_image_that_may_not_be_read_is_a_fault(case: Case) -> None:
    assert case.folder is not None
    (case.folder / "case 1" / "a.bmp").chmod(0)
    assert only(list(folder.folder(case))).level is Level.FAULT


def test_folder_too_large_to_look_through_is_told_as_at_least(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 99.0, 99.0])
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    found = folder.survey(case.folder or Path())
    assert (found.folders, found.whole) == (1, False)


@linux
def test_share_is_listed_rather_than_listened_to(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "a local disk: unless set otherwise, the system tells" in only(list(folder.share(case))).seen
    for module in ("runtime.patience", "runtime.doctor.folder"):
        monkeypatch.setattr(f"{module}.is_network_folder", lambda _folder: True)
    seen = only(list(folder.share(case))).seen
    assert seen.startswith("a network share: unless set otherwise, it is listed every 5 s")
    assert "a file rests 4 s" in seen
    assert list(folder.inotify(case)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
@pytest.mark.parametrize(("most", "level"), [("3\n", Level.WARNING), ("65536\n", Level.OK)])
def test_more_folders_than_can_be_listened_to_are_told(
    most: str, level: Level, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "max_user_watches").write_text(most)
    monkeypatch.setattr(folder, "INOTIFY", tmp_path)
    finding = only(list(folder.inotify(case)))
    assert finding.level is level
    assert ("fs.inotify.max_user_watches=524288" in finding.next_step) == (level is Level.WARNING)


def test_results_in_the_watched_folder_are_a_fault(case: Case) -> None:
    assert case.folder is not None
    finding = only(list(examine(Case(folder=case.folder, out=case.folder / "out"), [("results", results.results)])))
    assert finding.level is Level.FAULT
    assert "only read" in finding.seen


def test_results_folder_that_a_watch_would_make_is_not_made(case: Case, tmp_path: Path) -> None:
    finding = only(list(results.results(Case(folder=case.folder, out=tmp_path / "new" / "out"))))
    assert finding.level is Level.OK
    assert not (tmp_path / "new").exists()


def test_results_that_cannot_be_written_are_a_fault_and_the_trial_is_gone(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert case.out is not None

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    finding = only(list(results.results(case)))
    assert finding.level is Level.FAULT
    assert "No space left" in finding.seen
    assert list(case.out.iterdir()) == []


@pytest.mark.parametrize("uid", [0, 1])
def test_results_folder_that_may_not_be_made_is_a_fault(
    uid: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda _place, _how: uid == 0)
    found = only(list(results.results(Case(out=tmp_path / "out"))))
    assert found.level is (Level.OK if uid == 0 else Level.FAULT)


@pytest.mark.parametrize(("free_gb", "level"), [(9.0, Level.FAULT), (15.0, Level.WARNING), (21.0, Level.OK)])
def test_free_space_is_held_against_the_limit(
    free_gb: float, level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("runtime.disk", "runtime.doctor.results"):
        monkeypatch.setattr(f"{module}.free_bytes", lambda _folder: int(free_gb * 1e9))
    assert only(list(results.free_space(Case(out=tmp_path)))).level is level


def test_ledger_is_counted_without_touching_it(case: Case) -> None:
    assert case.out is not None
    assert only(list(ledger.ledger(case))).seen == "none yet; the first watch makes it"
    with open_ledger(case.out, create=True) as kept:
        finish(kept, "a.bmp")
    before = listing(case.out)
    finding = only(list(ledger.ledger(case)))
    assert finding == Finding("ledger", Level.OK, "whole; 0 waiting, 1 scored, 0 withheld, 0 failed")
    assert listing(case.out) == before


def test_ledger_is_read_beside_a_running_watch(case: Case) -> None:
    assert case.out is not None
    with held(case.out), open_ledger(case.out, create=True) as kept:
        finish(kept, "a.bmp")
        before = sorted(path.name for path in case.out.iterdir())
        assert "1 scored" in only(list(ledger.ledger(case))).seen
        assert only(list(ledger.watch(case))).seen == "one runs on these results"
        assert sorted(path.name for path in case.out.iterdir()) == before
        # and goes on
        finish(kept, "b.bmp")
    assert only(list(ledger.watch(case))).seen == "none runs on these results"


def test_ledger_of_a_killed_watch_is_read_with_its_last_rows(case: Case, tmp_path: Path) -> None:
    assert case.out is not None
    killed = tmp_path / "killed"
    killed.mkdir()
    with open_ledger(case.out, create=True) as kept:
        finish(kept, "a.bmp")
        for path in case.out.iterdir():
            shutil.copy(path, killed)
    assert "inflamap.db-wal" in {path.name for path in killed.iterdir()}
    before = sorted(path.name for path in killed.iterdir())
    assert "1 scored" in only(list(ledger.ledger(Case(out=killed)))).seen
    assert sorted(path.name for path in killed.iterdir()) == before


def test_ledger_that_cannot_be_opened_is_not_called_damaged(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert case.out is not None
    with open_ledger(case.out, create=True):
        pass

    def closed(*_arguments: object, **_options: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr("sqlite3.connect", closed)
    finding = only(list(ledger.ledger(case)))
    assert finding.level is Level.FAULT
    assert "cannot be read (unable to open" in finding.seen
    assert "move" not in finding.next_step


@linux
def test_ledger_below_a_name_that_is_no_utf8_is_read(tmp_path: Path) -> None:
    out = tmp_path / os.fsdecode(b"caf\xe9 ?#%20")
    out.mkdir()
    with open_ledger(out, create=True):
        pass
    assert only(list(ledger.ledger(Case(out=out)))).level is Level.OK


def test_damaged_and_foreign_ledgers_are_faults(case: Case) -> None:
    assert case.out is not None
    path = case.out / "inflamap.db"
    path.write_bytes(b"no database at all" * 100)
    assert only(list(ledger.ledger(case))).level is Level.FAULT
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    finding = only(list(ledger.ledger(case)))
    assert finding.level is Level.FAULT
    assert "version 0" in finding.seen


def test_ledger_whose_pages_are_damaged_is_a_fault(case: Case) -> None:
    assert case.out is not None
    with open_ledger(case.out, create=True) as kept:
        for number in range(200):
            finish(kept, f"{number}.bmp")
    path = case.out / "inflamap.db"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 6000] = b"\x5a" * 6000
    path.write_bytes(data)
    finding = only(list(ledger.ledger(case)))
    assert finding.level is Level.FAULT
    assert "sets this file aside" in finding.next_step


def test_ledger_with_a_value_that_was_changed_behind_its_back_is_a_fault(case: Case) -> None:
    assert case.out is not None
    with open_ledger(case.out, create=True) as kept:
        finish(kept, "a.bmp")
    with closing(sqlite3.connect(case.out / "inflamap.db", isolation_level=None)) as other:
        other.execute("UPDATE images SET score = 3.75")
    finding = only(list(ledger.ledger(case)))
    assert finding.level is Level.FAULT
    assert "is damaged: 1 row of images with a wrong checksum" in finding.seen
    assert "sets this file aside" in finding.next_step


def test_ledger_of_an_older_version_is_a_warning(case: Case) -> None:
    assert case.out is not None
    version_1 = (Path(__file__).parent / "ledger" / "version_1.sql").read_text()
    with closing(sqlite3.connect(case.out / "inflamap.db")) as database:
        database.executescript(version_1)
    finding = only(list(ledger.ledger(case)))
    assert (finding.level, finding.next_step) == (
        Level.WARNING,
        "start the watch, which brings it to this version",
    )


def test_ledger_of_another_folder_and_failures_are_warnings(case: Case, tmp_path: Path) -> None:
    assert case.out is not None
    (tmp_path / "other").mkdir()
    with open_ledger(case.out, create=True) as kept:
        bind_folder(kept, tmp_path / "other", case.out)
    finding = only(list(ledger.ledger(case)))
    assert finding.level is Level.WARNING
    assert f"it is of the folder {(tmp_path / 'other').resolve()}" in finding.seen
    with open_ledger(case.out, create=True) as kept:
        fail(kept, "f.bmp")
    assert "1 failed" in only(list(ledger.ledger(Case(out=case.out)))).seen


def test_clocks_that_agree_are_fine(case: Case) -> None:
    finding = only(list(machine.clock(case)))
    assert finding.level is Level.OK
    assert finding.seen.endswith("the results' disk agrees")


def test_file_from_the_future_is_told(case: Case) -> None:
    assert case.folder is not None
    ahead = time.time() + 3600
    os.utime(case.folder / "case 1" / "a.bmp", (ahead, ahead))
    finding = only(list(machine.clock(case)))
    assert finding.level is Level.WARNING
    assert "s from now" in finding.seen


def test_disk_with_another_clock_is_told(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "fresh_file_time", lambda _out: time.time() - 120)
    finding = only(list(machine.clock(case)))
    assert finding.level is Level.WARNING
    assert "is -120 s from it" in finding.seen


def test_clock_that_was_never_set_is_a_fault(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "RELEASED", 9000)
    assert only(list(machine.clock(case))).level is Level.FAULT


def test_engine_asked_for_is_told_with_its_library_and_its_time() -> None:
    finding = only(list(engine.engine(Case(engine="onnxruntime-int8"))))
    assert finding.level is Level.OK
    assert "on onnxruntime-int8 (onnxruntime " in finding.seen
    assert " ms for the map of 1000x1000 px" in finding.seen


def test_engine_of_auto_without_acceptance_is_a_warning(bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    finding = only(list(engine.engine(Case(bundle=bundle.folder))))
    assert finding.level is Level.WARNING
    assert finding.seen.endswith("none was chosen for this bundle on this machine yet")
    assert finding.next_step == f"inflamap bench {bundle.folder} --accept"


def test_changed_bundle_is_a_fault(bundle_with: Callable[..., Bundle]) -> None:
    bundle = bundle_with()
    (bundle.folder / "model.int8.onnx").write_bytes(b"changed")
    finding = only(list(examine(Case(bundle=bundle.folder), [("engine", engine.engine)])))
    assert finding.level is Level.FAULT
    assert "not the file that was exported" in finding.seen


@pytest.mark.parametrize(
    ("state", "restarts", "level"),
    [("active", 0, Level.OK), ("active", 3, Level.WARNING), ("activating", 9, Level.FAULT), ("failed", 0, Level.FAULT)],
)
@linux
def test_installed_services_are_told_with_their_restarts(
    state: str, restarts: int, level: Level, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = f"printf 'ActiveState={state}\\nSubState=x\\nNRestarts={restarts}\\nStatusText=3 waiting\\n'"
    have_a_service(says, tmp_path, monkeypatch)
    finding = only(list(service.service(case)))
    assert finding.level is level
    assert finding.seen == f"site: {state} (x), {restarts} restarts; 3 waiting"


@linux
def test_service_whose_state_this_account_may_not_ask_is_no_fault(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_a_service("echo 'Failed to connect to bus' >&2; exit 1", tmp_path, monkeypatch)
    finding = only(list(service.service(case)))
    assert finding.level is Level.WARNING
    assert "cannot be asked (Failed to connect to bus)" in finding.seen


def test_without_systemd_there_is_no_line_about_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert list(service.service(case)) == []
