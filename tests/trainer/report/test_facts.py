"""What a run's folder tells: the kept epoch, what was used for what, and how to do it again."""

import hashlib
import shlex
import shutil
from pathlib import Path

import pytest

from runtime.errors import InflamapError
from trainer.report.facts import read_facts


def test_a_finished_run_is_read_as_it_stands(trained):
    facts = read_facts(trained.run)
    assert facts.folder == trained.run.resolve()
    assert facts.weights_sha256 == hashlib.sha256((trained.run / "network.safetensors").read_bytes()).hexdigest()
    assert [row.part for row in facts.split] == list(trained.parts)
    assert [row.sha256 for row in facts.split] == list(trained.data.sha256)
    assert [row.grade for row in facts.split] == [patch.grade for patch in trained.data.patches]
    assert {row.um_per_px for row in facts.split} == {0.5}
    assert sum(facts.patches_by_grade().values()) == len(trained.data)
    assert len(facts.content_of("test")) == trained.parts.count("test")


def test_the_kept_epoch_is_the_one_that_training_kept(make_patches, facts_of):
    def facts(*losses):
        history = [
            {"train_loss": 1.0, "val_loss": loss, "val_loss_error": 0.02, "val_accuracy": 0.5} for loss in losses
        ]
        return facts_of(make_patches([(0,), (1,)]), history=history)

    assert facts(0.9, 0.5, 0.7).kept_epoch == 2
    assert facts(0.5, 0.9, 0.51, 0.6).kept_epoch == 3
    assert facts(0.9).kept_epoch == 1


def test_the_commands_repeat_the_run_in_any_shell(make_patches, facts_of):
    options = {"--um-per-px": 0.25, "--split": "subject", "--allow-duplicates": True, "--refuse": ["a b", "c"]}
    facts = facts_of(make_patches([(0,), (1,)]), data={"folder": "/lab/skin of '26"}, options=options)
    train, evaluate = (shlex.split(command) for command in facts.commands(Path("/lab/more skin"), {"--um-per-px": 0.5}))
    assert train[:5] == ["inflamap", "train", "/lab/skin of '26", "--out", "/lab/runs/july"]
    assert "--um-per-px 0.25 --split subject --allow-duplicates --refuse" in " ".join(train[5:])
    assert train[-4:] == ["--refuse", "a b", "--refuse", "c"]
    assert evaluate == ["inflamap", "evaluate", "/lab/runs/july", "/lab/more skin", "--um-per-px", "0.5"]


@pytest.mark.parametrize(
    "damage", ["", "path,grade,split,um_per_px,sha256\na.png,one,test,0.5,00\n", "path,grade\na,1\n"]
)
def test_a_damaged_split_is_told_in_one_line(trained, tmp_path, damage):
    run = tmp_path / "run"
    shutil.copytree(trained.run, run)
    (run / "split.csv").write_text(damage)
    if not damage:
        (run / "split.csv").unlink()
    with pytest.raises(InflamapError, match=r"split\.csv: cannot be read; seen: .*; next: train again") as caught:
        read_facts(run)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InflamapError, match="no finished run"):
        read_facts(tmp_path)
