"""A file is given once for each content, and only when it rests."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from runtime import folder_watch
from runtime.errors import InflamapError
from runtime.file_state import FileState, Kept
from runtime.folder_scan import Found
from runtime.folder_watch import GONE_RESCAN_S, FolderWatch, watch_folder
from runtime.images import begins_as_image
from runtime.patience import WatchSettings

SETTLE_S = 1.0
GREY = np.zeros((4, 4), np.uint8)


class Given:
    """What a watch gave, kept as the ledger keeps it."""

    def __init__(self, known: Iterable[tuple[str, FileState]] = ()) -> None:
        self.states = dict(known)
        self.names: list[str] = []

    def known(self, paths: Sequence[str]) -> dict[str, FileState]:
        return {path: self.states[path] for path in paths if path in self.states}

    def poll(self, found: FolderWatch) -> list[str]:
        """Names of what is given now."""
        given = found.poll()
        self.states |= {path: state for path, state, _rested_s in given}
        self.names += (names := [Path(path).as_posix() for path, _state, _rested_s in given])
        return names


@pytest.fixture
def warned() -> list[str]:
    """What the watch warned of."""
    return []


class Clock:
    """A steady clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    # the processor's time goes on while this clock stands
    monkeypatch.setattr(folder_watch, "WORKING_SHARE", 0.0)
    return Clock()


@pytest.fixture
def watched(tmp_path: Path, warned: list[str]) -> Iterator[Callable[[WatchSettings], list[str]]]:
    """Starts a watch of tmp_path in a thread; the list grows as images are given."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(settings: WatchSettings) -> list[str]:
        given = Given()

        def run() -> None:
            with watch_folder(
                tmp_path, settings, known=given.known, warn=lambda _path, fault: warned.append(str(fault))
            ) as found:
                while not stop.wait(settings.poll_s):
                    given.poll(found)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return given.names

    yield start
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not seen in time"
        time.sleep(0.02)


def test_what_is_there_and_what_comes_is_given(
    tmp_path: Path, watched: Callable[[WatchSettings], list[str]], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "before.png", GREY)
    given = watched(WatchSettings(settle_s=0.2, rescan_s=3600))
    wait_for(lambda: given == ["before.png"])
    save_image(tmp_path / "VivaStack #1" / "näch ster.png", GREY)
    (tmp_path / "notes.txt").write_text("no image")
    wait_for(lambda: len(given) == 2)
    assert given[1] == "VivaStack #1/näch ster.png"
    assert "notes.txt" not in given
    # saved again with other content: given again
    save_image(tmp_path / "before.png", np.full((5, 5), 9, np.uint8))
    wait_for(lambda: len(given) == 3)
    assert given[2] == "before.png"


def test_what_happens_in_a_folder_of_results_is_no_news(
    tmp_path: Path, watched: Callable[[WatchSettings], list[str]], save_image: Callable[..., str], warned: list[str]
) -> None:
    (tmp_path / "site" / "results" / "deep").mkdir(parents=True)
    (tmp_path / "site" / "results" / "inflamap.db").touch()
    given = watched(WatchSettings(settle_s=0.1, rescan_s=3600))
    wait_for(lambda: len(warned) == 1)
    for name in ("site/results/deep/a.bmp", "site/results/deep/new/b.bmp", "site/results/c.bmp", "d.bmp.overlay.jpg"):
        save_image(tmp_path / name, GREY)
    # a folder that becomes one of results while it is watched
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "inflamap.lock").touch()
    save_image(tmp_path / "later" / "deep" / "e.bmp", GREY)
    save_image(tmp_path / "site" / "last.bmp", GREY)
    wait_for(lambda: bool(given))
    time.sleep(0.3)
    assert given == ["site/last.bmp"]
    assert "a folder with results of inflamap" in warned[0]


def test_results_that_are_asked_to_be_looked_at_are_let_go(tmp_path: Path, save_image: Callable[..., str]) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "inflamap.lock").touch()
    names = [os.path.join("r", "a.bmp"), "b.bmp.overlay.jpg"]  # noqa: PTH118
    for name in names:
        save_image(tmp_path / name, GREY)
    given = Given()
    settings = WatchSettings(settle_s=0.0)
    with watch_folder(tmp_path, settings, known=given.known, once=True, warn=lambda *_: None) as found:
        found.look(*names)
        assert found.unsettled == 0
        for _ in range(3):
            assert given.poll(found) == []


def test_its_own_reading_is_no_news(
    tmp_path: Path, watched: Callable[[WatchSettings], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []

    def look(path: Path, *, inside: Path) -> bool:
        looks.append(path)
        return begins_as_image(path, inside=inside)

    monkeypatch.setattr("runtime.folder_scan.begins_as_image", look)
    watched(WatchSettings(settle_s=0.1, poll_s=0.01))
    time.sleep(0.3)
    (tmp_path / "unnamed").write_bytes(b"opened by every look, to see what it is")
    wait_for(lambda: bool(looks))
    time.sleep(0.5)
    # created, modified and closed, each perhaps in a round of its own
    assert len(looks) <= 3


def test_rescan_finds_what_no_event_told(
    tmp_path: Path,
    watched: Callable[[WatchSettings], list[str]],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.folder_hints._Handler.on_any_event", lambda *_: None)
    given = watched(WatchSettings(settle_s=0.1, rescan_s=0.3))
    save_image(tmp_path / "quiet.png", GREY)
    wait_for(lambda: given == ["quiet.png"])


def test_file_that_grows_is_given_only_when_it_rests(
    tmp_path: Path, watched: Callable[[WatchSettings], list[str]], save_image: Callable[..., str]
) -> None:
    given = watched(WatchSettings(settle_s=0.6))
    save_image(tmp_path / "whole.bmp", np.zeros((100, 100), np.uint8))
    data = (tmp_path / "whole.bmp").read_bytes()
    with (tmp_path / "slow.bmp").open("wb") as file:
        for start in range(0, len(data), 1500):
            file.write(data[start : start + 1500])
            file.flush()
            time.sleep(0.15)
            assert "slow.bmp" not in given
    wait_for(lambda: "slow.bmp" in given)


def test_once_gives_what_is_there_and_hears_of_nothing_else(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> None:
        raise AssertionError("no events are wanted")

    monkeypatch.setattr("runtime.folder_hints.folder_hints", refuse)
    for number in range(3):
        save_image(tmp_path / f"{number}.png", GREY)
    given = Given()
    settings = WatchSettings(settle_s=0.2, rescan_s=0.01)
    with watch_folder(tmp_path, settings, known=given.known, once=True, warn=print) as found:
        given.poll(found)
        save_image(tmp_path / "late.png", GREY)
        while found.unsettled:
            time.sleep(0.05)
            given.poll(found)
        assert sorted(given.names) == ["0.png", "1.png", "2.png"]
        assert all(state == FileState.of(tmp_path / path) for path, state in given.states.items())
        # until it is asked to list the folder again
        found.list_again()
        given.poll(found)
        time.sleep(0.3)
        assert given.poll(found) == ["late.png"]


# listed at every poll, so that nothing hangs on when events come
AT_EVERY_POLL = WatchSettings(settle_s=SETTLE_S, rescan_s=0.0)


def make_old(path: Path) -> None:
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))


def settled(found: FolderWatch, given: Given, clock: Clock) -> list[str]:
    """What is given from now until everything rests."""
    names = given.poll(found)
    clock.now += SETTLE_S
    names += given.poll(found)
    assert found.unsettled == 0
    return names


def test_known_files_are_not_given_until_they_change(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str]
) -> None:
    known = []
    for name in ("same.png", "changed before.png", "changed later.png"):
        save_image(tmp_path / name, GREY)
        make_old(tmp_path / name)
        state = FileState.of(tmp_path / name)
        assert state is not None
        known.append((name, state))
    save_image(tmp_path / "changed before.png", np.full((9, 9), 3, np.uint8))
    make_old(tmp_path / "changed before.png")
    given = Given(known)
    with watch_folder(tmp_path, AT_EVERY_POLL, known=given.known, clock=clock, warn=print) as found:
        assert given.poll(found) == ["changed before.png"]
        assert found.unsettled == 0
        assert settled(found, given, clock) == []
        save_image(tmp_path / "changed later.png", np.full((9, 9), 3, np.uint8))
        assert given.poll(found) == []
        assert settled(found, given, clock) == ["changed later.png"]
        assert settled(found, given, clock) == []


def test_only_files_there_at_the_start_are_trusted_by_their_age(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str]
) -> None:
    for name in ("old.png", "fresh.png"):
        save_image(tmp_path / name, GREY)
    make_old(tmp_path / "old.png")
    given = Given()
    with watch_folder(tmp_path, AT_EVERY_POLL, known=given.known, clock=clock, warn=print) as found:
        assert given.poll(found) == ["old.png"]
        # a copy that keeps the original's time says nothing about when it is complete
        save_image(tmp_path / "copied.png", GREY)
        make_old(tmp_path / "copied.png")
        assert given.poll(found) == []
        clock.now += 0.9 * SETTLE_S
        assert "copied.png" not in given.poll(found)
        clock.now += 0.1 * SETTLE_S
        assert "copied.png" in given.poll(found)


@pytest.mark.parametrize("kept", [True, False])
def test_file_that_changes_back_before_it_is_taken_is_not_given_where_nothing_tells_of_it(
    kept: bool, tmp_path: Path, clock: Clock, save_image: Callable[..., str]
) -> None:
    settings = msgspec.structs.replace(AT_EVERY_POLL, kept=Kept(kept, kept))
    path = tmp_path / "v.png"
    save_image(path, GREY)
    make_old(path)
    data, status = path.read_bytes(), path.stat()
    given = Given()
    with watch_folder(tmp_path, settings, known=given.known, clock=clock, warn=print) as found:
        assert given.poll(found) == ["v.png"]
        save_image(path, np.full((9, 9), 3, np.uint8))
        assert given.poll(found) == []
        assert found.unsettled == 1
        path.write_bytes(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        # the hash tells that it holds the same
        assert settled(found, given, clock) == (["v.png"] if kept and sys.platform != "win32" else [])


def test_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path, clock: Clock, warned: list[str]) -> None:
    folder, given = tmp_path / "share", Given()
    settings = WatchSettings(settle_s=0.0, rescan_s=3600.0)
    with watch_folder(
        folder, settings, known=given.known, clock=clock, warn=lambda _path, fault: warned.append(str(fault))
    ) as found:
        for _ in range(3):
            assert given.poll(found) == []
            assert "share: the folder cannot be listed" in (found.fault or "")
            clock.now += GONE_RESCAN_S
        assert len(warned) == 1
        folder.mkdir()
        (folder / "a.bmp").write_bytes(b"BM")
        assert given.poll(found) == ["a.bmp"]
        assert found.fault is None
        # and its events are heard from now on
        (folder / "b.bmp").write_bytes(b"BM")
        wait_for(lambda: given.poll(found) == ["b.bmp"])


@pytest.mark.skipif(sys.platform == "win32", reason="events of a folder moved there come otherwise")
def test_folder_moved_in_whole_is_seen_at_once(tmp_path: Path, clock: Clock, save_image: Callable[..., str]) -> None:
    for number in range(20):
        save_image(tmp_path / "camera" / f"site {number % 3}" / f"{number}.png", GREY)
    (tmp_path / "in").mkdir()
    given = Given()
    settings = WatchSettings(settle_s=0.0, rescan_s=3600.0)
    with watch_folder(tmp_path / "in", settings, known=given.known, clock=clock, warn=print) as found:
        assert given.poll(found) == []
        (tmp_path / "camera").rename(tmp_path / "in" / "patient 1")

        def all_given() -> bool:
            # the clock stands, so that it is no rescan that finds them
            given.poll(found)
            return len(given.names) == 20

        wait_for(all_given)
    assert len(set(given.names)) == 20


def test_flood_of_events_has_the_folder_listed(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.folder_hints.MOST_HINTS", 3)
    given = Given()
    settings = WatchSettings(settle_s=0.0, rescan_s=3600.0)
    with watch_folder(tmp_path, settings, known=given.known, clock=clock, warn=print) as found:
        given.poll(found)
        for number in range(50):
            save_image(tmp_path / f"{number}.png", GREY)

        def all_given() -> bool:
            given.poll(found)
            return len(given.names) == 50

        wait_for(all_given)


def test_polling_hears_no_events(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> None:
        raise AssertionError("no events are wanted")

    monkeypatch.setattr("runtime.folder_hints.folder_hints", refuse)
    given = Given()
    settings = WatchSettings(settle_s=0.0, rescan_s=5.0, events=False)
    with watch_folder(tmp_path, settings, known=given.known, clock=clock, warn=print) as found:
        given.poll(found)
        save_image(tmp_path / "a.png", GREY)
        assert given.poll(found) == []
        clock.now += 5.0
        assert given.poll(found) == ["a.png"]


def test_long_listing_goes_on_from_poll_to_poll(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        save_image(tmp_path / f"site {number}" / "a.png", GREY)
    monkeypatch.setattr(folder_watch, "FIRST_SLICE_S", 0.0)
    monkeypatch.setattr(folder_watch, "SLICE_S", 0.0)
    given, polls = Given(), 0
    settings = WatchSettings(settle_s=0.0, events=False)
    with watch_folder(tmp_path, settings, known=given.known, warn=print) as found:
        given.poll(found)
        while found.busy:
            given.poll(found)
            polls += 1
    assert len(given.names) == 30
    assert polls > 10


def test_walk_waits_while_very_many_files_have_not_come_to_rest(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_watch, "MOST_UNSETTLED", 10)
    monkeypatch.setattr(folder_watch, "BATCH", 5)
    given = Given()
    settings = WatchSettings(settle_s=SETTLE_S, events=False)
    with watch_folder(tmp_path, settings, known=given.known, clock=clock, warn=print) as found:
        given.poll(found)
        for number in range(35):
            save_image(tmp_path / f"{number}.png", GREY)
        found.list_again()
        while len(given.names) < 35:
            given.poll(found)
            assert found.unsettled <= 15
            clock.now += SETTLE_S
    assert sorted(given.names) == sorted(f"{number}.png" for number in range(35))


def test_without_events_it_says_so_once_and_goes_on_by_rescans(
    tmp_path: Path,
    watched: Callable[[WatchSettings], list[str]],
    warned: list[str],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exhausted(_folder: Path) -> None:
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr("runtime.folder_hints.folder_hints", exhausted)
    given = watched(WatchSettings(settle_s=0.1, rescan_s=0.2))
    save_image(tmp_path / "quiet.png", GREY)
    wait_for(lambda: given == ["quiet.png"])
    assert len(warned) == 1
    assert "no events (inotify instance limit reached)" in warned[0]


def test_folder_that_is_gone_for_a_while_is_watched_again(
    tmp_path: Path,
    watched: Callable[[WatchSettings], list[str]],
    warned: list[str],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    walk = folder_watch.scan
    gone = threading.Event()

    def share(folder: str, **keywords: Any) -> Iterator[Found | None]:
        if gone.is_set():
            raise InflamapError(f"{folder}: the folder cannot be listed", seen="Host is down")
        yield from walk(folder, **keywords)

    monkeypatch.setattr(folder_watch, "scan", share)
    monkeypatch.setattr("runtime.folder_hints._Handler.on_any_event", lambda *_: None)
    gone.set()
    given = watched(WatchSettings(settle_s=0.1, rescan_s=0.1))
    wait_for(lambda: len(warned) == 1)
    save_image(tmp_path / "later.png", GREY)
    time.sleep(0.4)
    gone.clear()
    wait_for(lambda: given == ["later.png"])
    assert len(warned) == 1
    assert "Host is down" in warned[0]


def test_subfolder_that_cannot_be_listed_is_told_when_it_begins(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(tmp_path / "open" / "a.png", GREY)
    (tmp_path / "locked").mkdir()
    scandir, locked = os.scandir, [True]

    def refuse(path: str) -> object:
        if path == str(tmp_path / "locked") and locked[0]:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    given, warned = Given(), list[tuple[str, str]]()
    settings = WatchSettings(settle_s=0, rescan_s=0, events=False)

    def warn(path: Path, fault: InflamapError) -> None:
        warned.append((path.name, str(fault)))

    with watch_folder(tmp_path, settings, known=given.known, clock=clock, warn=warn) as found:
        for told, is_locked in ((1, True), (1, True), (1, False), (2, True), (2, True)):
            locked[0] = is_locked
            given.poll(found)
            assert len(warned) == told
            clock.now += 1.0
    assert given.names == ["open/a.png"]
    assert [name for name, _line in warned] == ["locked", "locked"]
    assert "locked: this folder cannot be listed; seen: Permission denied" in warned[0][1]


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that is observed cannot be moved there")
@pytest.mark.parametrize("leave", ["moved away", "deleted"])
def test_events_are_heard_again_once_the_folder_was_replaced(
    tmp_path: Path, clock: Clock, warned: list[str], leave: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    settings = WatchSettings(settle_s=0.0, rescan_s=30.0)
    given = Given()
    with watch_folder(
        folder, settings, known=given.known, clock=clock, warn=lambda _path, fault: warned.append(str(fault))
    ) as found:
        given.poll(found)
        folder.rename(tmp_path / "old") if leave == "moved away" else folder.rmdir()
        folder.mkdir()
        # the system's own thread hears of it after this one
        time.sleep(0.5)
        clock.now += GONE_RESCAN_S
        given.poll(found)
        (folder / "a.bmp").write_bytes(b"1")
        # the clock stands, so that it is no rescan that finds it
        wait_for(lambda: given.poll(found) == ["a.bmp"])


def test_listing_a_folder_that_takes_long_is_not_most_of_what_is_done(
    tmp_path: Path, clock: Clock, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[float] = []

    def slow(_folder: str, **_keywords: Any) -> Iterator[Found | None]:
        listed.append(clock.now)
        clock.now += 5.0
        yield None

    monkeypatch.setattr(folder_watch, "scan", slow)
    settings = WatchSettings(rescan_s=1.0, events=False)
    with watch_folder(
        tmp_path, settings, known=Given().known, clock=clock, warn=lambda _path, fault: warned.append(str(fault))
    ) as found:
        for _ in range(300):
            found.poll()
            clock.now += 1.0
    assert 300 / 110 <= len(listed) <= 1 + 300 / 95
