"""`inflamap evaluate` on a run; on a bundle see the tests of export."""

import json
import shutil
from pathlib import Path

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
    assert document["per_grade"]["2"] == {"patches": 0, "recall": None}
    assert f"warning: {len(scores)} of {len(scores)} patches tell no µm/px" in err


def test_a_person_reads_a_table(inflamap, trained):
    code, out, _err = inflamap("evaluate", trained.run, trained.folder)
    assert code == 0
    assert "50 held-out patches of 12 subjects, as scored by the raters" in out
    assert "accuracy" in out
    assert "95 % interval" in out
    assert "rater anna      1.000   accuracy against the median of the other raters" in out
    assert "confusion matrix: rows the raters' median, columns the model" in out


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
    assert set(document["raters"]) == {"r1", "r2", "r3"}
    code, out, _err = inflamap("evaluate", run, tmp_path / "phantom")
    assert "synthetic (phantom)" in out
    assert "oracle accuracy" in out


def test_other_grades_than_the_models_are_refused(inflamap, trained, save_image, tmp_path):
    for name in ("mild", "severe"):
        save_image(tmp_path / name / "patch.png", trained.data.pixels[0])
    code, out, err = inflamap("evaluate", trained.run, tmp_path, "--json")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == (
        f"inflamap: {tmp_path}: grades differ from the model's; seen: mild, severe; wanted: 0, 1, 2"
    )


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
