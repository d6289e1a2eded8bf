"""A lost ledger comes back from the results: every one, of images that are gone too, and nothing else."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from made_up import arrive, result_of

from runtime.file_state import FileState
from runtime.ledger import ImageRow, Ledger, State, open_ledger
from runtime.ledger.rebuild import rebuild
from runtime.outputs import result_files, write_result
from runtime.result import Result

NAMES = ["a.bmp", "Site #1/v0000001.bmp", "line\nbreak.bmp", "x" * 250 + ".bmp"]
if sys.platform != "win32":
    NAMES.append(os.fsdecode(b"a\xff.bmp"))


def write(out: Path, result: Result) -> Path:
    path = Path(result.image.path)
    write_result(out, path, overlay=b"overlay", map_file=b"map" if result.map else None, record=result.to_json())
    return out / result_files(path).score


@pytest.fixture
def ledger(tmp_path: Path) -> "Ledger":
    with open_ledger(tmp_path, create=True) as opened:
        yield opened  # type: ignore[misc]


def test_every_result_comes_back_as_it_was(tmp_path: Path, ledger: Ledger) -> None:
    results = [result_of(Path(name), status="withheld" if name == "a.bmp" else "scored") for name in NAMES]
    for result in results:
        os.utime(write(tmp_path, result), (1000, 1000))
    assert rebuild(ledger, tmp_path, tmp_path / "watched") == len(NAMES)
    rows = {row.path.as_posix(): row for row in ledger.rows()}
    assert set(rows) == set(NAMES)
    for result in results:
        row = rows[result.image.path]
        assert (row.state, row.finished, row.due) == (result.status, 1000.0, None)
        assert row.outcome.sha256 == result.image.sha256
    assert not ledger.waits()
    # whatever is found under the names is looked at
    assert set(ledger.known_of(NAMES).values()) == {FileState(-1, 0)}


def test_result_on_a_scale_from_1_comes_back(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, result_of(score=5.0, areas=dict.fromkeys("12345", 0.2)))
    assert rebuild(ledger, tmp_path, tmp_path / "watched") == 1
    outcome = next(ledger.rows()).outcome
    assert (outcome.score, outcome.grade, outcome.lowest_grade) == (5.0, 5, 1)


def test_what_the_ledger_knows_better_stays(tmp_path: Path, ledger: Ledger) -> None:
    write(tmp_path, result_of())
    arrive(ledger, Path("a.bmp"), FileState(1, 1), 1.0)
    assert rebuild(ledger, tmp_path, tmp_path / "watched") == 0
    assert next(ledger.rows()).state is State.WAITING


def test_what_is_no_record_of_this_folder_is_left(tmp_path: Path, ledger: Ledger) -> None:
    score = write(tmp_path, result_of())
    shutil.copy(score, tmp_path / "b.bmp.score.json")
    (tmp_path / "c.bmp.score.json").write_text("{}")
    (tmp_path / "d.bmp.score.json").write_text("no json")
    outside = json.loads(score.read_text())
    outside["image"]["path"] = "../e.bmp"
    (tmp_path / "e.bmp.score.json").write_text(json.dumps(outside))
    assert rebuild(ledger, tmp_path, tmp_path / "watched") == 1
    assert [row.path.name for row in ledger.rows()] == ["a.bmp"]


def test_rebuild_that_is_interrupted_is_as_if_it_had_not_begun(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        write(tmp_path, result_of(Path(name)))
    restored: list[Path] = []
    finished = Ledger.finished

    def die(self: Ledger, row: ImageRow, *arguments: Any, **keywords: Any) -> None:
        restored.append(row.path)
        if len(restored) == 3:
            raise KeyboardInterrupt
        finished(self, row, *arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "finished", die)
        with pytest.raises(KeyboardInterrupt):
            rebuild(ledger, tmp_path, tmp_path / "watched")
    assert ledger.is_empty()
    assert rebuild(ledger, tmp_path, tmp_path / "watched") == len(NAMES)


def test_watched_folder_below_the_results_is_left_out(tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "watched" / "v.bmp.score.json").parent.mkdir()
    score = write(tmp_path, result_of(Path("watched/v.bmp")))
    assert score.parent == tmp_path / "watched"
    assert rebuild(ledger, tmp_path, tmp_path / "watched") == 0
