"""`inflamap train`, as the lab scientist types it."""

import csv
import html
import json
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from trainer.commands.train import train
from trainer.split_record import seen_in_training


@pytest.fixture(scope="module")
def coarse(tmp_path_factory, draw_data, write_csv) -> Path:
    """Textures of 64 px at 1 µm/px, which the data set does not say; it does say who is held out."""
    folder = draw_data(tmp_path_factory.mktemp("coarse"), patches=24, side=64)
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    parts = ("train", "train", "train", "train", "val", "test")
    write_csv(
        folder / "scores.csv",
        "path,score,subject,rater,split",
        [(row["path"], row["score"], row["subject"], row["rater"], parts[int(row["subject"][1:]) % 6]) for row in rows],
    )
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory, draw_data) -> Path:
    return draw_data(tmp_path_factory.mktemp("plain"), patches=24, side=128)


def document(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def test_a_data_set_becomes_a_run_by_its_own_split_and_the_given_scale(inflamap, coarse, tmp_path):
    run = tmp_path / "run"
    code, out, err = inflamap("train", coarse, "--out", run, "--um-per-px", 1, "--epochs", 1, "--seed", 3)
    assert code == 0
    assert out == ""
    assert "24 patches, grades 0, 1, 2; split column: 16 train, 4 val, 4 test" in err
    assert "epoch   1/1" in err
    assert f"next: inflamap evaluate {run} {coarse}" in err
    assert "Traceback" not in err
    found = document(run)
    assert found["finished"]
    assert found["settings"]["split"] == "column"
    assert found["settings"]["seed"] == 3
    assert found["settings"]["loss"] == "ordinal"
    assert found["network"]["grades"] == ["0", "1", "2"]

    code, out, err = inflamap("train", coarse, "--out", run, "--um-per-px", 1, "--epochs", 1, "--seed", 3)
    assert code == 2
    assert err.splitlines()[-1].startswith(f"inflamap: {run}: holds a finished run; ")


def test_subjects_that_are_all_named_are_kept_apart_unasked(inflamap, plain, tmp_path):
    code, _out, err = inflamap("train", plain, "--out", tmp_path / "run", "--epochs", 1)
    assert code == 0
    assert "; split subject: " in err
    assert document(tmp_path / "run")["settings"]["split"] == "subject"
    assert "optimistic" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_a_random_split_of_subjects_says_that_it_is_optimistic(inflamap, plain, tmp_path):
    run = tmp_path / "run"
    code, _out, err = inflamap("train", plain, "--out", run, "--epochs", 1, "--split", "random")
    assert code == 0
    warning = "subjects stand on both sides of the split: its figures are optimistic"
    assert f"{warning}, and hold only for skin already met" in err
    assert any(warning in line for line in document(run)["data"]["warnings"])
    assert "Optimistic: " in (run / "report.html").read_text(encoding="utf-8")
    code, out, _err = inflamap("evaluate", run, plain)
    assert code == 0
    assert "optimistic: " in out.splitlines()[1]
    code, out, _err = inflamap("evaluate", run, plain, "--json")
    split = json.loads(out)["split"]
    assert split["optimistic"] is True
    assert split["shared_subjects"] > 0
    # the very same parts given as a file are no better
    again = tmp_path / "again"
    arguments = ("train", plain, "--out", again, "--epochs", 1, "--split", run / "split.csv")
    code, _out, err = inflamap(*arguments)
    assert code == 0
    assert "Optimistic: " in (again / "report.html").read_text(encoding="utf-8")


def test_a_split_by_subject_without_subjects_is_refused(inflamap, plain, tmp_path, write_csv):
    data = tmp_path / "data"
    shutil.copytree(plain, data)
    with (data / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    unnamed = [(row["path"], row["score"], row["rater"], "" if row["path"].endswith("3.png") else "s") for row in rows]
    write_csv(data / "scores.csv", "path,score,rater,subject", unnamed)
    code, _out, err = inflamap("train", data, "--out", tmp_path / "run", "--epochs", 1, "--split", "subject")
    assert code == 2
    assert "split subject; seen: 3 of 24 patches without a subject; wanted: a subject for each patch" in err
    assert not (tmp_path / "run").exists()


def test_weak_splits_are_told_in_log_report_and_run(inflamap, plain, tmp_path, write_csv):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(plain, data)
    # three subjects of eight patches
    rows = [(f"patches/t{number:04d}.png", number % 3, f"s{number // 8}") for number in range(24)]
    write_csv(data / "scores.csv", "path,score,subject", rows)
    code, _out, err = inflamap("train", data, "--out", run, "--epochs", 1)
    assert code == 0
    warning = "the validation part holds 1 of 2 subjects, wanted 3: epoch, temperature and limits are chosen by so few"
    assert f"warning: {warning}" in err
    assert document(run)["data"]["warnings"] == [f"{warning}, and may not hold for others"]
    assert warning in (run / "report.html").read_text(encoding="utf-8")


def test_a_scale_from_one_to_three_is_kept_by_run_and_evaluation(inflamap, plain, tmp_path, write_csv):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(plain, data)
    rows = [(f"patches/t{number:04d}.png", number % 3 + 1, f"s{number // 2}") for number in range(24)]
    write_csv(data / "scores.csv", "path,score,subject", rows)
    code, _out, err = inflamap("train", data, "--out", run, "--epochs", 1, "--grades", "1-3")
    assert code == 0
    assert "grades 1, 2, 3; " in err
    assert document(run)["network"]["grades"] == ["1", "2", "3"]
    code, out, _err = inflamap("evaluate", run, data, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["confusion"]["grades"] == ["1", "2", "3"]
    assert sum(each["patches"] for each in found["per_grade"].values()) == found["patches"]
    code, _out, err = inflamap("train", data, "--out", tmp_path / "other", "--grades", "3-1")
    assert code == 2
    assert "'3-1', wanted a range as 1-5, or 2 to 100 different names" in err


def test_named_folders_are_warned_of_until_their_order_is_given(inflamap, plain, tmp_path):
    data = tmp_path / "data"
    for number, path in enumerate(sorted((plain / "patches").iterdir())):
        target = data / ("none", "mild", "severe")[number % 3] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    arguments = ("train", data, "--epochs", 1, "--um-per-px", 0.5)
    alphabet = "the grades mild, none, severe are taken in the order of the alphabet, lowest first"
    code, _out, err = inflamap(*arguments, "--out", tmp_path / "alphabet")
    assert code == 0
    assert f"warning: {alphabet}" in err
    assert any(alphabet in line for line in document(tmp_path / "alphabet")["data"]["warnings"])
    assert alphabet in html.unescape((tmp_path / "alphabet" / "report.html").read_text(encoding="utf-8"))
    code, _out, err = inflamap(*arguments, "--out", tmp_path / "ordered", "--grades", "none,mild,severe")
    assert code == 0
    assert "alphabet" not in err
    assert document(tmp_path / "ordered")["network"]["grades"] == ["none", "mild", "severe"]
    code, out, _err = inflamap("evaluate", tmp_path / "ordered", data, "--json")
    assert code == 0
    assert list(json.loads(out)["per_grade"]) == ["none", "mild", "severe"]
    code, _out, err = inflamap(*arguments, "--out", tmp_path / "unordered", "--loss", "cross-entropy")
    assert code == 0
    assert "alphabet" not in err


def test_images_to_refuse_are_remembered_for_the_export_and_looked_for_at_once(inflamap, plain, tmp_path):
    refuse = tmp_path / "refuse"
    refuse.mkdir()
    code, _out, err = inflamap("train", plain, "--out", tmp_path / "run", "--epochs", 1, "--refuse", refuse)
    assert code == 2
    assert f"--refuse {refuse}: no image in it" in err
    assert not (tmp_path / "run").exists()
    shutil.copy(next((plain / "patches").iterdir()), refuse)
    code, _out, _err = inflamap("train", plain, "--out", tmp_path / "run", "--epochs", 1, "--refuse", refuse)
    assert code == 0
    assert document(tmp_path / "run")["options"]["--refuse"] == str(refuse.resolve())


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--um-per-px", "0.5", "--seed", "0"],
        ["--split", "random", "--loss", "cross-entropy", "--seed", "4", "--allow-duplicates", "--grades", "0-2"],
    ],
)
def test_the_report_tells_a_command_that_does_the_same_again(inflamap, plain, tmp_path, options):
    run = tmp_path / "run"
    code, _out, _err = inflamap("train", plain, "--out", run, "--epochs", 1, *options)
    assert code == 0
    [words] = [
        shlex.split(line)
        for line in html.unescape((run / "report.html").read_text(encoding="utf-8")).splitlines()
        if "inflamap train " in line
    ]
    words = words[words.index("train") if "train" in words else 2 :]
    first = train.make_context("train", [str(plain), "--out", str(run), "--epochs", "1", *options]).params
    again = train.make_context("train", words[1:]).params
    assert again.pop("data") == plain.resolve()
    assert again.pop("run") == run.resolve()
    # the default is written out
    assert again.pop("split") == (first.pop("split") or "subject")
    assert again == {name: value for name, value in first.items() if name not in {"data", "run"}}


def test_the_split_and_loss_that_are_asked_for_are_used(inflamap, plain, tmp_path):
    run = tmp_path / "run"
    code, _out, err = inflamap(
        "train", plain, "--out", run, "--epochs", 1, "--split", "subject", "--loss", "cross-entropy"
    )
    assert code == 0
    assert "split subject" in err
    assert document(run)["settings"]["loss"] == "cross-entropy"
    with (run / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sides: dict[str, set[str]] = {}
    for number, row in enumerate(rows):
        sides.setdefault(f"s{number % 12}", set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())


def test_faults_of_one_cause_are_one_line_and_counted(inflamap, coarse, tmp_path):
    code, out, err = inflamap("train", coarse, "--out", tmp_path / "run")
    assert code == 2
    assert out == ""
    fault, last = err.splitlines()
    assert fault.startswith(f"row 2: {coarse / 'patches' / 't0000.png'}: patch too small")
    assert fault.endswith(
        "seen: 64x64 px; wanted: at least 128x128; and 23 more of this kind (rows 4, 6, 8, 10, 12, ...)"
    )
    assert last.startswith(f"inflamap: {coarse}: 24 fault(s) in the data set; ")
    assert "; next: mend " in last
    assert not (tmp_path / "run").exists()


def test_what_trains_and_is_held_out_is_refused_and_named_or_allowed_and_warned_of(inflamap, coarse, tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(coarse, data)
    shutil.copy(data / "patches" / "t0000.png", data / "copy.png")
    with (data / "scores.csv").open("a") as file:
        file.write("copy.png,0,s05,anna,test\n")
    arguments = ("train", data, "--out", run, "--um-per-px", 1, "--epochs", 1)
    code, _out, err = inflamap(*arguments)
    leak, last = err.splitlines()[-2:]
    assert (code, leak) == (2, "the same image: patches/t0000.png (train), copy.png (test)")
    assert last.startswith("inflamap: split column: 1 leak(s) between its parts; ")
    assert last.endswith("or go on with --allow-duplicates")
    assert not run.exists()

    code, _out, err = inflamap(*arguments, "--allow-duplicates")
    assert code == 0
    assert f"warning: {leak}\n" in err
    assert "warning: 1 leak(s) between the parts are allowed" in err
    assert document(run)["finished"]


def test_a_run_does_not_write_among_other_files(inflamap, plain):
    before = sorted(path.name for path in plain.iterdir())
    code, _out, err = inflamap("train", plain, "--out", plain, "--epochs", 1)
    assert code == 2
    assert "is in the way" in err.splitlines()[-1]
    assert sorted(path.name for path in plain.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--loss", "hinge"], "'hinge' is not one of"),
        (["--epochs", "0"], "0 is not in the range"),
        (["--um-per-px", "0"], "0.0 is not in the range"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--split", "nowhere.csv"], "split nowhere.csv: cannot be read"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(inflamap, plain, tmp_path, options, said):
    code, _out, err = inflamap("train", plain, "--out", tmp_path / "run", *options)
    assert code == 2
    assert said in err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_a_place_where_no_run_can_be_is_refused_before_the_data_are_read(inflamap, tmp_path):
    (tmp_path / "file.txt").write_text("")
    code, _out, err = inflamap("train", tmp_path / "nowhere", "--out", tmp_path / "file.txt" / "run")
    assert code == 2
    [line] = err.splitlines()
    assert line.startswith(f"inflamap: output folder {tmp_path / 'file.txt' / 'run'}; seen: ")
    assert line.endswith("next: choose another --out")


def test_a_run_that_cannot_be_made_is_one_line(inflamap, plain, tmp_path, monkeypatch):
    def refuse(_folder: Path, *_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, _out, err = inflamap("train", plain, "--out", tmp_path / "run", "--epochs", 1)
    assert code == 2
    said = f"inflamap: {tmp_path / 'run'} cannot be written; seen: Permission denied; next: give this user write access"
    assert err.splitlines()[-1].startswith(said)


def test_a_name_that_is_no_utf8_is_kept_and_its_run_told_apart(inflamap, plain, tmp_path):
    for number, path in enumerate(sorted((plain / "patches").iterdir())):
        target = tmp_path / "data" / f"grade {number % 3}" / os.fsdecode(b"M\xfcller-%d.png" % number)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    run = tmp_path / "run"
    code, _out, err = inflamap("train", tmp_path / "data", "--out", run, "--epochs", 1, "--um-per-px", 0.5)
    assert (code, err.splitlines()[-1].startswith("run in ")) == (0, True)
    assert b"grade 0/M\xfcller-0.png," in (run / "split.csv").read_bytes()
    assert len(seen_in_training(run).sha256) == 19

    # and the file serves to split the same patches again
    again = tmp_path / "again"
    code, _out, err = inflamap(
        "train", tmp_path / "data", "--out", again, "--epochs", 1, "--um-per-px", 0.5, "--split", run / "split.csv"
    )
    assert code == 0
    assert (again / "split.csv").read_bytes() == (run / "split.csv").read_bytes()


def test_a_folder_that_is_not_there_is_refused(inflamap, tmp_path):
    code, _out, err = inflamap("train", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert (code, err) == (2, f"inflamap: {tmp_path / 'nowhere'}: no such folder; next: check DATA\n")


def test_classes_without_an_order_are_combined_by_majority_from_the_split_to_the_figures(
    inflamap, plain, tmp_path, write_csv
):
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(plain, data)
    # the second half has no majority: the first rater's class counts, whatever its number
    by_third = [(2, 0, 2), (0, 1, 0), (1, 1, 2)], [(2, 0, 1), (0, 2, 1), (1, 2, 0)]
    paths = [f"patches/t{number:04d}.png" for number in range(24)]
    scores = {path: by_third[number >= 12][number % 3] for number, path in enumerate(paths)}
    rows = [
        (path, score, f"s{number % 12}", rater)
        for number, (path, given) in enumerate(scores.items())
        for score, rater in zip(given, ("anna", "bela", "cleo"), strict=True)
    ]
    write_csv(data / "scores.csv", "path,score,subject,rater", rows)
    arguments = ("train", data, "--epochs", 1, "--um-per-px", 0.5)
    code, _out, err = inflamap(*arguments, "--out", run, "--loss", "cross-entropy")
    assert code == 0
    assert "warning: 12 of 24 patches have no majority of their raters" in err
    assert grades_of(run) == {path: (2, 0, 1)[number % 3] for number, path in enumerate(paths)}
    code, out, err = inflamap("evaluate", run, data)
    assert code == 0
    assert "warning: 12 of 24 patches have no majority of their raters" in err
    assert "median" not in out
    for words in ("share graded as by the raters' majority", "majority of others", "rows the raters' majority, "):
        assert words in out
    report = html.unescape((run / "report.html").read_text(encoding="utf-8"))
    assert "12 of 24 patches have no majority of their raters" in report
    assert "raters' median" not in report
    code, out, _err = inflamap("evaluate", run, data, "--json")
    found = json.loads(out)
    held_out = [grade for path, grade in grades_of(run).items() if parts_of(run)[path] == "test"]
    assert [each["patches"] for each in found["per_grade"].values()] == [held_out.count(grade) for grade in range(3)]

    code, _out, err = inflamap(*arguments, "--out", tmp_path / "ordered")
    assert code == 0
    assert "majority" not in err
    assert grades_of(tmp_path / "ordered") == {path: sorted(given)[1] for path, given in scores.items()}


def grades_of(run: Path) -> dict[str, int]:
    """The grade of each patch in `split.csv`, which `export` reads."""
    with (run / "split.csv").open(newline="") as file:
        return {row["path"]: int(row["grade"]) for row in csv.DictReader(file)}


def parts_of(run: Path) -> dict[str, str]:
    with (run / "split.csv").open(newline="") as file:
        return {row["path"]: row["split"] for row in csv.DictReader(file)}
