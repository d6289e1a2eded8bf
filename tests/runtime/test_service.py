"""Each image once; the watched folder only read; nothing that goes wrong with one image stops the others."""

import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from runtime import scoring, service
from runtime.bundle import Bundle
from runtime.engines.onnxruntime_cpu import OnnxRuntimeEngine
from runtime.errors import InflamapError
from runtime.folder_watch import WatchSettings
from runtime.ledger import ImageRow, Ledger, State, open_ledger
from runtime.ledger.row import Outcome
from runtime.outputs import result_files
from runtime.result import Result
from runtime.scoring import Examined, Model
from runtime.service import ServiceSettings, Tally, watch

AT_ONCE = WatchSettings(settle_s=0.0, rescan_s=0.05, poll_s=0.01)


@dataclass
class Bench:
    """A watched folder, its results, and ways to watch it."""

    folder: Path
    out: Path
    model: Model
    said: list[str] = field(default_factory=list)

    def once(self, model: Model | None = None, um_per_px: float | None = 0.5, min_free_gb: float = 0.0) -> Tally:
        """One pass over the folder; what it said is in `said`."""
        self.said.clear()
        settings = ServiceSettings(AT_ONCE, um_per_px, min_free_gb, once=True)
        with open_ledger(self.out, create=True) as ledger:
            return watch(
                self.folder, self.out, ledger, model or self.model, settings, threading.Event(), say=self.said.append
            )

    @contextmanager
    def running(self, min_free_gb: float = 0.0) -> Iterator[threading.Event]:
        """A watch in a thread while it is entered; setting what is given stops it."""
        stop = threading.Event()
        failures: list[BaseException] = []

        def run() -> None:
            settings = ServiceSettings(AT_ONCE, 0.5, min_free_gb)
            try:
                with open_ledger(self.out, create=True) as ledger:
                    watch(self.folder, self.out, ledger, self.model, settings, stop, say=self.said.append)
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_for(self.is_open)
            yield stop
        finally:
            stop.set()
            thread.join(20)
        assert not thread.is_alive()
        assert not failures, failures

    def is_open(self) -> bool:
        try:
            with open_ledger(self.out):
                return True
        except InflamapError:
            return False

    def rows(self) -> dict[str, ImageRow]:
        with open_ledger(self.out) as ledger:
            return {row.path.as_posix(): row for row in ledger.rows()}

    def states(self) -> dict[str, str]:
        return {name: str(row.state) for name, row in self.rows().items()}

    def record(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.out / f"{name}.score.json").read_text())
        return document

    def noted(self, name: str) -> Any:
        with open_ledger(self.out) as ledger:
            return ledger.noted(name)

    def retry_all(self) -> None:
        with open_ledger(self.out) as ledger:
            ledger.retry([row.path for row in ledger.rows()], time.time())

    def in_hand(self) -> int:
        with sqlite3.connect(self.out / "inflamap.db") as database:
            (count,) = database.execute("SELECT COUNT(*) FROM images WHERE begun IS NOT NULL").fetchone()
        database.close()
        return int(count)

    def lose_ledger(self) -> None:
        for path in self.out.glob("inflamap.db*"):
            path.unlink()


@pytest.fixture
def bench(tmp_path: Path, model: Model) -> Bench:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return Bench(tmp_path / "in", tmp_path / "out", model)


@pytest.fixture
def patch_of_skin(skin: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Scored in some ten milliseconds."""
    return skin[100:300, 100:300].copy()


@pytest.fixture
def other_model(bundle_with: Callable[..., Bundle]) -> Model:
    """The shipped model under another hash."""
    bundle = bundle_with()
    altered = bundle.manifest.files | {"model.fp32.onnx": "f" * 64}
    return Model(
        Bundle(bundle.folder, msgspec.structs.replace(bundle.manifest, files=altered)),
        OnnxRuntimeEngine(bundle.read_file("model.fp32.onnx"), name="onnxruntime-fp32", precision="fp32", threads=1),
    )


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not seen in time"
        time.sleep(0.01)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def temporaries(out: Path) -> list[Path]:
    return list(out.rglob("*.tmp*"))


def test_image_is_scored_once_until_its_content_changes(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "VivaStack #1" / "ä v1.bmp", patch_of_skin)
    save_image(bench.folder / "same.bmp", patch_of_skin)
    assert bench.once() == Tally(done=2)
    assert (bench.out / "VivaStack #1" / "ä v1.bmp.score.json").exists()
    assert bench.states() == {"VivaStack #1/ä v1.bmp": "scored", "same.bmp": "scored"}
    assert bench.once() == Tally()

    sha256 = save_image(bench.folder / "same.bmp", patch_of_skin[::-1].copy())
    assert bench.once() == Tally(done=1)
    assert bench.record("same.bmp")["image"]["sha256"] == sha256
    assert bench.rows()["same.bmp"].outcome.sha256 == sha256


def test_results_of_another_model_are_said_and_kept_until_a_retry_is_asked_for(
    bench: Bench, other_model: Model, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for name in ("a.bmp", "b.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    assert bench.once() == Tally(done=2)
    assert not any("model" in line for line in bench.said)

    assert bench.once(other_model) == Tally()
    assert len(bench.said) == 1
    assert bench.said[0].startswith("2 earlier results are of another model; `inflamap retry --all")
    assert bench.record("a.bmp")["model"]["sha256"] == bench.model.sha256

    bench.retry_all()
    assert bench.once(other_model) == Tally(done=2)
    assert bench.record("a.bmp")["model"]["sha256"] == "f" * 64
    assert {row.outcome.model_sha256 for row in bench.rows().values()} == {"f" * 64}
    assert bench.once(other_model) == Tally()
    assert bench.said == []


def test_results_at_another_scale_are_said_and_kept_until_a_retry_is_asked_for(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "a.bmp", patch_of_skin)
    assert bench.once() == Tally(done=1)
    assert bench.once(um_per_px=0.6) == Tally()
    assert len(bench.said) == 1
    assert bench.said[0].startswith("1 earlier results took another scale than 0.6 µm/px; `inflamap retry --all")
    assert bench.record("a.bmp")["image"]["um_per_px"] == 0.5

    bench.retry_all()
    assert bench.once(um_per_px=0.6) == Tally(done=1)
    assert bench.record("a.bmp")["image"]["um_per_px"] == 0.6
    assert bench.once(um_per_px=0.6) == Tally()
    assert bench.said == []


def test_image_without_a_scale_is_scored_once_the_scale_is_given(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    assert bench.once(um_per_px=None) == Tally(done=1)
    assert "withheld: scale unknown" in bench.said[0]
    assert bench.states() == {"v.bmp": "withheld"}
    assert "scale unknown" in bench.rows()["v.bmp"].reason
    assert bench.once(um_per_px=None) == Tally()

    assert bench.once(um_per_px=0.5) == Tally(done=1)
    assert "withheld" not in bench.said[0]
    assert bench.states() == {"v.bmp": "scored"}
    assert bench.once(um_per_px=0.5) == Tally()
    assert bench.once(um_per_px=None) == Tally()


def test_touched_image_is_kept(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    bench.once()
    record = (bench.out / "v.bmp.score.json").stat()
    os.utime(bench.folder / "v.bmp", (1, 1))
    monkeypatch.setattr(service, "examine", refuse_to_score)
    assert bench.once() == Tally(kept=1)
    assert bench.said == []
    assert bench.states() == {"v.bmp": "scored"}
    assert (bench.out / "v.bmp.score.json").stat().st_mtime_ns == record.st_mtime_ns
    assert bench.once() == Tally()


def refuse_to_score(path: Path, *_: object, **__: object) -> Examined:
    raise AssertionError(f"{path} was scored again")


def test_lost_ledger_is_made_again_from_the_records(
    bench: Bench,
    other_model: Model,
    patch_of_skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save_image(bench.folder / "scored.bmp", patch_of_skin)
    save_image(bench.folder / "dark.bmp", np.zeros((150, 150), np.uint8))
    assert bench.once() == Tally(done=2)
    before = bench.rows()
    assert bench.states() == {"dark.bmp": "withheld", "scored.bmp": "scored"}

    monkeypatch.setattr(service, "examine", refuse_to_score)
    for model in (bench.model, other_model):
        bench.lose_ledger()
        assert bench.once(model) == Tally(kept=2)
        assert {name: said_of(row) for name, row in bench.rows().items()} == {
            name: said_of(row) for name, row in before.items()
        }


def said_of(row: ImageRow) -> tuple[State, str, Outcome]:
    """All that a record tells of an image but its times, which it rounds."""
    return row.state, row.reason, replace(row.outcome, read_ms=None, infer_ms=None, write_ms=None, total_ms=None)


@pytest.mark.parametrize("missing", ["overlay.jpg", "map.ome.tif", "score.json"])
def test_result_that_is_not_whole_is_made_anew(
    bench: Bench, missing: str, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for name in ("a.bmp", "whole.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    bench.once()
    (bench.out / f"a.bmp.{missing}").unlink()
    bench.lose_ledger()
    assert bench.once() == Tally(done=1, kept=1)
    assert (bench.out / f"a.bmp.{missing}").is_file()


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{}",
        "[]",
        '{"image": null}',
        '{"image": {"sha256": 3}, "model": [], "score": null}',
        {"status": "bogus"},
        {"status": "waiting"},
        {"status": None},
        {"reasons": [3]},
        {"reasons": None},
        {"score": [1]},
        {"score": None},
        {"timing_ms": {}},
        {"image": {"sha256": "0" * 64, "um_per_px": 0.5}},
    ],
    ids=str,
)
def test_damaged_record_is_made_anew(
    bench: Bench, damage: str | dict[str, Any], patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "v.bmp", patch_of_skin)
    bench.once()
    path, whole = bench.out / "v.bmp.score.json", bench.record("v.bmp")
    path.write_text(damage if isinstance(damage, str) else json.dumps(whole | damage))
    bench.lose_ledger()
    assert bench.once() == Tally(done=1)
    assert bench.states() == {"v.bmp": "scored"}
    anew = bench.record("v.bmp")
    assert {name: anew[name] for name in anew if name != "timing_ms"} == {
        name: whole[name] for name in whole if name != "timing_ms"
    }


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

    def examine(path: Path, model: Model, *, um_per_px: float | None) -> Examined:
        found = scoring.examine(path, model, um_per_px=um_per_px)
        examined.append(found.frame.sha256)
        if len(examined) == 1:
            save_image(path, patch_of_skin[::-1].copy())
            if same_state:
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return found

    monkeypatch.setattr(service, "examine", examine)
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

    def examine(path: Path, model: Model, *, um_per_px: float | None) -> Examined:
        if path.name == "v.bmp" and not aside.exists():
            path.rename(aside)
        return scoring.examine(path, model, um_per_px=um_per_px)

    monkeypatch.setattr(service, "examine", examine)
    with bench.running():
        wait_for(lambda: bench.states() == {"other.bmp": "scored", "v.bmp": "failed"})
        assert "No such file" in bench.rows()["v.bmp"].reason
        assert sum("v.bmp" in line and "No such file" in line for line in bench.said) == 1
        # the very file, with the size and time it had; sooner than the next attempt by the clock
        monkeypatch.setattr(service, "examine", scoring.examine)
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

    def examine(path: Path, model: Model, *, um_per_px: float | None) -> Examined:
        if path.name == "bad.bmp":
            raise failure
        return scoring.examine(path, model, um_per_px=um_per_px)

    monkeypatch.setattr(service, "examine", examine)
    assert bench.once() == Tally(done=2, failed=1)
    assert bench.states() == {"a.bmp": "scored", "bad.bmp": "failed", "c.bmp": "scored"}
    reason = bench.rows()["bad.bmp"].reason
    assert f"bad.bmp: unexpected {type(failure).__name__}" in reason
    assert "\n" not in reason
    assert sum("bad.bmp" in line for line in bench.said) == 1

    monkeypatch.setattr(service, "examine", scoring.examine)
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

    def locked(path: Path, *_: object, **__: object) -> Examined:
        raise InflamapError(f"{path}: locked by another program")

    monkeypatch.setattr(service, "examine", locked)
    with bench.running():
        wait_for(lambda: "v.bmp" in bench.rows() and bench.rows()["v.bmp"].attempts >= 3)
        monkeypatch.setattr(service, "examine", scoring.examine)
        wait_for(lambda: bench.states()["v.bmp"] == "scored")
    assert sum("locked" in line for line in bench.said) == 1


GB = service.BYTES_PER_GB


def test_full_disk_pauses_scoring_and_it_goes_on_by_itself(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [2 * GB]
    monkeypatch.setattr(service, "DISK_CHECK_S", 0.02)
    monkeypatch.setattr(service, "free_bytes", lambda _folder: free[0])
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

    monkeypatch.setattr(service, "free_bytes", gone)
    save_image(bench.folder / "a.bmp", patch_of_skin)
    with bench.running():
        wait_for(lambda: bench.noted("paused") is not None)
        assert "Host is down" in bench.noted("paused")
    assert bench.states() == {"a.bmp": "waiting"}


@pytest.mark.timeout(20)
def test_once_ends_with_an_error_when_the_disk_is_full(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "free_bytes", lambda _folder: 2 * GB)
    save_image(bench.folder / "a.bmp", patch_of_skin)
    with pytest.raises(InflamapError, match=r"2\.0 GB free, wanted 5 GB.*next: free space there"):
        bench.once(min_free_gb=5.0)
    assert bench.states() == {"a.bmp": "waiting"}
    assert bench.once(min_free_gb=1.0) == Tally(done=1)


def test_once_with_nothing_to_do_asks_for_no_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "free_bytes", lambda _folder: 0)
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

    def finish(ledger: Ledger, row: ImageRow, result: Result, now: float) -> None:
        files = result_files(row.path)
        wanted = [files.score, files.overlay, *([files.map] if result.map else [])]
        assert all((bench.out / file).stat().st_size for file in wanted)
        assert bench.record(row.path.name)["image"]["sha256"] == sha256_of(bench.folder / row.path)
        finished(ledger, row, result, now)
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

    def kill(*_: object) -> None:
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

    def examine(path: Path, model: Model, *, um_per_px: float | None) -> Examined:
        if path.name == "bad.bmp":
            raise Killed
        return scoring.examine(path, model, um_per_px=um_per_px)

    monkeypatch.setattr(service, "examine", examine)
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

    def examine(path: Path, model: Model, *, um_per_px: float | None) -> Examined:
        begun.set()
        assert go_on.wait(10)
        return scoring.examine(path, model, um_per_px=um_per_px)

    monkeypatch.setattr(service, "examine", examine)
    with bench.running() as stop:
        assert begun.wait(10)
        stop.set()
        go_on.set()
    assert bench.states() == {"0.bmp": "scored", **{f"{number}.bmp": "waiting" for number in (1, 2, 3)}}
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

    settings = ServiceSettings(AT_ONCE, 0.5, 0.0)
    with open_ledger(bench.out, create=True) as ledger:
        tally = watch(bench.folder, bench.out, ledger, bench.model, settings, stop, say=say)
    # the one whose line was said, and the next, which the thread had in hand by then
    assert 1 <= tally.done <= 2
    assert sorted(bench.states().values()) == ["scored"] * tally.done + ["waiting"] * (5 - tally.done)
    assert len(list(bench.out.glob("*.score.json"))) == tally.done
    assert bench.in_hand() == 0
    assert not temporaries(bench.out)
