"""A run's documents are taken as they are, or refused."""

import json
import shutil
from pathlib import Path

import pytest

from export.run_files import Run, read_run, refused_by
from runtime.errors import InflamapError


def test_what_was_trained_or_chosen_by_is_listed_by_content(finished):
    run = read_run(finished.folder)
    seen = run.trained_on()
    assert len(seen) == 120
    assert list(seen) == sorted(row["sha256"] for row in run.rows if row["split"] in {"train", "val"})


@pytest.mark.parametrize("spoiled", ["run.json", "split.csv", "unfinished", "folder"])
def test_what_is_no_finished_run_is_refused(finished, tmp_path, spoiled):
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    if spoiled == "folder":
        shutil.rmtree(run)
    elif spoiled == "unfinished":
        document = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(document | {"finished": False}))
    else:
        (run / spoiled).unlink()
    said = {"unfinished": "the run is not finished; next: run `inflamap train`"}
    with pytest.raises(InflamapError, match=said.get(spoiled, "no finished run; seen: ")):
        read_run(run)


@pytest.mark.parametrize(
    ("file", "content", "seen"),
    [
        ("run.json", b"{", "Expecting"),
        ("run.json", b"[]", "run.json holds no JSON object"),
        ("run.json", b'{"finished": true, "data": {}}', "run.json lacks settings, temperature, versions"),
        ("split.csv", b"path,part\na.png,val\n", "split.csv lacks grade, sha256, split, um_per_px, x, y"),
        ("split.csv", b"path,x,y,um_per_px,grade,split,sha256\na.png,,,0.5,0\n", "split.csv lacks sha256, split"),
        ("split.csv", b'"' + b"x" * 140_000, "field larger than"),
    ],
)
def test_damaged_files_of_a_run_are_told_with_what_to_do(finished, tmp_path, file, content, seen):
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    (run / file).write_bytes(content)
    with pytest.raises(InflamapError, match=rf"no finished run; seen: {seen}.*; next: give such a folder, or train"):
        read_run(run)


@pytest.mark.parametrize(
    ("document", "folder"),
    [({"options": {"--refuse": "/data/hair"}}, Path("/data/hair")), ({"options": {}}, None), ({}, None)],
)
def test_the_images_to_refuse_are_those_of_the_training(document, folder):
    assert refused_by(Run(document, ())) == folder
