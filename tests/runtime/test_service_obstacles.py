"""What is in the way of the whole watch is waited for, and is no image's fault; what never heals is not tried again."""

import errno
import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from watch_bench import Bench, sha256_of, wait_for

from runtime import scoring
from runtime.errors import InflamapError
from runtime.heartbeat import Heartbeat
from runtime.ledger import Ledger, State
from runtime.model import Model
from runtime.scoring import Examined, ReadImage
from runtime.service import Tally

linux_only = pytest.mark.skipif(sys.platform == "win32", reason="as Linux has it")


def refusing(monkeypatch: pytest.MonkeyPatch, name: str, why: str) -> threading.Event:
    """While what it gives is set, the ledger's method of that name cannot reach its file."""
    on = threading.Event()
    act = getattr(Ledger, name)

    def refuse(*arguments: Any, **keywords: Any) -> Any:
        if on.is_set():
            raise sqlite3.OperationalError(why)
        return act(*arguments, **keywords)

    monkeypatch.setattr(Ledger, name, refuse)
    return on


def refuse_below(place: Path, number: int, tries: list[Path]) -> Callable[..., Any]:
    """Path.open for a disk that takes no new file below `place`."""
    really_open = Path.open

    def open_(self: Path, mode: str = "r", **keywords: Any) -> Any:
        if mode == "xb" and self.is_relative_to(place):
            tries.append(self)
            raise OSError(number, os.strerror(number), str(self))
        return really_open(self, mode, **keywords)

    return open_


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_disk_that_takes_nothing_pauses_all_and_blames_no_image(
    bench: Bench,
    number: int,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.obstacles.DISK_CHECK_S", 0.02)
    monkeypatch.setattr("runtime.obstacles.BLOCKED_S", 0.1)
    monkeypatch.setattr("runtime.conclusion.BLOCKED_S", 0.1)
    for name in ("a.bmp", "b.bmp", "c.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    tries: list[Path] = []
    with bench.running(), monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse_below(bench.out, number, tries))
        save_image(bench.folder / "d.bmp", patch_of_skin)
        wait_for(lambda: bench.noted("paused") is not None)
        assert bench.noted("paused") == f"nothing can be written to {bench.out} ({os.strerror(number)})"
        done = set(bench.states().items())
        wait_for(lambda: sum("probe" in path.name for path in tries) >= 4)
        assert set(bench.states().items()) == done
        assert {state for _name, state in done} <= {"waiting", "scored"}
        patched.undo()
        wait_for(lambda: set(bench.states().values()) == {"scored"})
        assert len(bench.rows()) == 4
    assert all(row.attempts == 1 for row in bench.rows().values())
    # however long it lasts
    assert sum(line.startswith("inflamap: paused: ") for line in bench.said) == 1
    assert sum(line == "scoring goes on" for line in bench.said) == 1
    assert not list(bench.out.glob("*.tmp*"))


def test_folder_that_takes_nothing_fails_its_own_images_alone(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.bmp", "closed/b.bmp", "z.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    monkeypatch.setattr(Path, "open", refuse_below(bench.out / "closed", errno.EROFS, []))
    with bench.running():
        wait_for(lambda: bench.states() == {"a.bmp": "scored", "closed/b.bmp": "failed", "z.bmp": "scored"})
    assert bench.noted("paused") is None


def test_pause_names_no_image(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.obstacles.DISK_CHECK_S", 0.02)
    save_image(bench.folder / "Eva M" / "a.bmp", patch_of_skin)
    monkeypatch.setattr(Path, "open", refuse_below(bench.out, errno.ENOSPC, []))
    heart = Heart()
    with bench.running(heartbeat=heart):
        wait_for(lambda: any("paused" in status for status in heart.statuses))
    assert not any("Eva" in line for line in [*bench.said, *heart.statuses])


def test_once_does_not_wait_for_the_disk(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(bench.folder / "a.bmp", patch_of_skin)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse_below(bench.out, errno.ENOSPC, []))
        assert bench.once() == Tally(failed=1)
    assert "No space left on device" in bench.rows()["a.bmp"].reason
    assert bench.once() == Tally(done=1)


@linux_only
@pytest.mark.parametrize("left", ["nothing", "another ledger"])
def test_results_folder_that_was_taken_away_ends_the_watch(
    bench: Bench,
    left: str,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.obstacles.DISK_CHECK_S", 0.02)
    save_image(bench.folder / "a.bmp", patch_of_skin)
    with bench.running(fails=InflamapError):
        wait_for(lambda: bench.states() == {"a.bmp": "scored"})
        shutil.rmtree(bench.out)
        if left == "another ledger":
            bench.out.mkdir()
            (bench.out / "inflamap.db").write_bytes(b"")
        wait_for(lambda: not any(thread.name.startswith("scoring") for thread in threading.enumerate()))
    assert "the ledger was removed or replaced while the watch ran; next: start the watch again" in bench.said[-1]


@linux_only
def test_what_will_never_be_an_image_is_not_tried_again_until_it_changes(
    bench: Bench, tmp_path: Path, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    (bench.folder / "letter.bmp").write_text("Dear colleague, " * 100)
    os.mkfifo(bench.folder / "pipe.bmp")
    save_image(tmp_path / "elsewhere.bmp", patch_of_skin)
    (bench.folder / "out.bmp").symlink_to(tmp_path / "elsewhere.bmp")
    assert bench.once() == Tally(failed=3)
    rows = bench.rows()
    assert {name: row.due for name, row in rows.items()} == dict.fromkeys(rows, None)
    for name, word in (("letter", "not an image"), ("pipe", "no regular file"), ("out", "leads out of the watched")):
        assert word in rows[f"{name}.bmp"].reason
    assert bench.once() == Tally()
    assert all(row.attempts == 1 for row in bench.rows().values())
    assert not list(bench.out.glob("*.score.json"))
    save_image(bench.folder / "letter.bmp", patch_of_skin)
    assert bench.once() == Tally(done=1)


def test_what_may_heal_is_due_again(bench: Bench, patch_of_skin: npt.NDArray[np.uint8]) -> None:
    (bench.folder / "cut.bmp").write_bytes(cv2.imencode(".bmp", patch_of_skin)[1].tobytes()[:500])
    assert bench.once() == Tally(failed=1)
    due = bench.rows()["cut.bmp"].due
    assert due is not None
    assert 0 < due - time.time() <= 10


@linux_only
def test_links_within_the_folder_are_scored_and_those_to_nothing_wait(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "a.bmp", patch_of_skin)
    (bench.folder / "same.bmp").symlink_to("a.bmp")
    (bench.folder / "later.bmp").symlink_to("b.bmp")
    (bench.folder / "circle.bmp").symlink_to("circle.bmp")
    assert bench.once() == Tally(done=2, failed=2)
    assert "a link to nothing" in bench.rows()["later.bmp"].reason
    assert "cannot be read" in bench.rows()["circle.bmp"].reason
    save_image(bench.folder / "b.bmp", patch_of_skin)
    assert bench.once() == Tally(done=2, failed=1)
    assert bench.states()["later.bmp"] == "scored"


@linux_only
def test_file_that_another_program_holds_waits_with_its_reason(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    import fcntl

    for name in ("free.bmp", "held.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    file = (bench.folder / "held.bmp").open("rb")
    fcntl.flock(file, fcntl.LOCK_EX)
    with bench.running():
        wait_for(lambda: bench.states() == {"free.bmp": "scored", "held.bmp": "waiting"})
        wait_for(lambda: "open for writing" in bench.rows()["held.bmp"].reason)
        time.sleep(0.2)
        assert bench.states()["held.bmp"] == "waiting"
        file.close()
        wait_for(lambda: bench.states()["held.bmp"] == "scored")


def test_folder_that_is_not_there_at_the_start_is_waited_for(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    bench.folder.rmdir()
    with bench.running():
        wait_for(lambda: "cannot be listed" in (bench.noted("folder_fault") or ""))
        save_image(bench.folder / "a.bmp", patch_of_skin)
        wait_for(lambda: bench.states() == {"a.bmp": "scored"})
        assert bench.noted("folder_fault") is None


def test_newest_image_is_scored_next_whatever_waits(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hour_ago = time.time() - 3600
    for number in range(30):
        save_image(bench.folder / f"old {number:02}.bmp", patch_of_skin)
        os.utime(bench.folder / f"old {number:02}.bmp", (hour_ago + number, hour_ago + number))
    order: list[str] = []

    def score(image: ReadImage, model: Model) -> Examined:
        order.append(image.path.name)
        if len(order) == 5:
            save_image(bench.folder / "new.bmp", patch_of_skin)
        time.sleep(0.05)
        return scoring.score_image(image, model)

    monkeypatch.setattr("runtime.in_hand.score_image", score)
    with bench.running():
        wait_for(lambda: len(order) == 31)
    # those that were in hand or begun when it came to rest, and perhaps one turn of the backlog
    assert order.index("new.bmp") <= 8
    # of the others the newest too, but for every fifth
    assert order[:4] == ["old 29.bmp", "old 28.bmp", "old 27.bmp", "old 26.bmp"]
    assert order[4] == "old 00.bmp"


def test_new_version_tries_again_what_the_one_before_could_not_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.folder / "letter.bmp").write_text("Dear colleague, " * 100)
    assert bench.once() == Tally(failed=1)
    assert bench.once() == Tally()
    monkeypatch.setattr("runtime.service.__version__", "99.0")
    assert bench.once() == Tally(failed=1)
    assert bench.once() == Tally()


class Heart(Heartbeat):
    """Counts the signs of life."""

    def __init__(self, *, watched: bool = True) -> None:
        super().__init__({})
        self.watched = watched
        self.beats = 0
        self.statuses: list[str] = []

    def ready(self, status: str) -> None:
        self.statuses.append(status)

    def beat(self, status: Callable[[], str]) -> None:
        self.beats += 1
        self.statuses.append(status())


def test_loop_gives_signs_of_life_until_an_image_is_stuck(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.in_hand.STUCK_S", 0.3)
    save_image(bench.folder / "a.bmp", patch_of_skin)
    begun, go_on = threading.Event(), threading.Event()

    def score(image: ReadImage, model: Model) -> Examined:
        begun.set()
        assert go_on.wait(20)
        return scoring.score_image(image, model)

    monkeypatch.setattr("runtime.in_hand.score_image", score)
    heart = Heart()
    with bench.running(heartbeat=heart):
        assert begun.wait(10)
        time.sleep(0.6)
        silent_since = heart.beats
        time.sleep(0.3)
        assert heart.beats == silent_since > 0
        assert sum("a.bmp: in hand for" in line for line in bench.said) == 1
        assert "does not come to an end" in bench.noted("paused")
        go_on.set()
        wait_for(lambda: heart.beats > silent_since)
        wait_for(lambda: "1 scored" in heart.statuses[-1])
        assert bench.noted("paused") is None


def test_where_nobody_watches_a_stuck_watch_ends_itself(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[bool] = []
    monkeypatch.setattr("runtime.in_hand.STUCK_S", 0.1)
    monkeypatch.setattr("runtime.service.end_hard", lambda: ends.append(True))
    save_image(bench.folder / "a.bmp", patch_of_skin)
    go_on = threading.Event()

    def score(image: ReadImage, model: Model) -> Examined:
        assert go_on.wait(20)
        return scoring.score_image(image, model)

    monkeypatch.setattr("runtime.in_hand.score_image", score)
    with bench.running():
        wait_for(lambda: bool(ends))
        assert "the watch ends, start it again" in bench.said[-1]
        go_on.set()
    assert ends == [True]


def test_waiting_for_the_ledger_is_life_too(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.obstacles.DISK_CHECK_S", 0.02)
    full = refusing(monkeypatch, "finished", "database or disk is full")
    heart = Heart()
    with bench.running(heartbeat=heart):
        full.set()
        save_image(bench.folder / "a.bmp", patch_of_skin)
        wait_for(lambda: sum("database or disk is full" in status for status in heart.statuses) > 3)
        full.clear()
        wait_for(lambda: bench.states() == {"a.bmp": "scored"})
    assert bench.record("a.bmp")["image"]["sha256"] == sha256_of(bench.folder / "a.bmp")
    assert bench.rows()["a.bmp"].state is State.SCORED


@pytest.mark.parametrize("question", ["known_of", "failed_before"])
def test_ledger_that_cannot_be_read_is_waited_for_too(
    bench: Bench,
    question: str,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.obstacles.DISK_CHECK_S", 0.02)
    monkeypatch.setattr("runtime.conclusion.DROP_EVERY_S", 0.0)
    locked = refusing(monkeypatch, question, "database is locked")
    with bench.running():
        locked.set()
        save_image(bench.folder / "a.bmp", patch_of_skin)
        wait_for(lambda: any("database is locked" in line for line in bench.said))
        locked.clear()
        wait_for(lambda: bench.states() == {"a.bmp": "scored"})


def test_stop_while_the_ledger_is_waited_for_is_no_failure(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.obstacles.DISK_CHECK_S", 0.02)

    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    save_image(bench.folder / "a.bmp", patch_of_skin)
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "finished", refuse)
        with bench.running():
            wait_for(lambda: any("disk is full" in line for line in bench.said))
    assert bench.in_hand() == 0
    # its result was written
    assert bench.once() == Tally(kept=1)


def test_engine_that_broke_ends_the_watch_and_blames_no_image(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.bmp", "b.bmp", "c.bmp"):
        save_image(bench.folder / name, patch_of_skin)

    def lost(_images: object) -> None:
        raise RuntimeError("CUDA error 999: device lost")

    with monkeypatch.context() as patched:
        patched.setattr(type(bench.model.engine), "run", lambda _self, images: lost(images))
        with pytest.raises(InflamapError, match=r"does not work any more.*device lost.*next: start the watch again"):
            bench.once()
    assert set(bench.states().values()) == {"waiting"}
    assert bench.in_hand() == 0
    assert bench.once() == Tally(done=3)


@linux_only
def test_once_says_what_it_waits_for_and_gives_up_on_a_file_that_is_held(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr("runtime.service.SILENCE_S", 0.2)
    for name in ("free.bmp", "held.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    with (bench.folder / "held.bmp").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert bench.once() == Tally(done=1, failed=1)
    assert "waiting for files held open" in bench.said
    assert "open for writing" in bench.rows()["held.bmp"].reason
    assert bench.once() == Tally(done=1)


def test_what_failed_and_is_gone_is_listed_for_a_day(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.folder / "letter.bmp").write_text("Dear colleague, " * 100)
    (bench.folder / "cut.bmp").write_bytes(b"BM" + bytes(60))
    save_image(bench.folder / "good.bmp", patch_of_skin)
    assert bench.once() == Tally(done=1, failed=2)
    for name in ("letter.bmp", "cut.bmp", "good.bmp"):
        (bench.folder / name).unlink()
    assert bench.once() == Tally()
    assert set(bench.states()) == {"letter.bmp", "cut.bmp", "good.bmp"}
    monkeypatch.setattr("runtime.conclusion.GONE_KEPT_S", -1.0)
    monkeypatch.setattr("runtime.conclusion.DROP_EVERY_S", 0.0)
    # more than are asked for at a time, so that it goes on from where it was
    monkeypatch.setattr("runtime.conclusion.MOST_ASKED", 1)
    assert bench.once() == Tally()
    assert bench.states() == {"good.bmp": "scored"}
    assert sum("gone, and not listed any more" in line for line in bench.said) == 2


def test_nothing_is_dropped_while_the_folder_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (bench.folder / "letter.bmp").write_text("Dear colleague, " * 100)
    assert bench.once() == Tally(failed=1)
    monkeypatch.setattr("runtime.conclusion.GONE_KEPT_S", -1.0)
    bench.folder.rename(bench.folder.with_name("away"))
    bench.once()
    assert bench.states() == {"letter.bmp": "failed"}


@linux_only
def test_link_to_a_folder_is_said_and_is_no_failure(
    bench: Bench, tmp_path: Path, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "a.bmp", patch_of_skin)
    (bench.folder / "link").symlink_to(tmp_path)
    assert bench.once() == Tally(done=1)
    assert any("link: a link to a folder, which is not followed" in line for line in bench.said)


def test_wait_for_the_ledger_is_not_taken_for_an_image_that_is_stuck(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[bool] = []
    monkeypatch.setattr("runtime.in_hand.STUCK_S", 0.3)
    monkeypatch.setattr("runtime.service.end_hard", lambda: ends.append(True))
    monkeypatch.setattr("runtime.obstacles.DISK_CHECK_S", 0.02)
    full = refusing(monkeypatch, "finished", "database or disk is full")
    with bench.running():
        full.set()
        for name in ("a.bmp", "b.bmp", "c.bmp"):
            save_image(bench.folder / name, patch_of_skin)
        wait_for(lambda: any("disk is full" in line for line in bench.said))
        time.sleep(0.8)
        full.clear()
        wait_for(lambda: set(bench.states().values()) == {"scored"})
    assert ends == []
    assert not any("in hand" in line for line in bench.said)


def test_loop_does_not_spin_while_a_log_is_written_beside_the_images(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runtime.folder_watch import FolderWatch

    polls: list[float] = []
    poll = FolderWatch.poll

    def count(self: FolderWatch) -> Any:
        polls.append(time.monotonic())
        return poll(self)

    monkeypatch.setattr(FolderWatch, "poll", count)
    opened: list[Path] = []
    monkeypatch.setattr("runtime.folder_scan.begins_as_image", lambda path, **_inside: bool(opened.append(path)))
    with bench.running(), (bench.folder / "session.log").open("a") as log:
        began = len(polls)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            log.write("line\n" * 100)
            log.flush()
            time.sleep(0.001)
        # every hundredth of a second at the most, as it was told to
        assert len(polls) - began <= 110
    # it is looked into when it rests, not whenever it grows; here every pause between two lines is rest enough
    assert len(opened) <= 110
