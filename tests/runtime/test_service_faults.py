"""Nothing that goes wrong with one image, the disk or the ledger stops the watch or leaves a wrong result."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from made_up import arrive
from watch_bench import AT_ONCE, Bench, sha256_of, temporaries, wait_for

from runtime import disk, scoring
from runtime.acquisition import Acquisition
from runtime.errors import InflamapError, UnreadableImage
from runtime.file_state import FileState
from runtime.ledger import ImageRow, Ledger, State, open_ledger
from runtime.model import Model
from runtime.outputs import result_files
from runtime.patience import WatchSettings
from runtime.result import Result
from runtime.scoring import Examined, ReadImage
from runtime.service import ServiceSettings, Tally, watch
from runtime.service_log import ServiceLog


def test_broken_files_are_said_and_the_others_done(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "good.bmp", patch_of_skin)
    (bench.folder / "empty.bmp").write_bytes(b"")
    (bench.folder / "short.bmp").write_bytes((bench.folder / "good.bmp").read_bytes()[:5000])
    assert bench.once() == Tally(done=1, failed=2)
    assert sum("empty.bmp" in line for line in bench.said) == 1
    assert sum("short.bmp" in line for line in bench.said) == 1
    assert all("\n" not in line for line in bench.said)
    assert bench.states() == {"empty.bmp": "failed", "good.bmp": "scored", "short.bmp": "failed"}
    assert "the file is empty" in bench.rows()["empty.bmp"].reason
    assert "truncated" in bench.rows()["short.bmp"].reason


def test_watched_folder_is_only_read(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)

    def content() -> dict[Path, tuple[int, bytes]]:
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in bench.folder.iterdir()}

    before = content()
    bench.once()
    assert content() == before


@pytest.mark.parametrize("same_state", [False, True], ids=["new time", "same size and time"])
def test_content_that_changes_while_it_is_scored_gets_no_wrong_score(
    bench: Bench,
    same_state: bool,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = bench.folder / "v.bmp"
    early = save_image(path, patch_of_skin)
    status = path.stat()
    examined: list[str] = []

    def score(image: ReadImage, model: Model) -> Examined:
        found = scoring.score_image(image, model)
        examined.append(found.record.sha256)
        if len(examined) == 1:
            save_image(path, patch_of_skin[::-1].copy())
            if same_state:
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return found

    monkeypatch.setattr("runtime.in_hand.score_image", score)
    written: list[str] = []
    write_result = scoring.write_result

    def write(*arguments: Any, record: dict[str, Any], **keywords: Any) -> None:
        written.append(record["image"]["sha256"])
        write_result(*arguments, record=record, **keywords)

    monkeypatch.setattr(scoring, "write_result", write)
    assert bench.once() == Tally(done=1)
    late = sha256_of(path)
    assert examined == [early, late]
    assert written == [late]
    assert bench.record("v.bmp")["image"]["sha256"] == late
    row = bench.rows()["v.bmp"]
    assert (row.state, row.outcome.sha256) == (State.SCORED, late)


def test_file_that_vanishes_before_it_is_scored_heals_when_it_comes_back(
    bench: Bench,
    tmp_path: Path,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    aside = tmp_path / "aside"
    save_image(bench.folder / "v.bmp", patch_of_skin)
    save_image(bench.folder / "other.bmp", patch_of_skin)

    def read(path: Path, relative: PurePath, acquisition: Acquisition, *, inside: Path) -> ReadImage:
        if path.name == "v.bmp" and not aside.exists():
            path.rename(aside)
        return scoring.read_image(path, relative, acquisition, inside=inside)

    monkeypatch.setattr("runtime.in_hand.read_image", read)
    with bench.running():
        wait_for(lambda: bench.states() == {"other.bmp": "scored", "v.bmp": "failed"})
        assert "the file is gone" in bench.rows()["v.bmp"].reason
        assert sum("v.bmp" in line and "the file is gone" in line for line in bench.said) == 1
        # the very file, with the size and time it had; sooner than the next attempt by the clock
        monkeypatch.setattr("runtime.in_hand.read_image", scoring.read_image)
        aside.rename(bench.folder / "v.bmp")
        wait_for(lambda: bench.states()["v.bmp"] == "scored", 5.0)
    assert bench.rows()["v.bmp"].reason == ""


@pytest.mark.parametrize("failure", [MemoryError(), RuntimeError("two\nlines"), AssertionError()], ids=repr)
def test_image_that_trips_the_engine_fails_alone(
    bench: Bench,
    failure: Exception,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("a.bmp", "bad.bmp", "c.bmp"):
        save_image(bench.folder / name, patch_of_skin)

    def score(image: ReadImage, model: Model) -> Examined:
        if image.path.name == "bad.bmp":
            raise failure
        return scoring.score_image(image, model)

    monkeypatch.setattr("runtime.in_hand.score_image", score)
    assert bench.once() == Tally(done=2, failed=1)
    assert bench.states() == {"a.bmp": "scored", "bad.bmp": "failed", "c.bmp": "scored"}
    reason = bench.rows()["bad.bmp"].reason
    assert f"unexpected {type(failure).__name__}" in reason
    assert "\n" not in reason
    assert sum("bad.bmp" in line for line in bench.said) == 1

    monkeypatch.setattr("runtime.in_hand.score_image", scoring.score_image)
    assert bench.once() == Tally(done=1)


def test_result_that_cannot_be_written_fails_alone_and_heals(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for name in ("a.bmp", "site/b.bmp", "z.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    (bench.out / "site").write_text("a file where a folder must be")
    assert bench.once() == Tally(done=2, failed=1)
    assert bench.states() == {"a.bmp": "scored", "site/b.bmp": "failed", "z.bmp": "scored"}
    assert "cannot be written" in bench.rows()["site/b.bmp"].reason
    assert not temporaries(bench.out)
    (bench.out / "site").unlink()
    assert bench.once() == Tally(done=1)
    assert bench.states()["site/b.bmp"] == "scored"


def test_failure_that_lasts_is_tried_again_and_said_once(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.ledger.ledger.FIRST_PAUSE_S", 0.05)
    save_image(bench.folder / "v.bmp", patch_of_skin)

    def locked(path: Path, *_: object, **__: object) -> ReadImage:
        raise InflamapError(f"{path}: locked by another program")

    monkeypatch.setattr("runtime.in_hand.read_image", locked)
    with bench.running():
        wait_for(lambda: "v.bmp" in bench.rows() and bench.rows()["v.bmp"].attempts >= 3)
        monkeypatch.setattr("runtime.in_hand.read_image", scoring.read_image)
        wait_for(lambda: bench.states()["v.bmp"] == "scored")
    assert sum("locked" in line for line in bench.said) == 1


GB = disk.BYTES_PER_GB


def test_full_disk_pauses_scoring_and_it_goes_on_by_itself(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [2 * GB]
    monkeypatch.setattr("runtime.obstacles.DISK_CHECK_S", 0.02)
    monkeypatch.setattr("runtime.disk.free_bytes", lambda _folder: free[0])
    save_image(bench.folder / "a.bmp", patch_of_skin)
    with bench.running(min_free_gb=5.0):
        wait_for(lambda: bench.states() == {"a.bmp": "waiting"})
        save_image(bench.folder / "b.bmp", patch_of_skin)
        wait_for(lambda: bench.states() == {"a.bmp": "waiting", "b.bmp": "waiting"})
        time.sleep(0.3)
        assert bench.states() == {"a.bmp": "waiting", "b.bmp": "waiting"}
        assert bench.in_hand() == 0
        assert not list(bench.out.glob("*.score.json"))
        assert "2.0 GB free, wanted 5 GB" in bench.noted("paused")
        assert len(bench.said) == 1
        assert bench.said[0].startswith("inflamap: paused: ")
        free[0] = 6 * GB
        wait_for(lambda: bench.states() == {"a.bmp": "scored", "b.bmp": "scored"})
        assert bench.noted("paused") is None
        assert bench.said[1] == "scoring goes on"
        # and again
        free[0] = 1 * GB
        wait_for(lambda: bench.noted("paused") is not None)


def test_disk_that_cannot_be_asked_pauses_too(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_folder: Path) -> int:
        raise OSError(112, "Host is down")

    monkeypatch.setattr("runtime.disk.free_bytes", gone)
    save_image(bench.folder / "a.bmp", patch_of_skin)
    with bench.running():
        wait_for(lambda: bench.noted("paused") is not None)
        assert "Host is down" in bench.noted("paused")
    assert bench.states() == {"a.bmp": "waiting"}


@pytest.mark.timeout(20)
def test_once_ends_with_an_error_when_the_disk_is_full(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.disk.free_bytes", lambda _folder: 2 * GB)
    save_image(bench.folder / "a.bmp", patch_of_skin)
    with pytest.raises(InflamapError, match=r"2\.0 GB free, wanted 5 GB.*next: free space there"):
        bench.once(min_free_gb=5.0)
    assert bench.states() == {"a.bmp": "waiting"}
    assert bench.once(min_free_gb=1.0) == Tally(done=1)


def test_once_with_nothing_to_do_asks_for_no_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.disk.free_bytes", lambda _folder: 0)
    assert bench.once(min_free_gb=5.0) == Tally()


def test_row_is_done_only_when_every_file_is_there(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(bench.folder / "scored.bmp", patch_of_skin)
    save_image(bench.folder / "dark.bmp", np.zeros((150, 150), np.uint8))
    order: list[tuple[str, str, State]] = []

    def see(what: str, name: str) -> None:
        order.append((what, name, bench.rows()[name].state))

    write_result, finished, rename_file = scoring.write_result, Ledger.finished, os.replace

    def write(out: Path, relative: Path, **keywords: Any) -> None:
        see("before", relative.name)
        write_result(out, relative, **keywords)
        see("written", relative.name)

    def rename(source: Path, target: Path) -> None:
        rename_file(source, target)
        see("renamed", target.name.split(".bmp")[0] + ".bmp")

    def finish(ledger: Ledger, row: ImageRow, result: Result, now: float, **keywords: bool) -> None:
        files = result_files(row.path)
        wanted = [files.score, files.overlay, *([files.map] if result.map else [])]
        assert all((bench.out / file).stat().st_size for file in wanted)
        assert bench.record(row.path.name)["image"]["sha256"] == sha256_of(bench.folder / row.path)
        finished(ledger, row, result, now, **keywords)
        see("finished", row.path.name)

    monkeypatch.setattr(scoring, "write_result", write)
    monkeypatch.setattr("os.replace", rename)
    monkeypatch.setattr(Ledger, "finished", finish)
    assert bench.once() == Tally(done=2)
    waiting = State.WAITING
    for name, files, state in (("dark.bmp", 2, State.WITHHELD), ("scored.bmp", 3, State.SCORED)):
        assert [(what, seen) for what, of, seen in order if of == name] == [
            ("before", waiting),
            *[("renamed", waiting)] * files,
            ("written", waiting),
            ("finished", state),
        ]


class Killed(BaseException):
    """Ends the watch where nothing catches it, as a kill would."""


def test_result_written_before_a_kill_is_taken_over(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.bmp", "b.bmp"):
        save_image(bench.folder / name, patch_of_skin)

    def kill(*_: object, **_keywords: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "finished", kill)
        with pytest.raises(Killed):
            bench.once()
    assert bench.states() == {"a.bmp": "waiting", "b.bmp": "waiting"}
    assert bench.in_hand() >= 1
    assert bench.once() == Tally(done=1, kept=1)
    assert bench.states() == {"a.bmp": "scored", "b.bmp": "scored"}
    assert bench.in_hand() == 0


def test_image_in_hand_at_every_kill_is_given_up_and_said(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.bmp", "bad.bmp", "z.bmp"):
        save_image(bench.folder / name, patch_of_skin)

    def score(image: ReadImage, model: Model) -> Examined:
        if image.path.name == "bad.bmp":
            raise Killed
        return scoring.score_image(image, model)

    monkeypatch.setattr("runtime.in_hand.score_image", score)
    for _ in range(5):
        with pytest.raises(Killed):
            bench.once()
    bench.once()
    assert bench.states() == {"a.bmp": "scored", "bad.bmp": "failed", "z.bmp": "scored"}
    assert "was ended 5 times while this image was in hand" in bench.rows()["bad.bmp"].reason
    assert sum("bad.bmp: given up" in line for line in bench.said) == 1


def test_stop_finishes_the_image_in_hand_and_begins_no_other(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        save_image(bench.folder / f"{number}.bmp", patch_of_skin)
    begun, go_on = threading.Event(), threading.Event()

    def score(image: ReadImage, model: Model) -> Examined:
        begun.set()
        assert go_on.wait(10)
        return scoring.score_image(image, model)

    monkeypatch.setattr("runtime.in_hand.score_image", score)
    with bench.running() as stop:
        assert begun.wait(10)
        stop.set()
        go_on.set()
    assert sorted(bench.states().values()) == ["scored", *["waiting"] * 3]
    assert bench.in_hand() == 0
    assert len(list(bench.out.glob("*.score.json"))) == 1
    assert not temporaries(bench.out)


def test_stop_between_two_images_finishes_what_was_begun(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for number in range(5):
        save_image(bench.folder / f"{number}.bmp", patch_of_skin)
    stop = threading.Event()

    def say(line: str) -> None:
        bench.said.append(line)
        stop.set()

    settings = ServiceSettings(AT_ONCE, Acquisition(0.5), 0.0)
    with open_ledger(bench.out, create=True) as ledger:
        tally = watch(bench.folder, bench.out, ledger, bench.model, settings, stop, log=ServiceLog(say))
    # the one whose line was said, and the next two, which the threads had in hand by then
    assert 1 <= tally.done <= 3
    assert sorted(bench.states().values()) == ["scored"] * tally.done + ["waiting"] * (5 - tally.done)
    assert len(list(bench.out.glob("*.score.json"))) == tally.done
    assert bench.in_hand() == 0
    assert not temporaries(bench.out)


def test_image_that_is_gone_keeps_its_result_when_all_are_asked_for(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for name in ("archived.bmp", "there.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    assert bench.once() == Tally(done=2)
    (bench.folder / "archived.bmp").unlink()
    bench.retry_all()
    assert bench.once() == Tally(done=1, kept=1)
    assert any("archived.bmp: the image is gone; its earlier result stays" in line for line in bench.said)
    assert bench.states() == {"archived.bmp": "scored", "there.bmp": "scored"}
    assert bench.rows()["archived.bmp"].outcome.score == bench.record("archived.bmp")["score"]["mean"]


def test_image_without_a_result_that_is_gone_is_listed_and_fails_no_run(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8]
) -> None:
    (bench.folder / "cut.bmp").write_bytes(cv2.imencode(".bmp", patch_of_skin)[1].tobytes()[:500])
    assert bench.once() == Tally(failed=1)
    (bench.folder / "cut.bmp").unlink()
    for _ in range(2):
        assert bench.once() == Tally()
        assert bench.states() == {"cut.bmp": "failed"}
    assert "the file is gone" in bench.rows()["cut.bmp"].reason


@pytest.mark.parametrize("locked", [False, True])
def test_broken_file_over_a_good_one_leaves_no_overlay_of_the_good_one(
    bench: Bench,
    locked: bool,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = bench.folder / "v.bmp"
    save_image(path, patch_of_skin)
    bench.once()
    path.write_bytes(path.read_bytes()[:500])
    if locked:

        def refuse(path: Path, **_: object) -> str:
            raise UnreadableImage(f"{path}: the file cannot be read")

        monkeypatch.setattr("runtime.earlier_result.file_sha256", refuse)
    assert bench.once() == Tally(failed=1)
    # while nobody can tell what it holds, its result may still be its own
    assert [(bench.out / f"v.bmp{end}").exists() for end in (".score.json", ".overlay.jpg", ".map.ome.tif")] == [
        locked
    ] * 3


def test_file_that_is_being_written_is_not_scored_because_it_failed_before(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8]
) -> None:
    path, whole = bench.folder / "v.bmp", cv2.imencode(".bmp", patch_of_skin)[1].tobytes()
    path.write_bytes(whole[:500])
    assert bench.once() == Tally(failed=1)
    # the copy goes on, into a file of full length, while a watch starts that is to try it again at once
    settings = ServiceSettings(WatchSettings(settle_s=0.6, poll_s=0.01), Acquisition(0.5), 0.0, once=True)
    holes = [*range(500, len(whole), len(whole) // 8), len(whole)]

    def copy_on() -> None:
        for end in holes:
            path.write_bytes(whole[:end] + bytes(len(whole) - end))
            time.sleep(0.15)

    path.write_bytes(whole[:500] + bytes(len(whole) - 500))
    copying = threading.Thread(target=copy_on)
    copying.start()
    with open_ledger(bench.out) as ledger:
        watch(bench.folder, bench.out, ledger, bench.model, settings, threading.Event(), log=bench.log)
    copying.join()
    assert bench.record("v.bmp")["image"]["sha256"] == sha256_of(path)
    assert sum(line.startswith("v.bmp: ") for line in bench.said) == 1, "scored while it was being written"


def test_failure_that_comes_back_after_it_healed_is_said_again(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8]
) -> None:
    path, whole = bench.folder / "v.bmp", cv2.imencode(".bmp", patch_of_skin)[1].tobytes()

    def failures() -> int:
        return sum(line.startswith("inflamap: v.bmp: ") for line in bench.said)

    with bench.running():
        for said, content in ((1, whole[:500]), (1, whole), (2, whole[:500])):
            # half a write would be a failure of its own
            (bench.out / "aside").write_bytes(content)
            (bench.out / "aside").replace(path)
            wanted = "scored" if content is whole else "failed"
            wait_for(lambda wanted=wanted, said=said: (bench.states(), failures()) == ({"v.bmp": wanted}, said))


@pytest.mark.parametrize("change", ["arrived", "take", "finished"])
def test_ledger_that_cannot_be_written_is_waited_for(
    bench: Bench,
    change: str,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = threading.Event()
    act = getattr(Ledger, change)

    def refuse_while_full(*arguments: Any, **keywords: Any) -> Any:
        if full.is_set():
            raise sqlite3.OperationalError("database or disk is full")
        return act(*arguments, **keywords)

    monkeypatch.setattr("runtime.obstacles.DISK_CHECK_S", 0.02)
    monkeypatch.setattr(Ledger, change, refuse_while_full)
    with bench.running():
        full.set()
        save_image(bench.folder / "v.bmp", patch_of_skin)
        wait_for(lambda: any("cannot be used: database or disk is full" in line for line in bench.said))
        time.sleep(0.2)
        full.clear()
        wait_for(lambda: bench.states() == {"v.bmp": "scored"})
    assert sum("cannot be used" in line for line in bench.said) == 1
    assert bench.rows()["v.bmp"].attempts == 1


def test_results_never_land_in_the_watched_folder(
    tmp_path: Path, model: Model, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    study = Bench(tmp_path / "study" / "in", tmp_path / "study", model)
    save_image(study.folder / "v.bmp", patch_of_skin)
    save_image(study.folder / "in" / "v.bmp", patch_of_skin)
    assert study.once() == Tally(done=1, failed=1)
    assert "would lie in the watched folder" in study.rows()["in/v.bmp"].reason
    assert sorted(path.name for path in study.folder.rglob("*") if path.is_file()) == ["v.bmp", "v.bmp"]


def test_images_counted_as_failed_are_images_and_not_attempts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (bench.folder / "cut.bmp").write_bytes(b"BM" + bytes(60))
    tries: list[int] = []
    failed = Ledger.failed

    def at_once(ledger: Ledger, row: ImageRow, reason: str, _now: float, **keywords: bool) -> float | None:
        tries.append(row.attempts)
        return failed(ledger, row, reason, 0.0 if len(tries) < 4 else time.time(), **keywords)

    monkeypatch.setattr(Ledger, "failed", at_once)
    assert bench.once() == Tally(failed=1)
    assert len(tries) == 4


def test_folder_that_is_gone_is_noted_for_status_until_it_is_back(bench: Bench) -> None:
    with bench.running():
        bench.folder.rename(bench.folder.with_name("away"))
        wait_for(lambda: "cannot be listed" in (bench.noted("folder_fault") or ""))
        bench.folder.with_name("away").rename(bench.folder)
        wait_for(lambda: bench.noted("folder_fault") is None)


def test_results_survive_a_folder_that_is_away(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for name in ("a.bmp", "b.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    bench.once()
    written = {path: path.read_bytes() for path in bench.out.glob("*.bmp.*")}
    assert len(written) == 6
    with bench.running():
        bench.folder.rename(bench.folder.with_name("away"))
        bench.retry_all()
        wait_for(lambda: set(bench.states().values()) == {"failed"})
        assert {path: path.read_bytes() for path in bench.out.glob("*.bmp.*")} == written
        bench.folder.with_name("away").rename(bench.folder)


@pytest.mark.parametrize("settle_s", [0.0, 0.05])
def test_many_files_that_are_being_written_neither_spin_the_loop_nor_keep_it_from_stopping(
    bench: Bench, settle_s: float, patch_of_skin: npt.NDArray[np.uint8]
) -> None:
    data = cv2.imencode(".bmp", patch_of_skin[:130, :130])[1].tobytes()
    with open_ledger(bench.out, create=True) as ledger:
        for number in range(300):
            (bench.folder / f"{number}.bmp").write_bytes(data)
            arrive(ledger, Path(f"{number}.bmp"), FileState(1, number), 0.0)
    stop = threading.Event()
    settings = ServiceSettings(WatchSettings(settle_s=settle_s, poll_s=0.01), Acquisition(0.5), 0.0)
    with open_ledger(bench.out, create=True) as ledger:
        threading.Timer(1.0, stop.set).start()
        started = time.monotonic()
        watch(bench.folder, bench.out, ledger, bench.model, settings, stop, log=bench.log)
    assert time.monotonic() - started < 5.0
    assert bench.said, "none came to its turn"


def test_image_that_was_put_back_is_scored_by_the_next_watch_too(
    bench: Bench, tmp_path: Path, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    file = FileState.of(bench.folder / "v.bmp")
    assert file is not None
    with open_ledger(bench.out, create=True) as ledger:
        arrive(ledger, Path("v.bmp"), file, 0.0)
    # as on a mount point that is empty until the share is there
    (bench.folder / "v.bmp").rename(tmp_path / "aside")
    assert bench.once() == Tally()
    assert bench.states() == {"v.bmp": "failed"}
    (tmp_path / "aside").rename(bench.folder / "v.bmp")
    assert bench.once() == Tally(done=1)


def test_new_content_that_was_away_at_its_turn_does_not_keep_the_old_score(
    bench: Bench, tmp_path: Path, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    path = bench.folder / "v.bmp"
    save_image(path, patch_of_skin)
    bench.once()
    save_image(path, patch_of_skin[::-1].copy())
    file = FileState.of(path)
    assert file is not None
    with open_ledger(bench.out) as ledger:
        arrive(ledger, Path("v.bmp"), file, time.time())
    path.rename(tmp_path / "aside")
    assert bench.once() == Tally(kept=1)
    (tmp_path / "aside").rename(path)
    assert bench.once() == Tally(done=1)
    assert bench.record("v.bmp")["image"]["sha256"] == sha256_of(path)


def test_image_that_cannot_be_looked_at_is_not_taken_for_gone(
    bench: Bench,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = bench.folder / "v.bmp"
    save_image(path, patch_of_skin)
    bench.once()
    save_image(path, patch_of_skin[::-1].copy())
    stat = os.stat

    def refuse_in_reading(name: Any, **keywords: Any) -> os.stat_result:
        # below the watched folder a file is looked at by its name in the folder that is open
        if name in (path, path.name) and threading.current_thread().name.startswith("reading"):
            raise PermissionError(13, "Permission denied", str(name))
        return stat(name, **keywords)

    monkeypatch.setattr(os, "stat", refuse_in_reading)
    assert bench.once() == Tally(failed=1)
    monkeypatch.setattr(os, "stat", stat)
    assert bench.once() == Tally(done=1)
    assert bench.record("v.bmp")["image"]["sha256"] == sha256_of(path)


def test_file_of_the_far_future_is_scored(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    os.utime(bench.folder / "v.bmp", (10_413_792_000, 10_413_792_000))
    assert bench.once() == Tally(done=1)
    assert bench.once() == Tally()


def test_overlay_that_was_open_when_its_result_was_withdrawn_goes_later(
    bench: Bench,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, overlay = bench.folder / "v.bmp", bench.out / "v.bmp.overlay.jpg"
    save_image(path, patch_of_skin)
    bench.once()
    unlink = Path.unlink

    def refuse(self: Path, **keywords: Any) -> None:
        if self == overlay:
            raise PermissionError(13, "Permission denied", str(self))
        unlink(self, **keywords)

    monkeypatch.setattr("runtime.outputs.PATIENCE_S", 0.0)
    monkeypatch.setattr(Path, "unlink", refuse)
    path.write_bytes(path.read_bytes()[:500])
    assert bench.once() == Tally(failed=1)
    assert overlay.exists()
    monkeypatch.setattr(Path, "unlink", unlink)
    assert bench.once() == Tally(failed=1)
    assert [path.name for path in bench.out.glob("v.bmp.*")] == ["v.bmp.failed.json"]


def test_file_that_could_not_be_looked_at_for_a_moment_is_not_lost(
    bench: Bench,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    of, asked = FileState.of, []

    def fail_once(path: Path) -> FileState | None:
        asked.append(path)
        return None if len(asked) == 1 else of(path)

    monkeypatch.setattr(FileState, "of", fail_once)
    assert bench.once() == Tally(done=1)
