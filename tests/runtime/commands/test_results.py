"""`inflamap results` as a user meets it."""

import csv
import io
import os
import sys
import time
from pathlib import Path

import pytest
from made_up import arrive, fail, finish, take

from runtime.cli import main
from runtime.file_state import FileState
from runtime.ledger import State, open_ledger
from runtime.ledger.binding import bind_folder
from runtime.output_lock import held


def results(out: Path, *more: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["results", "--out", str(out), *map(str, more)])
    return int(stop.value.code or 0)


def parsed(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8"), newline="")))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Results of `in`: one scored, one failed, one failed after it had been scored, one waiting."""
    (tmp_path / "in").mkdir()
    with open_ledger(tmp_path, create=True) as ledger:
        bind_folder(ledger, tmp_path / "in", tmp_path)
        finish(ledger, 'Site #1/a, "b".bmp')
        fail(ledger, "f.bmp")
        finish(ledger, "g.bmp")
        fail(ledger, "g.bmp")
        arrive(ledger, Path("w.bmp"), FileState(1, 1), time.time())
        assert ledger.counts()[State.WAITING] == 1
    return tmp_path


def test_every_image_is_a_line_with_score_or_reason(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert results(out) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        "score  state     image",
        ' 2.25  scored    Site #1/a, "b".bmp',
        "    -  failed    f.bmp  (locked)",
        "    -  failed    g.bmp  (locked)",
        "    -  waiting   w.bmp",
    ]


def test_folder_without_images_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path, create=True):
        pass
    assert results(tmp_path) == 0
    assert capsys.readouterr().out == "no images yet\n"


def test_table_is_written_whole_and_is_told_on_stderr(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = out / "new folder" / "table.csv"
    for _ in range(2):
        assert results(out, "--csv", file) == 0
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err == f"4 images in {file}\n"
    lines = parsed(file)
    assert [(line["path"], line["status"], line["score"], line["reason"]) for line in lines] == [
        ('Site #1/a, "b".bmp', "scored", "2.25", ""),
        ("f.bmp", "failed", "", "locked"),
        ("g.bmp", "failed", "", "locked"),
        ("w.bmp", "waiting", "", ""),
    ]
    assert lines[2]["image_sha256"] == lines[2]["area_mild"] == ""
    assert (out / lines[0]["overlay_file"]).name == 'a, "b".bmp.overlay.jpg'
    assert [path.name for path in file.parent.iterdir()] == ["table.csv"]


def test_table_beside_the_caller(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (out / "elsewhere").mkdir()
    monkeypatch.chdir(out / "elsewhere")
    assert results(out, "--csv", "table.csv") == 0
    assert len(parsed(out / "elsewhere" / "table.csv")) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="such names are none there")
def test_odd_names_are_told_and_come_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["a,b.bmp", 'c"d.bmp', "e\nf.bmp", "h;i\t.bmp", "ä.bmp", os.fsdecode(b"j\xff.bmp")]
    with open_ledger(tmp_path, create=True) as ledger:
        for name in names:
            finish(ledger, name)
    assert results(tmp_path) == 0
    assert capsys.readouterr().out.count("\n") == 1 + len(names)
    assert results(tmp_path, "--csv", tmp_path / "table.csv") == 0
    found = {line["path"]: line["overlay_file"] for line in parsed(tmp_path / "table.csv")}
    told = [name.encode(errors="backslashreplace").decode() for name in names]
    assert found == {name: f"{name}.overlay.jpg" for name in told}


@pytest.mark.parametrize("place", ["in/table.csv", "in/new/table.csv", "new/../in/table.csv"])
def test_table_in_the_watched_folder_is_refused_and_nothing_written_there(
    out: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results(out, "--csv", out / place) == 2
    assert list((out / "in").iterdir()) == []
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert str(out / "in") in captured.err
    assert "only read" in captured.err


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_table_in_the_watched_folder_behind_a_link_is_refused(out: Path) -> None:
    (out / "link").symlink_to(out / "in")
    assert results(out, "--csv", out / "link" / "table.csv") == 2
    assert list((out / "in").iterdir()) == []


def test_table_that_is_a_folder_is_refused(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "there").mkdir()
    assert results(out, "--csv", out / "there") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "this is a folder; wanted: the name of a file" in captured.err


def test_table_in_the_ledgers_place_is_refused(out: Path) -> None:
    assert results(out, "--csv", out / "inflamap.db") == 2
    with open_ledger(out) as ledger:
        assert len(list(ledger.rows())) == 4


def test_results_are_told_while_a_watch_runs(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(out), open_ledger(out, create=True) as ledger:
        take(ledger, "new.bmp")
        assert results(out) == 0
    assert "waiting   new.bmp" in capsys.readouterr().out


def test_folder_without_a_ledger_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert results(tmp_path, "--csv", tmp_path / "table.csv") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "next: check --out" in captured.err
    assert list(tmp_path.iterdir()) == []


def test_results_of_several_models_are_flagged(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(out) as ledger:
        finish(ledger, "o.bmp", model="other")
    assert results(out) == 0
    assert "results of 2 models, not to be compared" in capsys.readouterr().err


def test_table_on_stdout(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert results(out, "--csv", "-") == 0
    captured = capsys.readouterr()
    assert [line["path"] for line in csv.DictReader(io.StringIO(captured.out))] == [
        'Site #1/a, "b".bmp',
        "f.bmp",
        "g.bmp",
        "w.bmp",
    ]
    assert captured.err == ""


def test_folders_are_listed_written_and_drawn(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert results(out, "--by", "folder") == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0].startswith("folder")
    assert captured.out.splitlines()[2].split()[:4] == ["Site", "#1", "1", "0"]
    assert captured.err == "inflamap: synthetic-trained model: not for real findings\n"
    csv_file, plot_file = out / "folders.csv", out / "folders.svg"
    assert results(out, "--by", "folder", "--csv", csv_file, "--plot", plot_file) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"2 folders in {plot_file}" in captured.err
    assert [row["folder"] for row in parsed(csv_file)] == [".", "Site #1"]
    assert b"synthetic-trained model" in plot_file.read_bytes()


def test_a_plot_is_of_folders_and_is_not_put_into_the_watched_folder(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results(out, "--plot", out / "a.svg") == 2
    assert "next: add --by folder" in capsys.readouterr().err
    assert results(out, "--by", "folder", "--plot", out / "in" / "a.svg") == 2
    assert "--plot" in capsys.readouterr().err
    assert results(out, "--by", "folder", "--plot", out) == 2
    assert "this is a folder" in capsys.readouterr().err


def test_no_images_make_no_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_ledger(tmp_path, create=True):
        pass
    assert results(tmp_path, "--by", "folder") == 0
    assert capsys.readouterr().out == "no images yet\n"


def test_study_of_classes_is_told_by_area_and_never_as_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        bind_folder(ledger, tmp_path, tmp_path / "out")
        for number in range(3):
            areas = {"healthy": 0.44, "psoriatic": 0.56, "lichenoid": 0.0}
            finish(ledger, f"P{number}/a.bmp", ordered=False, areas=areas)
    for more in ([], ["--by", "folder"], ["--csv", "-"], ["--by", "folder", "--csv", "-"]):
        assert results(tmp_path, *more) == 0
        said = capsys.readouterr().out
        assert "psoriatic" in said
        for word in ("nan", "None", "worst", "mean grade", "Inflammation"):
            assert word not in said
    plot = tmp_path.parent / "plot.svg"
    assert results(tmp_path, "--by", "folder", "--plot", plot) == 0
    assert "psoriatic 56 %" in plot.read_text(encoding="utf-8")


def test_picture_is_titled_by_the_models_quantity(tmp_path: Path) -> None:
    with open_ledger(tmp_path, create=True) as ledger:
        finish(ledger, "P0/a.bmp")
        ledger.note("model", {"name": "m", "sha256": "0" * 64, "synthetic": False, "quantity": "Spongiosis"})
    plot = tmp_path.parent / "quantity.svg"
    assert results(tmp_path, "--by", "folder", "--plot", plot) == 0
    assert "Spongiosis: mean grade by folder" in plot.read_text(encoding="utf-8")
    assert "nflammation" not in plot.read_text(encoding="utf-8").replace("inflamap", "")
