"""`inflamap evaluate` on a run; on a bundle see the tests of export."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from trainer.network import NetworkConfig, TextureNetwork, save_network
from trainer.phantom import write_phantom


def test_json_is_one_document_on_stdout_about_the_held_out_patches_alone(inflamap, trained):
    code, out, err = inflamap("evaluate", trained.run, trained.folder, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["patches"] == trained.parts.count("test") == 50
    assert document["accuracy"]["value"] > 0.9
    assert document["oracle"] is None
    assert set(document["raters"]) == {"anna", "bela"}
    assert "190 of 240 patches left out: the model was trained on them" in err


def test_renamed_patches_are_left_out_all_the_same(inflamap, trained, tmp_path):
    folder = tmp_path / "by grade"
    for patch, part in zip(trained.data.patches, trained.parts, strict=True):
        if part == "test" and patch.grade == 2:
            continue
        target = folder / f"grade {patch.grade}" / f"{part} {Path(patch.path).name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trained.folder / patch.path, target)
    scores = [f"{path.relative_to(folder)},{path.parent.name[-1]}" for path in sorted(folder.rglob("*.png"))]
    (folder / "scores.csv").write_text("path,score\n" + "\n".join(scores) + "\n")
    code, out, err = inflamap("evaluate", trained.run, folder, "--json")
    assert code == 0
    document = json.loads(out)
    wanted = [part for part, patch in zip(trained.parts, trained.data.patches, strict=True) if patch.grade < 2]
    assert document["patches"] == wanted.count("test")
    assert document["per_grade"]["2"] == {"patches": 0, "recall": None, "ci95": None}
    assert f"warning: {len(scores)} of {len(scores)} patches tell no µm/px" in err


def lines_of(out: str) -> dict[str, list[str]]:
    """The words of each line of a table by its first."""
    return {words[0]: words[1:] for line in out.splitlines() if (words := line.split())}


def test_a_person_reads_a_table(inflamap, trained):
    code, out, _err = inflamap("evaluate", trained.run, trained.folder)
    assert code == 0
    assert out.startswith("50 held-out patches of 12 subjects, as scored by the raters\n")
    assert "95 % interval (by subject)" in out
    table = lines_of(out)
    for name in ("accuracy", "mad", "mad_normalised", "qwk", "ece"):
        value, low, _to, high = (table[name][place] for place in range(4))
        assert float(low) <= float(value) <= float(high)
    # patches, then accuracy, distance and kappa with the other rater, who says the same throughout
    assert table["anna"][:4] == ["50", "1.000", "0.000", "1.000"]
    assert len(table["anna"]) == 7
    assert "of the raters 1.000" in out
    assert "difference in kappa" in out
    assert "confusion matrix: rows the raters' median, columns the model" in out
    assert "oracle" not in out
    assert max(map(len, out.splitlines())) <= 120


def test_on_a_phantom_the_oracle_stands_beside_the_model(inflamap, tmp_path):
    write_phantom(tmp_path / "phantom", patches=8, frames=0, seed=2)
    run = tmp_path / "run"
    run.mkdir()
    torch.manual_seed(0)
    save_network(TextureNetwork(NetworkConfig(kernels=(4,), strides=(4,), widths=(16,), hidden=16)), run)
    (run / "run.json").write_text('{"finished": true}')
    (run / "split.csv").write_text("path,split,sha256\n")
    code, out, _err = inflamap("evaluate", run, tmp_path / "phantom", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["synthetic"] is True
    assert document["patches"] == 8
    assert document["oracle"]["accuracy"] > 0.5
    assert set(document["oracle"]["accuracy_of_oracle"]) == {"value", "ci95"}
    assert set(document["raters"]) == {"r1", "r2", "r3"}
    code, out, _err = inflamap("evaluate", run, tmp_path / "phantom")
    assert "synthetic (phantom)" in out
    assert lines_of(out)["oracle"][0] == f"{document['oracle']['accuracy']:.3f}"
    assert lines_of(out)["accuracy/oracle"][0] == f"{document['oracle']['accuracy_of_oracle']['value']:.3f}"


@pytest.fixture
def untrained(tmp_path, tiny) -> Callable[..., Path]:
    """Saves a finished run whose network has random weights."""

    def save(**changes: object) -> Path:
        run = tmp_path / "untrained"
        run.mkdir()
        torch.manual_seed(0)
        save_network(TextureNetwork(dataclasses.replace(tiny, **changes)), run)
        (run / "run.json").write_text('{"finished": true}')
        (run / "split.csv").write_text("path,split,sha256\n")
        return run

    return save


def test_grades_without_an_order_have_no_distances_in_the_table(inflamap, trained, untrained):
    run = untrained(ordered=False)
    _code, out, _err = inflamap("evaluate", run, trained.folder)
    table = lines_of(out)
    assert "accuracy" in table
    assert not {"mad", "mad_normalised", "qwk"} & set(table)
    assert len(table["anna"]) == 3
    assert "ICC" not in out
    assert "kappa" not in out
    code, out, _err = inflamap("evaluate", run, trained.folder, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["ordered"] is False
    assert {"accuracy", "mad", "mad_normalised", "qwk", "ece"} <= set(document)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_bundle_says_whether_its_grades_have_an_order(inflamap, bundle_with, tmp_path, ordered):
    write_phantom(tmp_path / "phantom", patches=4, frames=0, seed=2)
    bundle = bundle_with(ordered=ordered)
    code, out, _err = inflamap("evaluate", bundle.folder, tmp_path / "phantom", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["ordered"] is ordered
    for name in ("mad", "mad_normalised", "qwk"):
        assert (found[name]["value"] is not None) is ordered
        assert (found["oracle"] is None or found["oracle"][name] is not None) is (ordered or found["oracle"] is None)
        assert found["accuracy"]["value"] >= 0
    for rater in found["raters"].values():
        assert (rater["mad"] is not None) is ordered
        assert rater["with_model"]["accuracy"] is not None
    if not ordered:
        assert {found["experts"][name] for name in ("verdict", "kappa_among_raters", "icc", "difference")} == {None}


def test_many_grades_and_hostile_names_leave_the_table_readable(inflamap, untrained, save_image, tmp_path):
    names = ("texture\x1b[2J", *(f"texture {number:02d} with a long name" for number in range(19)))
    folder = tmp_path / "textures"
    for number, name in enumerate(names):
        save_image(folder / name / "one.png", np.full((32, 40 + number), 10 * number, np.uint8))
    code, out, _err = inflamap("evaluate", untrained(grades=names, ordered=False), folder)
    assert code == 0
    assert "20 held-out patches of unnamed subjects, as scored by the raters" in out
    assert "95 % interval (by image)" in out
    assert "most frequent confusions among 20 grades; the whole matrix is in --json" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 120
    assert sum(" taken for " in line for line in out.splitlines()) == 10


def test_other_grades_than_the_models_are_refused(inflamap, trained, save_image, tmp_path):
    for name in ("mild", "severe"):
        save_image(tmp_path / name / "patch.png", trained.data.pixels[0])
    code, out, err = inflamap("evaluate", trained.run, tmp_path, "--json")
    assert (code, out) == (2, "")
    assert "sub-folder mild, wanted a grade of 0-2" in err
    assert "sub-folder severe, wanted a grade of 0-2" in err


def test_nothing_left_to_evaluate_on_is_said(inflamap, trained, tmp_path):
    path = next(patch.path for patch, part in zip(trained.data.patches, trained.parts, strict=True) if part == "train")
    shutil.copy(trained.folder / path, tmp_path / "again.png")
    (tmp_path / "scores.csv").write_text("path,score,rater,um_per_px\nagain.png,0,anna,0.5\nagain.png,1,bela,0.5\n")
    code, _out, err = inflamap("evaluate", trained.run, tmp_path)
    assert code == 2
    assert "nothing to evaluate on; seen: all 1 patches were trained or chosen by" in err.splitlines()[-1]


@pytest.mark.parametrize("model", ["nowhere", "an unfinished run"])
def test_what_is_no_model_is_refused(inflamap, trained, tmp_path, model):
    if model != "nowhere":
        (tmp_path / model).mkdir()
        (tmp_path / model / "run.json").write_text("{}")
    code, _out, err = inflamap("evaluate", tmp_path / model, trained.folder)
    assert code == 2
    [line] = err.splitlines()
    assert ("no finished run" if model == "nowhere" else "the run is not finished") in line


def test_a_run_that_lost_its_split_gives_no_figures(inflamap, trained, tmp_path):
    shutil.copytree(trained.run, tmp_path / "run")
    (tmp_path / "run" / "split.csv").unlink()
    code, out, err = inflamap("evaluate", tmp_path / "run", trained.folder, "--json")
    assert (code, out) == (2, "")
    assert "split.csv: cannot be read" in err


def test_the_report_is_written_where_it_is_asked_for(inflamap, trained, tmp_path):
    code, _out, err = inflamap("evaluate", trained.run, trained.folder, "--report", tmp_path / "page.html")
    assert code == 0
    assert f"report in {tmp_path / 'page.html'}" in err
    assert "the held-out part of" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_run_that_tells_too_little_is_evaluated_without_a_report(inflamap, trained, untrained, tmp_path):
    run = untrained()
    code, out, err = inflamap("evaluate", run, trained.folder)
    assert code == 0
    assert "accuracy" in out
    assert "warning: no report" in err
    code, _out, err = inflamap("evaluate", run, trained.folder, "--report", tmp_path / "page.html")
    assert code == 2
    assert "tells too little for a report; seen: no data, devices" in err


def test_a_bundle_has_no_report(inflamap, bundle_with, tmp_path):
    code, _out, err = inflamap("evaluate", bundle_with().folder, tmp_path, "--report", tmp_path / "page.html")
    assert code == 2
    assert "no report of a bundle" in err


def test_a_run_is_evaluated_at_the_scale_it_was_trained_at(inflamap, draw_data, tmp_path, write_csv):
    """Textures of 128 px at 0.5 µm/px, which nothing but the option says."""
    data, run = draw_data(tmp_path / "data", patches=24, side=128), tmp_path / "run"
    rows = [(f"patches/t{number:04d}.png", number % 3, f"s{number % 12}") for number in range(24)]
    write_csv(data / "scores.csv", "path,score,subject", rows)
    # larger than a patch at this scale
    code, _out, _err = inflamap("train", data, "--out", run, "--um-per-px", 0.75, "--epochs", 1)
    assert code == 0
    code, given, _err = inflamap("evaluate", run, data, "--json", "--um-per-px", 0.75)
    assert code == 0
    code, out, err = inflamap("evaluate", run, data, "--json")
    assert (code, out) == (0, given)
    assert "µm/px" not in err
    # moved, the data says no scale either
    shutil.copytree(data, tmp_path / "moved")
    code, out, err = inflamap("evaluate", run, tmp_path / "moved", "--json")
    assert (code, out) == (0, given)
    assert "24 of 24 patches tell no µm/px: 0.75 assumed" in err
    # another scale than the run's is said
    code, _out, err = inflamap("evaluate", run, data, "--um-per-px", 0.5)
    assert code == 0
    assert "24 patches of the run's data are taken at another scale than by the run: 0.5 and 0.75 µm/px" in err
    page = (run / "report.html").read_text(encoding="utf-8")
    assert f"inflamap evaluate {run} {data} --um-per-px 0.5" in page


def test_an_undefined_kappa_is_null_and_a_dash(inflamap, trained, tmp_path, save_image):
    rows = []
    for number, (patch, part) in enumerate(zip(trained.data.patches, trained.parts, strict=True)):
        if part == "test" and patch.grade == 1:
            save_image(tmp_path / f"{number}.png", trained.data.pixels[number])
            rows.append(f"{number}.png,1,s{number % 3},0.5")
    (tmp_path / "scores.csv").write_text("path,score,subject,um_per_px\n" + "\n".join(rows) + "\n")
    code, out, _err = inflamap("evaluate", trained.run, tmp_path, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["accuracy"]["value"] == 1
    assert document["accuracy"]["ci95"][0] < 1
    assert document["qwk"] == {"value": None, "ci95": None}
    code, out, _err = inflamap("evaluate", trained.run, tmp_path)
    assert code == 0
    assert lines_of(out)["qwk"][0] == "-"


def test_a_bundle_brings_the_scale_of_its_training(inflamap, bundle_with, save_image, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(2):
        save_image(tmp_path / f"{number}.png", rng.integers(0, 256, (140, 140), np.uint8))
    (tmp_path / "scores.csv").write_text("path,score\n0.png,0\n1.png,1\n")
    bundle = bundle_with(training={"um_per_px": 0.75})
    code, _out, err = inflamap("evaluate", bundle.folder, tmp_path)
    assert code == 0
    assert "2 of 2 patches tell no µm/px: 0.75 assumed" in err
