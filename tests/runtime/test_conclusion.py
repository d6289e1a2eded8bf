"""What failed and is gone is listed for a day to the second, and dropped a few at a time."""

import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up import take

from runtime.conclusion import Conclusion
from runtime.earlier_result import withdraw_stale_result
from runtime.file_state import is_gone
from runtime.ledger import Ledger, open_ledger
from runtime.obstacles import Obstacles
from runtime.outputs import result_files
from runtime.patience import WatchSettings
from runtime.service_log import ServiceLog

NOW = 1_700_000_000.0


class Desk:
    """A conclusion, its ledger, and clocks that a test sets."""

    def __init__(self, place: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.out, self.ledger = place / "in", place / "out", ledger
        self.now, self.steady = NOW, 0.0
        self.said: list[str] = []
        self.looked_at: list[str] = []
        monkeypatch.setattr("runtime.conclusion.time.time", lambda: self.now)
        monkeypatch.setattr("runtime.conclusion.time.monotonic", lambda: self.steady)
        examiner: Any = SimpleNamespace(
            is_gone=lambda path: is_gone(self.folder, path), would_write_into_folder=lambda _relative: False
        )
        found: Any = SimpleNamespace(look=self.looked_at.append)
        obstacles: Any = SimpleNamespace(surely=lambda act: act(), blocks=lambda: False)
        model: Any = None
        self.ends = Conclusion(
            self.folder,
            self.out,
            ledger,
            model,
            examiner=examiner,
            found=found,
            obstacles=obstacles,
            patience=WatchSettings(settle_s=2.0, poll_s=0.5),
            once=False,
            log=ServiceLog(self.said.append),
            pseudonyms=None,
            alive=lambda: None,
        )

    def fail(self, name: str, *, heals: bool = True) -> None:
        self.ends.fail(take(self.ledger, name), "locked", heals=heals)

    def names(self) -> list[str]:
        return [row.path.as_posix() for row in self.ledger.rows()]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    with open_ledger(tmp_path / "out", create=True) as ledger:
        yield Desk(tmp_path, ledger, monkeypatch)


def test_what_failed_and_is_gone_is_listed_for_a_day_to_the_second(desk: Desk) -> None:
    desk.fail("a.bmp")
    desk.now = NOW + 86_400
    desk.ends.drop_gone()
    assert desk.names() == ["a.bmp"]
    desk.now, desk.steady = NOW + 86_401, 60.0
    desk.ends.drop_gone()
    assert desk.names() == []
    assert desk.said[-1] == "a.bmp: gone, and not listed any more"


def test_two_hundred_are_asked_for_at_a_time_and_once_a_minute(desk: Desk) -> None:
    for number in range(201):
        desk.fail(f"{number:03}.bmp")
    desk.now = NOW + 86_401
    desk.ends.drop_gone()
    assert desk.names() == ["200.bmp"]
    desk.steady = 59.9
    desk.ends.drop_gone()
    assert desk.names() == ["200.bmp"]
    desk.steady = 60.0
    desk.ends.drop_gone()
    assert desk.names() == []


def test_after_fewer_than_two_hundred_it_begins_anew(desk: Desk) -> None:
    for number in range(199):
        desk.fail(f"{number:03}.bmp")
        (desk.folder / f"{number:03}.bmp").touch()
    desk.now = NOW + 86_401
    desk.ends.drop_gone()
    assert len(desk.names()) == 199
    (desk.folder / "000.bmp").unlink()
    desk.steady = 60.0
    desk.ends.drop_gone()
    assert len(desk.names()) == 198


def test_stale_result_goes_before_the_failure_record_and_that_before_the_row(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = result_files(Path("a.bmp"))
    (desk.folder / "a.bmp").write_bytes(b"other content")
    (desk.out / files.score).write_text("{")
    order: list[tuple[str, bool, bool, str]] = []

    def see(step: str) -> None:
        state = next(desk.ledger.rows()).state
        order.append((step, (desk.out / files.score).exists(), (desk.out / files.failure).exists(), str(state)))

    def withdraw(*arguments: Any, **keywords: Any) -> None:
        see("withdraw")
        withdraw_stale_result(*arguments, **keywords)

    failed = Ledger.failed

    def fail(self: Ledger, *arguments: Any, **keywords: Any) -> Any:
        see("row")
        return failed(self, *arguments, **keywords)

    monkeypatch.setattr("runtime.conclusion.withdraw_stale_result", withdraw)
    monkeypatch.setattr(Ledger, "failed", fail)
    desk.fail("a.bmp")
    see("end")
    assert order == [
        ("withdraw", True, False, "waiting"),
        ("row", False, True, "waiting"),
        ("end", False, True, "failed"),
    ]


def test_image_that_is_put_off_rests_as_long_as_the_longer_of_both_pauses(desk: Desk) -> None:
    for name, settings, pause_s in (
        ("a.bmp", WatchSettings(settle_s=2.0, poll_s=0.5), 2.0),
        ("b.bmp", WatchSettings(settle_s=0.0, poll_s=0.5), 0.5),
        # a pause is never longer than the ledger's longest, beyond which a time is taken for a clock set back
        ("c.bmp", WatchSettings(settle_s=86_400.0, poll_s=0.5), 3600.0),
    ):
        desk.ends._patience = settings
        row = take(desk.ledger, name)
        desk.ends.postpone(row, "open")
        found = next(each for each in desk.ledger.rows() if each.path == row.path)
        assert (found.due, found.reason, desk.looked_at[-1]) == (NOW + pause_s, "open", name)


def obstacles_of(place: Path, ledger: Ledger, said: list[str], min_free_gb: float = 0.0) -> Obstacles:
    return Obstacles(
        place,
        ledger,
        min_free_gb=min_free_gb,
        once=False,
        stop=threading.Event(),
        log=ServiceLog(said.append),
        alive=lambda _why: None,
    )


def test_disk_is_asked_once_a_second_and_a_blocked_one_tried_every_ten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, probes, asked = [100.0], list[float](), list[float]()
    blocked = ["No space left on device"]

    def probe(_out: Path) -> str | None:
        probes.append(clock[0])
        return blocked[0] if blocked else None

    def shortage(_out: Path, _min_free_gb: float) -> None:
        asked.append(clock[0])

    with open_ledger(tmp_path, create=True) as ledger:
        monkeypatch.setattr("runtime.obstacles.time.monotonic", lambda: clock[0])
        monkeypatch.setattr("runtime.obstacles.probe_writing", probe)
        monkeypatch.setattr("runtime.obstacles.shortage", shortage)
        said: list[str] = []
        obstacles = obstacles_of(tmp_path, ledger, said)
        for clock[0] in (100.0, 100.9, 101.0, 101.9, 102.0):
            assert not obstacles.pauses()
        assert asked == [100.0, 101.0, 102.0]
        assert probes == []
        clock[0] = 102.5
        assert obstacles.blocks()
        # told at once, not at the next second
        assert obstacles.pauses()
        for clock[0] in (105.0, 112.4, 112.5, 120.0):
            # asked again after ten seconds, at the next look
            assert obstacles.pauses()
        assert probes == [102.5, 120.0]
        blocked.clear()
        for clock[0] in (129.9, 130.9):
            assert obstacles.pauses() == (clock[0] < 130.0)
        assert said == [
            f"inflamap: paused: nothing can be written to {tmp_path} (No space left on device); it goes on by itself",
            "scoring goes on",
        ]


def test_blocked_disk_is_tried_after_exactly_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, probes = [100.0], list[float]()

    def probe(_out: Path) -> str:
        probes.append(clock[0])
        return "Read-only file system"

    with open_ledger(tmp_path, create=True) as ledger:
        monkeypatch.setattr("runtime.obstacles.time.monotonic", lambda: clock[0])
        monkeypatch.setattr("runtime.obstacles.probe_writing", probe)
        obstacles = obstacles_of(tmp_path, ledger, [])
        assert obstacles.blocks()
        for clock[0] in (108.0, 109.0, 110.0):
            obstacles.pauses()
    assert probes == [100.0, 110.0]


def test_failures_told_are_forgotten_beyond_ten_thousand(desk: Desk) -> None:
    """Beyond it a failure may be told again; memory does not grow."""
    desk.ends.failing.update({Path(f"{number}"): "locked" for number in range(9_999)})
    (desk.folder / "a.bmp").touch()
    (desk.folder / "b.bmp").touch()
    desk.fail("a.bmp")
    assert len(desk.ends.failing) == 10_000
    desk.fail("b.bmp")
    assert list(desk.ends.failing) == [Path("b.bmp")]


def records(desk: Desk) -> int:
    return len(list(desk.out.glob("*.failed.json")))


def swept(desk: Desk) -> int:
    """Number of steps of one sweep."""
    steps = 1
    while desk.ends.keep_more_failures():
        steps += 1
    return steps


def test_records_that_an_earlier_version_did_not_write_are_written_twenty_at_a_time(desk: Desk) -> None:
    for number in range(45):
        desk.fail(f"{number:03}.bmp")
    before = {path.name for path in desk.out.glob("*.failed.json")}
    for path in desk.out.glob("*.failed.json"):
        path.unlink()
    assert desk.ends.keep_more_failures()
    assert records(desk) == 20
    assert swept(desk) == 2
    assert before == {path.name for path in desk.out.glob("*.failed.json")}
    # all are there: nothing is looked at any more
    (desk.out / "000.bmp.failed.json").unlink()
    desk.steady = 1e9
    assert swept(desk) == 1
    assert records(desk) == 44


def test_record_written_later_says_what_the_ledger_says(desk: Desk) -> None:
    for name, heals in (("there.bmp", True), ("letter.bmp", False)):
        (desk.folder / name).touch()
        desk.fail(name, heals=heals)
    desk.fail("gone.bmp")
    first = {path.name: json.loads(path.read_text()) for path in desk.out.glob("*.failed.json")}
    for path in desk.out.glob("*.failed.json"):
        path.unlink()
    desk.now += 500.0
    swept(desk)
    later = {path.name: json.loads(path.read_text()) for path in desk.out.glob("*.failed.json")}
    for name in ("there.bmp.failed.json", "letter.bmp.failed.json"):
        assert later[name] == first[name]
    gone = later["gone.bmp.failed.json"]
    assert (gone["gone"], gone["reason"], gone["failed"]) == (
        True,
        first["gone.bmp.failed.json"]["reason"],
        first["gone.bmp.failed.json"]["failed"],
    )


def test_disk_that_took_no_record_is_tried_again_after_ten_minutes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    swept(desk)
    write, full = desk_write(monkeypatch)
    full |= {"a.bmp.failed.json", "b.bmp.failed.json"}
    desk.steady = 100.0
    desk.fail("a.bmp")
    desk.fail("b.bmp")
    assert sum("only the ledger keeps this failure" in line for line in desk.said) == 1
    full.clear()
    desk.steady = 699.9
    swept(desk)
    assert records(desk) == 0
    desk.steady = 700.0
    swept(desk)
    assert records(desk) == 2
    assert len(write) == 2


def test_one_record_that_cannot_be_written_keeps_no_other_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    write, full = desk_write(monkeypatch)
    full |= {"a.bmp.failed.json", "b.bmp.failed.json", "c.bmp.failed.json"}
    for name in ("a.bmp", "b.bmp", "c.bmp"):
        desk.fail(name)
    full -= {"b.bmp.failed.json", "c.bmp.failed.json"}
    desk.steady = 600.0
    swept(desk)
    assert write == ["b.bmp.failed.json", "c.bmp.failed.json"]
    full.clear()
    desk.steady = 1199.9
    swept(desk)
    assert records(desk) == 2
    desk.steady = 1200.0
    swept(desk)
    assert records(desk) == 3
    # now none lacks its record
    (desk.out / "a.bmp.failed.json").unlink()
    desk.steady = 1e9
    swept(desk)
    assert records(desk) == 2
    assert sum("only the ledger keeps this failure" in line for line in desk.said) == 1


def desk_write(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], set[str]]:
    """Names of files that are written, and names of those for which the disk is full."""
    names: list[str] = []
    full: set[str] = set()
    rename = os.replace

    def act(source: Path, target: Path) -> None:
        if Path(target).name in full:
            raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))
        rename(source, target)
        names.append(Path(target).name)

    monkeypatch.setattr("os.replace", act)
    return names, full
