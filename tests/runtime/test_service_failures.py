"""What failed is known after a loss of the ledger, wherever a kill came in between."""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from watch_bench import Bench, wait_for

from runtime import scoring
from runtime.errors import InflamapError
from runtime.folder_watch import FolderWatch
from runtime.ledger import ImageRow, Ledger, State, open_ledger
from runtime.ledger.rebuild import rebuild
from runtime.pseudonyms import Pseudonyms
from runtime.scoring import ReadImage
from runtime.service import Tally
from runtime.service_log import ServiceLog

LETTER = "Dear colleague, " * 100
DAY_S = 86_400.0


class Killed(BaseException):
    """Ends the watch where nothing catches it, as a kill would."""


def rebuilt(bench: Bench, *, lose: bool = True) -> None:
    """As `inflamap watch` begins: with a ledger made of the files where there is none."""
    if lose:
        bench.lose_ledger()
    with open_ledger(bench.out, create=True) as ledger:
        if ledger.is_empty():
            rebuild(ledger, bench.out, bench.folder)


def failures(bench: Bench) -> dict[str, dict[str, Any]]:
    found = bench.out.rglob("*.failed.json")
    return {path.name.removesuffix(".failed.json"): json.loads(path.read_text()) for path in found}


def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the failure records that are written from now on."""
    names: list[str] = []
    rename = os.replace

    def see(source: Path, target: Path) -> None:
        rename(source, target)
        names.extend([Path(target).name] if str(target).endswith(".failed.json") else [])

    monkeypatch.setattr("os.replace", see)
    return names


def facts(row: ImageRow) -> tuple[object, ...]:
    return row.state, row.reason, row.attempts, row.file, row.due is None


def test_failures_come_back_as_they_were(bench: Bench) -> None:
    (bench.folder / "site 1").mkdir()
    (bench.folder / "site 1" / "letter.bmp").write_text(LETTER)
    (bench.folder / "cut.bmp").write_bytes(b"BM" + bytes(60))
    assert bench.once() == Tally(failed=2)
    before = bench.rows()
    rebuilt(bench)
    after = bench.rows()
    assert {name: facts(row) for name, row in after.items()} == {name: facts(row) for name, row in before.items()}
    for name, row in after.items():
        assert row.finished == pytest.approx(before[name].finished, abs=1e-5)
    # what cannot heal is not tried again, what may is
    assert bench.once() == Tally(failed=1)
    assert (bench.rows()["site 1/letter.bmp"].attempts, bench.rows()["cut.bmp"].attempts) == (1, 2)


def test_content_that_changes_after_a_rebuild_is_scored(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    (bench.folder / "v.bmp").write_text(LETTER)
    bench.once()
    rebuilt(bench)
    assert bench.once() == Tally()
    save_image(bench.folder / "v.bmp", patch_of_skin)
    assert bench.once() == Tally(done=1)
    assert failures(bench) == {}


def test_failure_of_an_image_that_is_gone_comes_back_and_is_dropped_after_a_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.folder / "letter.bmp").write_text(LETTER)
    bench.once()
    (bench.folder / "letter.bmp").unlink()
    rebuilt(bench)
    bench.once()
    assert bench.states() == {"letter.bmp": "failed"}
    assert set(failures(bench)) == {"letter.bmp"}
    now = time.time
    monkeypatch.setattr("runtime.conclusion.time.time", lambda: now() + DAY_S + 60)
    bench.once()
    assert bench.states() == {}
    assert failures(bench) == {}


def test_row_of_an_image_that_is_gone_is_dropped_after_its_failure_record(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.folder / "letter.bmp").write_text(LETTER)
    bench.once()
    (bench.folder / "letter.bmp").unlink()
    now = time.time
    monkeypatch.setattr("runtime.conclusion.time.time", lambda: now() + DAY_S + 60)

    def refuse(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "dropped", refuse)
        with pytest.raises(Killed):
            bench.once()
    assert failures(bench) == {}
    assert bench.states() == {"letter.bmp": "failed"}


def test_valid_result_outdoes_a_failure_record(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    (bench.folder / "v.bmp").write_text(LETTER)
    bench.once()
    aside = bench.out.parent / "aside"
    shutil.copy(bench.out / "v.bmp.failed.json", aside)
    save_image(bench.folder / "v.bmp", patch_of_skin)
    bench.once()
    assert failures(bench) == {}
    shutil.copy(aside, bench.out / "v.bmp.failed.json")
    rebuilt(bench)
    assert bench.states() == {"v.bmp": "scored"}
    # found again with its result, it has no failure
    assert bench.once() == Tally(kept=1)
    assert failures(bench) == {}


def test_record_on_a_disk_that_is_read_only_for_a_moment_is_removed_when_the_ledger_is_told(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.folder / "v.bmp").write_text(LETTER)
    bench.once()
    save_image(bench.folder / "v.bmp", patch_of_skin)
    refused: list[Path] = []
    unlink, finished = Path.unlink, Ledger.finished

    def refuse(self: Path, **keywords: bool) -> None:
        if self.name.endswith(".failed.json") and Path("finished") not in refused:
            refused.append(self)
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        unlink(self, **keywords)

    def finish(*arguments: Any, **keywords: Any) -> None:
        finished(*arguments, **keywords)
        refused.append(Path("finished"))

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Ledger, "finished", finish)
    assert bench.once() == Tally(done=1)
    assert len(refused) == 3
    assert failures(bench) == {}


def test_damaged_result_does_not_outdo_a_failure_record(bench: Bench) -> None:
    (bench.folder / "v.bmp").write_text(LETTER)
    bench.once()
    (bench.out / "v.bmp.score.json").write_text("{")
    rebuilt(bench)
    assert bench.states() == {"v.bmp": "failed"}


def test_failure_of_another_version_is_tried_again_after_a_rebuild(bench: Bench) -> None:
    (bench.folder / "letter.bmp").write_text(LETTER)
    bench.once()
    path = bench.out / "letter.bmp.failed.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "0.0.1"}))
    rebuilt(bench)
    assert bench.once() == Tally(failed=1)
    assert bench.rows()["letter.bmp"].attempts == 2


def test_same_failure_is_written_once_and_another_one_again(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.ledger.ledger.FIRST_PAUSE_S", 0.02)
    save_image(bench.folder / "v.bmp", patch_of_skin)
    reason = ["locked by another program"]

    def fail(path: Path, *_: object, **__: object) -> ReadImage:
        raise InflamapError(f"{path}: {reason[0]}")

    monkeypatch.setattr("runtime.in_hand.read_image", fail)
    names = written(monkeypatch)
    with bench.running():
        wait_for(lambda: "v.bmp" in bench.rows() and bench.rows()["v.bmp"].attempts >= 3)
        assert names == ["v.bmp.failed.json"]
        reason[0] = "on a share that is away"
        wait_for(lambda: len(names) == 2)
        assert failures(bench)["v.bmp"]["reason"] == "on a share that is away"
        # one that was lost is written again
        (bench.out / "v.bmp.failed.json").unlink()
        wait_for(lambda: len(names) == 3)
        monkeypatch.setattr("runtime.in_hand.read_image", scoring.read_image)
        wait_for(lambda: bench.states() == {"v.bmp": "scored"})
    assert failures(bench) == {}
    # the next start finds the same
    assert len(names) == 3


def test_next_start_does_not_write_the_same_failure_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (bench.folder / "cut.bmp").write_bytes(b"BM" + bytes(60))
    names = written(monkeypatch)
    for _ in range(3):
        assert bench.once() == Tally(failed=1)
    assert names == ["cut.bmp.failed.json"]


def test_failure_beside_an_earlier_result_that_holds_leaves_no_record(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    bench.once()
    bench.retry_all()

    def fail(path: Path, *_: object, **__: object) -> ReadImage:
        raise InflamapError(f"{path}: locked by another program")

    monkeypatch.setattr("runtime.in_hand.read_image", fail)
    assert bench.once() == Tally(failed=1)
    assert failures(bench) == {}


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[None]:
    """The disk takes no file of results, and so no failure record; the ledger is written."""
    path_open = Path.open

    def refuse(self: Path, mode: str = "r", *more: Any, **keywords: Any) -> Any:
        if "x" in mode:
            raise OSError(number, os.strerror(number), str(self))
        return path_open(self, mode, *more, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        yield


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES])
def test_disk_that_takes_no_record_makes_no_other_failure(
    bench: Bench, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.bmp", "b.bmp"):
        (bench.folder / name).write_bytes(b"BM" + bytes(60))
    with full(monkeypatch, number):
        assert bench.once() == Tally(failed=2)
    rows = bench.rows()
    assert {str(row.state) for row in rows.values()} == {"failed"}
    assert all("not an image that is read" in row.reason and row.attempts == 1 for row in rows.values())
    # said once for both
    assert sum("only the ledger keeps this failure" in line for line in bench.said) == 1
    assert sum("not an image that is read" in line for line in bench.said) == 2
    assert failures(bench) == {}
    # written as soon as it can be
    assert bench.once() == Tally(failed=2)
    assert set(failures(bench)) == {"a.bmp", "b.bmp"}


def test_record_of_what_cannot_heal_is_written_by_a_later_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    (bench.folder / "letter.bmp").write_text(LETTER)
    with full(monkeypatch, errno.ENOSPC):
        assert bench.once() == Tally(failed=1)
    assert failures(bench) == {}
    assert bench.once() == Tally()
    assert failures(bench)["letter.bmp"]["heals"] is False


def test_no_failure_record_is_written_to_or_removed_from_the_watched_folder(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the results' folder holds the watched one, results of its sub-folder of the same name would lie in it."""
    (bench.folder / "in").mkdir()
    (bench.folder / "in" / "letter.bmp").write_text(LETTER)
    holding = Bench(bench.folder, bench.folder.parent, bench.model)
    assert holding.once() == Tally(failed=1)
    assert [path.name for path in bench.folder.rglob("*")] == ["in", "letter.bmp"]
    theirs = bench.folder / "letter.bmp.failed.json"
    theirs.write_text("of somebody else")
    (bench.folder / "in" / "letter.bmp").unlink()
    now = time.time
    monkeypatch.setattr("runtime.conclusion.time.time", lambda: now() + DAY_S + 60)
    holding.once()
    assert holding.states() == {}
    assert theirs.read_text() == "of somebody else"


@pytest.mark.parametrize("name", ["Eva Muster.bmp", f"Eva Muster {'x' * 240}.bmp"], ids=["short", "shortened"])
def test_names_are_those_of_score_json_and_with_pseudonyms_no_line_tells_them(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    log = ServiceLog(said.append, None, Pseudonyms(bytes(32)))
    (bench.folder / name).write_bytes(b"BM" + bytes(60))
    with full(monkeypatch, errno.ENOSPC), monkeypatch.context() as patched:
        patched.setattr(Bench, "log", log)
        bench.once()
    assert len(said) == 2
    assert not any("Muster" in line for line in said)
    bench.once()
    assert [record["image"]["path"] for record in failures(bench).values()] == [name]


def test_image_given_up_because_it_ends_the_program_is_not_taken_up_again_after_a_rebuild(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(bench.folder / "bad.bmp", patch_of_skin)
    bench.arrive("bad.bmp")
    for _ in range(5):
        with open_ledger(bench.out, create=True) as ledger:
            ledger.recover()
            row = ledger.take(time.time())
            assert row is not None
    order: list[tuple[str, list[str]]] = []
    recover = Ledger.recover

    def see(self: Ledger) -> list[Path]:
        order.append((next(self.rows()).state, list(failures(bench))))
        return recover(self)

    monkeypatch.setattr(Ledger, "recover", see)
    assert bench.once() == Tally(failed=1)
    # on the disk before the ledger says so
    assert order == [(State.WAITING, ["bad.bmp"])]
    record = failures(bench)["bad.bmp"]
    assert (record["attempts"], record["heals"]) == (5, False)
    assert record["reason"] == bench.rows()["bad.bmp"].reason
    assert "the program was ended 5 times" in record["reason"]
    before = facts(bench.rows()["bad.bmp"])
    rebuilt(bench)
    assert facts(bench.rows()["bad.bmp"]) == before
    assert bench.once() == Tally()
    assert facts(bench.rows()["bad.bmp"]) == before


class Countdown:
    """Kills the program at the chosen one of its steps: before a change of a file or of the ledger."""

    def __init__(self, at: int) -> None:
        self.left = at

    def before(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **keywords: Any) -> Any:
            if self.left == 0:
                # a real one leaves its temporaries; that they are swept is another test's
                raise Killed
            self.left -= 1
            return act(*arguments, **keywords)

        return counted

    @contextmanager
    def set_up(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as patched:
            for name in ("replace", "fsync"):
                patched.setattr(f"os.{name}", self.before(getattr(os, name)))
            patched.setattr(Path, "unlink", self.before(Path.unlink))
            for name in ("arrived", "take", "failed", "finished", "dropped", "recover"):
                patched.setattr(Ledger, name, self.before(getattr(Ledger, name)))
            yield


def begin_bad(bench: Bench, _good: bytes) -> None:
    (bench.folder / "v.bmp").write_text(LETTER)


def heal(bench: Bench, good: bytes) -> None:
    (bench.folder / "v.bmp").write_text(LETTER)
    bench.once()
    (bench.folder / "v.bmp").write_bytes(good)


def spoil(bench: Bench, good: bytes) -> None:
    (bench.folder / "v.bmp").write_bytes(good)
    bench.once()
    (bench.folder / "v.bmp").write_text(LETTER)


def take_away(bench: Bench, good: bytes) -> None:
    """Asked for anew, and gone when its turn comes."""
    begin_bad(bench, good)
    bench.once()
    with open_ledger(bench.out) as ledger:
        ledger.retry([Path("v.bmp")], time.time())
    (bench.folder / "v.bmp").unlink()


@pytest.mark.parametrize("lose", [False, True], ids=["ledger kept", "ledger lost"])
@pytest.mark.parametrize(
    ("prepare", "state", "kept"),
    [(begin_bad, "failed", True), (heal, "scored", False), (spoil, "failed", True), (take_away, "failed", True)],
    ids=["fails", "heals", "is spoilt", "goes"],
)
def test_killed_at_any_step_ledger_and_files_lead_to_the_right_end(
    bench: Bench,
    prepare: Callable[[Bench, bytes], None],
    state: str,
    kept: bool,
    lose: bool,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_image(bench.folder.parent / "good.bmp", patch_of_skin)
    good = (bench.folder.parent / "good.bmp").read_bytes()
    for step in range(60):
        for folder in (bench.folder, bench.out):
            shutil.rmtree(folder)
            folder.mkdir()
        prepare(bench, good)
        try:
            with Countdown(step).set_up(monkeypatch):
                bench.once()
            killed = False
        except Killed:
            killed = True
        rebuilt(bench, lose=lose)
        tally = bench.once()
        assert bench.states() == {"v.bmp": state}, step
        assert set(failures(bench)) == ({"v.bmp"} if kept else set()), step
        assert (bench.out / "v.bmp.score.json").exists() == (state == "scored"), step
        assert tally.done <= 1
        # and there it stays
        assert bench.once().done == 0
        rebuilt(bench)
        assert bench.once().done == 0
        assert bench.states() == {"v.bmp": state}, step
        if not killed:
            break
    assert not killed
    assert step > 3


def test_new_version_is_noted_when_what_failed_is_due_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in between, the next start has to let it be tried again."""
    (bench.folder / "letter.bmp").write_text(LETTER)
    bench.once()
    monkeypatch.setattr("runtime.service.__version__", "99.0")

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "retry_failed", kill)
        with pytest.raises(Killed):
            bench.once()
    assert bench.once() == Tally(failed=1)
    assert bench.once() == Tally()


def test_image_given_up_at_the_first_start_of_a_new_version_is_tried_by_it(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the version before could not survive, the new one may."""
    assert bench.once() == Tally()
    save_image(bench.folder / "bad.bmp", patch_of_skin)
    bench.arrive("bad.bmp")
    for _ in range(5):
        with open_ledger(bench.out, create=True) as ledger:
            ledger.recover()
            assert ledger.take(time.time()) is not None
    monkeypatch.setattr("runtime.service.__version__", "99.0")
    assert bench.once() == Tally(done=1)
    assert failures(bench) == {}


def test_neighbour_is_begun_before_a_result_is_written(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one result is written two more are in hand: one is scored, one read."""
    for name in ("a.bmp", "b.bmp", "c.bmp", "d.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    in_hand: list[int] = []
    write_result = scoring.write_result

    def write(*arguments: Any, **keywords: Any) -> None:
        in_hand.append(bench.in_hand())
        write_result(*arguments, **keywords)

    monkeypatch.setattr(scoring, "write_result", write)
    assert bench.once() == Tally(done=4)
    assert in_hand == [3, 3, 2, 1]


def test_a_hundred_files_that_are_being_written_are_put_off_at_a_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the loop looks at the folder again."""
    for number in range(150):
        (bench.folder / f"{number}.bmp").write_text(LETTER)
    steps: list[str] = []
    postponed = Ledger.postponed

    def see_postponed(self: Ledger, *arguments: Any) -> None:
        steps.append("postponed")
        postponed(self, *arguments)

    poll = FolderWatch.poll

    def see_poll(self: FolderWatch) -> Any:
        steps.append("poll")
        return poll(self)

    monkeypatch.setattr("runtime.service.is_being_written", lambda _path, **_inside: len(steps) < 200)
    monkeypatch.setattr(Ledger, "postponed", see_postponed)
    monkeypatch.setattr(FolderWatch, "poll", see_poll)
    assert bench.once().failed == 150
    first = steps.index("postponed")
    runs = "".join("p" if step == "postponed" else " " for step in steps[first:]).split()
    assert max(map(len, runs)) == 100
