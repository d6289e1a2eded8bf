"""Outputs that somebody deleted are noticed, told once, and made again where that can be; removed overlays are not."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from made_up import fail, result_of, take
from watch_bench import Bench, wait_for

from runtime.cli import main
from runtime.commands.retry import retry
from runtime.doctor import outputs
from runtime.doctor.finding import Case, Finding, Level
from runtime.ledger import Ledger, open_ledger
from runtime.ledger.binding import bind_folder
from runtime.missing_outputs import Listings, MissingOutputs, missing_outputs
from runtime.outputs import remove_overlay, write_result
from runtime.retention import Keep
from runtime.service import Tally
from runtime.service_log import ServiceLog

SCORED = ("score.json", "overlay.jpg", "map.ome.tif")
WITHHELD = ("score.json", "overlay.jpg")


def made(out: Path, ledger: Ledger, name: str, status: str = "scored") -> None:
    """A result whose files are there."""
    result = result_of(Path(name), status=status)
    map_file = b"map" if result.map else None
    write_result(out, Path(name), overlay=b"overlay", map_file=map_file, record=result.to_json())
    ledger.finished(take(ledger, name), result, time.time())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two scored images, one withheld and one that failed."""
    out = tmp_path / "out"
    (tmp_path / "in" / "site 1").mkdir(parents=True)
    out.mkdir()
    with open_ledger(out, create=True) as ledger:
        bind_folder(ledger, tmp_path / "in", out)
        for name, status in (("a.bmp", "scored"), ("site 1/b.bmp", "scored"), ("dark.bmp", "withheld")):
            made(out, ledger, name, status)
            (tmp_path / "in" / name).touch()
        fail(ledger, "f.bmp")
    return tmp_path


def look(place: Path, longest_s: float = float("inf")) -> list[str]:
    said: list[str] = []
    with open_ledger(place / "out") as ledger:
        search = MissingOutputs(
            place / "in", place / "out", ledger, lambda act: act(), ServiceLog(said.append), longest_s=longest_s
        )
        while search.step():
            pass
        assert not search.step()
    return said


def examined(place: Path) -> Finding:
    (finding,) = outputs.outputs(Case(out=place / "out"))
    return finding


def asked(place: Path) -> list[str]:
    with open_ledger(place / "out") as ledger:
        return [row.path.as_posix() for row in ledger.rows() if row.redo]


def retried(place: Path) -> str:
    done = CliRunner().invoke(retry, ["--missing", "--out", str(place / "out")], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_nothing_is_said_where_all_is_there(place: Path) -> None:
    assert look(place) == []
    assert examined(place).level is Level.OK
    assert examined(place).seen == "results whose files were looked at: 3; none is missing"
    assert "0 images to be scored anew" in retried(place)
    assert asked(place) == []


@pytest.mark.parametrize(
    "file",
    [*(f"site 1/b.bmp.{suffix}" for suffix in SCORED), *(f"dark.bmp.{suffix}" for suffix in WITHHELD)],
)
def test_any_file_that_was_deleted_is_noticed_and_exactly_its_image_scored_anew(place: Path, file: str) -> None:
    (place / "out" / file).unlink()
    next_step = f"`inflamap retry --missing --out {place / 'out'}` has them scored anew"
    assert look(place) == [f"inflamap: files of 1 result are missing; {next_step}"]
    finding = examined(place)
    assert finding.level is Level.WARNING
    assert finding.seen == f"results whose files were looked at: 3; results that lack a file: 1 ({file})"
    assert finding.next_step == next_step
    assert "1 image to be scored anew" in retried(place)
    assert asked(place) == [file.split(".bmp", maxsplit=1)[0] + ".bmp"]


def test_overlay_removed_to_make_room_is_not_missing_also_where_the_ledger_was_not_told(place: Path) -> None:
    remove_overlay(place / "out", Path("a.bmp"))
    remove_overlay(place / "out", Path("site 1/b.bmp"))
    with open_ledger(place / "out") as ledger:
        ledger.overlay_removed(Path("a.bmp"))
    assert look(place) == []
    assert examined(place).level is Level.OK
    retried(place)
    assert asked(place) == []


def test_file_that_cannot_be_looked_at_is_not_missing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lstat = Path.lstat

    def refuse(self: Path) -> os.stat_result:
        if self.name.startswith("a.bmp."):
            raise PermissionError(13, "Permission denied", str(self))
        return lstat(self)

    monkeypatch.setattr(Path, "lstat", refuse)
    assert look(place) == []
    assert examined(place).level is Level.OK


def test_image_that_is_gone_too_is_said_and_not_asked_for(place: Path) -> None:
    for file in ("a.bmp.map.ome.tif", "site 1/b.bmp.score.json"):
        (place / "out" / file).unlink()
    (place / "in" / "a.bmp").unlink()
    (line,) = look(place)
    assert line.startswith("inflamap: files of 2 results are missing; `inflamap retry --missing ")
    assert line.endswith("has them scored anew; images gone too: 1, whose files only a backup brings back")
    finding = examined(place)
    assert "lack a file: 2 (a.bmp.map.ome.tif, site 1/b.bmp.score.json); of images that are gone" in finding.seen
    assert finding.seen.endswith(" and cannot be scored anew: 1")
    assert "retry --missing" in finding.next_step
    assert "backup" in finding.next_step
    said = retried(place)
    assert "1 image to be scored anew" in said
    assert "images that are gone themselves, so that their files cannot be made again: 1, a.bmp; next:" in said
    assert asked(place) == ["site 1/b.bmp"]


def test_where_all_such_images_are_gone_no_retry_is_offered(place: Path) -> None:
    (place / "out" / "a.bmp.map.ome.tif").unlink()
    (place / "in" / "a.bmp").unlink()
    (line,) = look(place)
    assert line == (
        "inflamap: files of 1 result are missing; images gone too: 1, whose files only a backup brings back"
    )
    assert "retry" not in examined(place).next_step
    retried(place)
    assert asked(place) == []


def test_images_of_a_folder_that_is_away_are_not_taken_for_gone(place: Path) -> None:
    (place / "out" / "a.bmp.map.ome.tif").unlink()
    (place / "in").rename(place / "away")
    assert "retry --missing" in look(place)[0]
    assert "1 image to be scored anew" in retried(place)


def test_search_goes_through_all_results_a_little_at_a_time(tmp_path: Path) -> None:
    """Twenty results a step: sixty questions, which a share answers in less than a second."""
    asked_at_once: list[int] = []
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(65):
            ledger.finished(take(ledger, f"{number}.bmp"), result_of(Path(f"{number}.bmp")), time.time())
        said: list[str] = []

        def surely(act: Callable[[], list[object]]) -> list[object]:
            found = act()
            asked_at_once.append(len(found))
            return found

        search = MissingOutputs(tmp_path / "in", tmp_path, ledger, surely, ServiceLog(said.append))
        assert [search.step() for _ in range(5)] == [True, True, True, False, False]
    assert asked_at_once == [20, 20, 20, 5]
    (line,) = said
    assert line.startswith("inflamap: files of 65 results are missing; ")


def test_search_that_takes_too_long_tells_how_many_were_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(65):
            ledger.finished(take(ledger, f"{number}.bmp"), result_of(Path(f"{number}.bmp")), time.time())
    (tmp_path / "out").symlink_to(tmp_path)
    # as long as it may, to the very instant
    monkeypatch.setattr("runtime.missing_outputs.time.monotonic", lambda: 7.0)
    (line,) = look(tmp_path, longest_s=0.0)
    assert line.startswith("inflamap: files of 20 results are missing among the 20 looked at; ")


def test_doctor_says_when_only_a_sample_was_looked_at(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.doctor.outputs.LOOK_S", 0.0)
    assert examined(place).seen == "results whose files were looked at: 0, a sample of 3; none is missing"


def test_doctor_does_not_look_longer_than_five_seconds(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 104.9, 105.0])
    monkeypatch.setattr("runtime.doctor.outputs.time.monotonic", lambda: next(clock))
    assert examined(place).seen.startswith("results whose files were looked at: 1, a sample of 3")


def test_doctor_names_the_first_three(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        for number in range(9):
            ledger.finished(take(ledger, f"{number}.bmp"), result_of(Path(f"{number}.bmp")), time.time())
    (finding,) = outputs.outputs(Case(out=tmp_path))
    named = ", ".join(f"{number}.bmp.score.json" for number in range(3))
    assert finding.seen == f"results whose files were looked at: 9; results that lack a file: 9 ({named} and of 6 more)"


def test_doctor_asks_for_two_hundred_images_at_most(place: Path) -> None:
    """The watched folder may lie on a share that is slower than the results' disk."""
    with open_ledger(place / "out") as ledger:
        for number in range(201):
            ledger.finished(take(ledger, f"{number:03}.bmp"), result_of(Path(f"{number:03}.bmp")), time.time())
    assert examined(place).seen.endswith("of images that are gone, and cannot be scored anew: at least 200")


def test_result_that_a_running_watch_replaces_is_not_missing_for_doctor(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch removes score.json, and the row waits, before the files are renamed into place."""
    (place / "out" / "a.bmp.score.json").unlink()
    named_files = Ledger.named_files
    answers = iter([None, "a.bmp"])

    def answer(self: Ledger) -> object:
        waits = next(answers)
        return [files for files in named_files(self) if files.path.name != waits]

    monkeypatch.setattr(Ledger, "named_files", answer)
    assert examined(place).level is Level.OK


@pytest.mark.parametrize("damage", ["none", "no database", "another's"])
def test_doctor_leaves_the_ledger_itself_to_its_own_check(tmp_path: Path, damage: str) -> None:
    if damage != "none":
        (tmp_path / "inflamap.db").write_bytes(b"x" * 5000 if damage == "no database" else b"")
    assert outputs.outputs(Case(out=tmp_path)) == []


def test_listing_that_fails_leaves_the_question_to_each_file(tmp_path: Path) -> None:
    listings = Listings()
    assert listings.is_missing(tmp_path / "not there" / "a")
    (tmp_path / "a").touch()
    assert not listings.is_missing(tmp_path / "a")
    assert listings.is_missing(tmp_path / "b")
    # one that came after the listing is there
    (tmp_path / "b").touch()
    assert not listings.is_missing(tmp_path / "b")


def test_watch_tells_once_and_a_retry_makes_the_files_again(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    for name in ("a.bmp", "b.bmp", "c.bmp"):
        save_image(bench.folder / name, patch_of_skin)
    assert bench.once() == Tally(done=3)
    (bench.out / "a.bmp.overlay.jpg").unlink()
    (bench.out / "b.bmp.score.json").unlink()
    assert bench.once() == Tally()
    assert sum("files of 2 results are missing" in line for line in bench.said) == 1
    bench.said.clear()
    with bench.running():
        wait_for(lambda: any("files of 2 results are missing" in line for line in bench.said))
        CliRunner().invoke(retry, ["--missing", "--out", str(bench.out)], catch_exceptions=False)
        wait_for(lambda: (bench.out / "a.bmp.overlay.jpg").exists() and (bench.out / "b.bmp.score.json").exists())
        wait_for(lambda: set(bench.states().values()) == {"scored"})
    assert bench.once() == Tally()
    assert not any("missing" in line for line in bench.said)


def test_overlays_that_retention_removes_are_not_told(
    bench: Bench, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(bench.folder / "a.bmp", patch_of_skin)
    assert bench.once(keep=Keep(days=1e-9)) == Tally(done=1)
    assert bench.once(keep=Keep(days=1e-9)) == Tally()
    assert not (bench.out / "a.bmp.overlay.jpg").exists()
    assert bench.once() == Tally()
    assert bench.said == []


@pytest.mark.parametrize("more", [["a.bmp"], ["--all"], ["a.bmp", "--all"]])
def test_missing_and_another_choice_are_refused(
    place: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["retry", "--missing", "--out", str(place / "out"), *more])
    assert stop.value.code == 2
    assert "wanted: one of them" in capsys.readouterr().err
    assert asked(place) == []


def test_files_of_a_result_are_asked_for_below_the_results_folder(place: Path) -> None:
    with open_ledger(place / "out") as ledger:
        first, *_rest = ledger.named_files()
        assert [files.path.name for files in ledger.named_files(after=first.path, most=1)] == ["dark.bmp"]
    assert missing_outputs(place / "out", first) == ()
    assert missing_outputs(place / "elsewhere", first) == (first.score, first.overlay, first.map)
