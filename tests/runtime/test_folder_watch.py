"""A file is given once for each content, and only when it rests."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.folder_watch import FolderWatch, Settling, WatchSettings, watch_folder
from runtime.images import looks_like_image

SETTLE_S = 1.0
GREY = np.zeros((4, 4), np.uint8)


class SettlingMachine(RuleBasedStateMachine):
    """Random writes, looks and pauses against a plain account of what each file's content is."""

    KNOWN = Path("a"), FileState(1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.settling = Settling(SETTLE_S, [self.KNOWN])
        self.now = 100.0
        self.content: dict[Path, FileState] = dict([self.KNOWN])
        self.changed_at: dict[Path, float] = {}
        self.taken: dict[Path, FileState] = dict([self.KNOWN])
        self.version = 1

    names = st.sampled_from([Path("a"), Path("b"), Path("c")])

    @rule(path=names)
    def write(self, path: Path) -> None:
        self.version += 1
        self.set_content(path, FileState(self.version, self.version))

    @rule(path=names)
    def change_back(self, path: Path) -> None:
        if path in self.taken:
            self.set_content(path, self.taken[path])

    @rule(path=names)
    def remove(self, path: Path) -> None:
        self.content.pop(path, None)
        # once it is gone, the same content under the same name is news
        self.taken.pop(path, None)
        self.look(path)

    @rule(path=names)
    def look(self, path: Path) -> None:
        self.settling.see(path, self.content.get(path), self.now)

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
    def wait_and_take(self, seconds: float) -> None:
        self.now += seconds
        for path, state in self.settling.take(self.now):
            assert self.now - self.changed_at[path] >= SETTLE_S
            assert state == self.content[path]
            assert state != self.taken.get(path), "given twice"
            self.taken[path] = state

    @invariant()
    def nothing_is_forgotten(self) -> None:
        waiting = set(self.settling.waiting())
        assert waiting == {path for path, state in self.content.items() if self.taken.get(path) != state}
        assert len(self.settling) == len(waiting)

    def set_content(self, path: Path, state: FileState) -> None:
        if self.content.get(path) != state:
            self.changed_at[path] = self.now
        self.content[path] = state
        self.look(path)


TestSettling = SettlingMachine.TestCase


def test_old_file_is_taken_at_once_and_a_time_in_the_future_waits() -> None:
    settling = Settling(SETTLE_S)
    settling.see(Path("old"), FileState(1, 1), now=10.0, age_s=3600)
    settling.see(Path("future"), FileState(1, 1), now=10.0, age_s=-3600)
    assert settling.take(10.0) == [(Path("old"), FileState(1, 1))]
    assert settling.take(11.0) == [(Path("future"), FileState(1, 1))]


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
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watched(tmp_path: Path, warned: list[str]) -> Iterator[Callable[[WatchSettings], list[Path]]]:
    """Starts a watch of tmp_path in a thread; the list grows as images are given."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(settings: WatchSettings) -> list[Path]:
        given: list[Path] = []

        def run() -> None:
            with watch_folder(tmp_path, settings, warn=warned.append) as found:
                while not stop.wait(settings.poll_s):
                    given.extend(path for path, _state in found.poll())

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return given

    yield start
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def refusing(folder: Path) -> Callable[[Path], object]:
    """os.scandir for a user who may not list `folder`: as root, rights do not stop anybody."""
    scan = os.scandir

    def scandir(path: str | bytes | Path) -> object:
        if Path(os.fsdecode(path)) == folder:
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(path)

    return scandir


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not seen in time"
        time.sleep(0.02)


def test_what_is_there_and_what_comes_is_given(
    tmp_path: Path, watched: Callable[[WatchSettings], list[Path]], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "before.png", GREY)
    given = watched(WatchSettings(settle_s=0.2, rescan_s=3600))
    wait_for(lambda: given == [tmp_path / "before.png"])
    save_image(tmp_path / "VivaStack #1" / "näch ster.png", GREY)
    (tmp_path / "notes.txt").write_text("no image")
    wait_for(lambda: len(given) == 2)
    assert given[1].name == "näch ster.png"
    assert tmp_path / "notes.txt" not in given
    # saved again with other content: given again
    save_image(tmp_path / "before.png", np.full((5, 5), 9, np.uint8))
    wait_for(lambda: len(given) == 3)
    assert given[2] == tmp_path / "before.png"


def test_its_own_reading_is_no_news(
    tmp_path: Path, watched: Callable[[WatchSettings], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []

    def look(path: Path) -> bool:
        looks.append(path)
        return looks_like_image(path)

    monkeypatch.setattr("runtime.folder_watch.looks_like_image", look)
    watched(WatchSettings(settle_s=0.1, poll_s=0.01))
    time.sleep(0.3)
    (tmp_path / "unnamed").write_bytes(b"opened by every look, to see what it is")
    wait_for(lambda: bool(looks))
    time.sleep(0.5)
    # created, modified and closed, each perhaps in a round of its own
    assert len(looks) <= 3


def test_rescan_finds_what_no_event_told(
    tmp_path: Path,
    watched: Callable[[WatchSettings], list[Path]],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.folder_hints._Handler.on_any_event", lambda *_: None)
    given = watched(WatchSettings(settle_s=0.1, rescan_s=0.3))
    save_image(tmp_path / "quiet.png", GREY)
    wait_for(lambda: given == [tmp_path / "quiet.png"])


def test_file_that_grows_is_given_only_when_it_rests(
    tmp_path: Path, watched: Callable[[WatchSettings], list[Path]], save_image: Callable[..., str]
) -> None:
    given = watched(WatchSettings(settle_s=0.6))
    save_image(tmp_path / "whole.bmp", np.zeros((100, 100), np.uint8))
    data = (tmp_path / "whole.bmp").read_bytes()
    with (tmp_path / "slow.bmp").open("wb") as file:
        for start in range(0, len(data), 1500):
            file.write(data[start : start + 1500])
            file.flush()
            time.sleep(0.15)
            assert tmp_path / "slow.bmp" not in given
    wait_for(lambda: tmp_path / "slow.bmp" in given)


def test_once_gives_what_is_there_and_hears_of_nothing_else(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path) -> None:
        raise AssertionError("no events are wanted")

    monkeypatch.setattr("runtime.folder_hints.folder_hints", refuse)
    for number in range(3):
        save_image(tmp_path / f"{number}.png", GREY)
    with watch_folder(tmp_path, WatchSettings(settle_s=0.2, rescan_s=0.01), once=True, warn=print) as found:
        given = found.poll()
        save_image(tmp_path / "late.png", GREY)
        while found.unsettled:
            time.sleep(0.05)
            given += found.poll()
    assert sorted(path.name for path, _state in given) == ["0.png", "1.png", "2.png"]
    assert all(state == FileState.of(path) for path, state in given)


# listed at every poll, so that nothing hangs on when events come
AT_EVERY_POLL = WatchSettings(settle_s=SETTLE_S, rescan_s=0.0)


def names(given: list[tuple[Path, FileState]]) -> list[str]:
    return [path.name for path, _state in given]


def make_old(path: Path) -> None:
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))


def settled(found: FolderWatch, clock: Clock) -> list[str]:
    """What is given from now until everything rests."""
    given = found.poll()
    clock.now += SETTLE_S
    given += found.poll()
    assert found.unsettled == 0
    return names(given)


def test_known_files_are_not_given_until_they_change(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str]
) -> None:
    known = []
    for name in ("same.png", "changed before.png", "changed later.png"):
        save_image(tmp_path / name, GREY)
        make_old(tmp_path / name)
        state = FileState.of(tmp_path / name)
        assert state is not None
        known.append((tmp_path / name, state))
    save_image(tmp_path / "changed before.png", np.full((9, 9), 3, np.uint8))
    make_old(tmp_path / "changed before.png")
    with watch_folder(tmp_path, AT_EVERY_POLL, known=known, clock=clock, warn=print) as found:
        assert names(found.poll()) == ["changed before.png"]
        assert found.unsettled == 0
        assert settled(found, clock) == []
        save_image(tmp_path / "changed later.png", np.full((9, 9), 3, np.uint8))
        assert names(found.poll()) == []
        assert settled(found, clock) == ["changed later.png"]
        assert settled(found, clock) == []


def test_only_files_there_at_the_start_are_trusted_by_their_age(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str]
) -> None:
    for name in ("old.png", "fresh.png"):
        save_image(tmp_path / name, GREY)
    make_old(tmp_path / "old.png")
    with watch_folder(tmp_path, AT_EVERY_POLL, clock=clock, warn=print) as found:
        assert names(found.poll()) == ["old.png"]
        # a copy that keeps the original's time says nothing about when it is complete
        save_image(tmp_path / "copied.png", GREY)
        make_old(tmp_path / "copied.png")
        assert names(found.poll()) == []
        clock.now += 0.9 * SETTLE_S
        assert "copied.png" not in names(found.poll())
        clock.now += 0.1 * SETTLE_S
        assert "copied.png" in names(found.poll())


def test_file_that_changes_back_before_it_is_taken_is_not_given(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str]
) -> None:
    path = tmp_path / "v.png"
    save_image(path, GREY)
    make_old(path)
    data, status = path.read_bytes(), path.stat()
    with watch_folder(tmp_path, AT_EVERY_POLL, clock=clock, warn=print) as found:
        assert names(found.poll()) == ["v.png"]
        save_image(path, np.full((9, 9), 3, np.uint8))
        assert names(found.poll()) == []
        assert found.unsettled == 1
        path.write_bytes(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert settled(found, clock) == []


def test_file_that_is_looked_at_while_it_is_gone_is_news_when_it_comes_back(
    tmp_path: Path, clock: Clock, save_image: Callable[..., str]
) -> None:
    path = tmp_path / "v.png"
    save_image(path, GREY)
    with watch_folder(tmp_path, AT_EVERY_POLL, clock=clock, warn=print) as found:
        assert settled(found, clock) == ["v.png"]
        path.rename(tmp_path / "aside")
        found.look(path)
        (tmp_path / "aside").rename(path)
        assert settled(found, clock) == ["v.png"]


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    missing = watch_folder(tmp_path / "gone", WatchSettings(), warn=print)
    with pytest.raises(InflamapError, match=r"gone: no such folder.*the folder the microscope saves to"), missing:
        pass


@pytest.mark.parametrize("settle_s", [-1.0, float("nan"), float("inf")])
def test_settle_time_that_never_ends_is_refused(settle_s: float) -> None:
    with pytest.raises(InflamapError, match=r"--settle; seen: .*; wanted: 0 to 86400 seconds"):
        WatchSettings(settle_s=settle_s)


def test_without_events_it_says_so_once_and_goes_on_by_rescans(
    tmp_path: Path,
    watched: Callable[[WatchSettings], list[Path]],
    warned: list[str],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exhausted(_folder: Path) -> None:
        raise OSError(24, "inotify instance limit reached")

    monkeypatch.setattr("runtime.folder_hints.folder_hints", exhausted)
    given = watched(WatchSettings(settle_s=0.1, rescan_s=0.2))
    save_image(tmp_path / "quiet.png", GREY)
    wait_for(lambda: given == [tmp_path / "quiet.png"])
    assert len(warned) == 1
    assert "no events (inotify instance limit reached)" in warned[0]


def test_folder_that_is_gone_for_a_while_is_watched_again(
    tmp_path: Path,
    watched: Callable[[WatchSettings], list[Path]],
    warned: list[str],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from runtime import folder_watch

    find = folder_watch.find_images
    gone = threading.Event()

    def share(folder: Path, **keywords: Callable[[OSError], None]) -> Iterator[Path]:
        if gone.is_set():
            raise InflamapError(f"{folder}: the folder cannot be listed", seen="Host is down")
        return find(folder, **keywords)

    monkeypatch.setattr(folder_watch, "find_images", share)
    monkeypatch.setattr("runtime.folder_hints._Handler.on_any_event", lambda *_: None)
    gone.set()
    given = watched(WatchSettings(settle_s=0.1, rescan_s=0.1))
    wait_for(lambda: len(warned) == 1)
    save_image(tmp_path / "later.png", GREY)
    time.sleep(0.4)
    gone.clear()
    wait_for(lambda: given == [tmp_path / "later.png"])
    assert len(warned) == 1
    assert "Host is down" in warned[0]


def test_subfolder_that_cannot_be_listed_is_told(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(tmp_path / "open" / "a.png", GREY)
    (tmp_path / "locked").mkdir()
    monkeypatch.setattr("os.scandir", refusing(tmp_path / "locked"))
    warned: list[str] = []
    with watch_folder(tmp_path, WatchSettings(settle_s=0, rescan_s=0), warn=warned.append) as found:
        assert names(found.poll()) == ["a.png"]
        found.poll()
    assert len(warned) == 1
    assert "locked: this folder cannot be listed; seen: Permission denied" in warned[0]


@pytest.mark.skipif(sys.platform == "win32", reason="a folder that is observed cannot be moved there")
@pytest.mark.parametrize("leave", ["moved away", "deleted"])
def test_events_are_heard_again_once_the_folder_was_replaced(
    tmp_path: Path, clock: Clock, warned: list[str], leave: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    settings = WatchSettings(settle_s=0.0, rescan_s=30.0)
    with watch_folder(folder, settings, clock=clock, warn=warned.append) as found:
        found.poll()
        folder.rename(tmp_path / "old") if leave == "moved away" else folder.rmdir()
        folder.mkdir()
        # the system's own thread hears of it after this one
        time.sleep(0.5)
        clock.now += 30.0
        found.poll()
        (folder / "a.bmp").write_bytes(b"1")
        # the clock stands, so that it is no rescan that finds it
        wait_for(lambda: names(found.poll()) == ["a.bmp"])


def test_listing_a_folder_that_takes_long_is_not_most_of_what_is_done(
    tmp_path: Path, clock: Clock, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[float] = []

    def slow(_folder: Path, **_keywords: object) -> list[Path]:
        listed.append(clock.now)
        clock.now += 5.0
        return []

    monkeypatch.setattr("runtime.folder_watch.find_images", slow)
    with watch_folder(tmp_path, WatchSettings(rescan_s=1.0), clock=clock, warn=warned.append) as found:
        for _ in range(300):
            found.poll()
            clock.now += 1.0
    assert 300 / 110 <= len(listed) <= 1 + 300 / 95
