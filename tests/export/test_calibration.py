"""Export measures on the patches a run chose by, and never on the held-out ones."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from export.calibration import MOST_PATCHES, Run, read_calibration_patches, read_run
from runtime.dense_map import Geometry
from runtime.errors import DataError, InflamapError
from runtime.images.patch import read_patch

GEOMETRY = Geometry(32, 8, 0.5)


@pytest.fixture
def made_run(tmp_path: Path, save_image) -> Callable[..., Run]:
    """Writes patches and gives a run that used them: rows of (pixels, x, y, µm/px, part)."""

    def make(*rows: tuple[npt.NDArray[np.uint8], int | str, int | str, float, str]) -> Run:
        listed = []
        for number, (pixels, x, y, um_per_px, part) in enumerate(rows):
            save_image(tmp_path / f"p{number}.png", pixels)
            corner = (int(x), int(y)) if x != "" else None
            read = read_patch(
                tmp_path / f"p{number}.png",
                corner=corner,
                um_per_px=um_per_px,
                patch_px=GEOMETRY.patch_px,
                model_um_per_px=GEOMETRY.um_per_px,
            )
            listed.append(
                {
                    "path": f"p{number}.png",
                    "x": str(x),
                    "y": str(y),
                    "um_per_px": str(um_per_px),
                    "grade": "0",
                    "split": part,
                    "sha256": read.sha256,
                }
            )
        return Run({"data": {"folder": str(tmp_path)}}, tuple(listed))

    return make


def noise(seed: int, side: int = 32) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def test_it_reads_the_validation_part_alone(finished):
    with (finished.folder / "split.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    patches = read_calibration_patches(read_run(finished.folder), None, finished.geometry)
    assert patches.shape == (len(rows), 1, 32, 32) == (30, 1, 32, 32)
    for row, patch in zip(rows, patches, strict=True):
        file = cv2.imread(str(finished.data / row["path"]), cv2.IMREAD_GRAYSCALE)
        np.testing.assert_array_equal(patch[0], file[2:34, 2:34])


def test_neither_held_out_nor_training_files_are_even_opened(finished, tmp_path):
    data = tmp_path / "moved"
    shutil.copytree(finished.data, data)
    run = read_run(finished.folder)
    for row in run.rows:
        if row["split"] != "val":
            (data / row["path"]).write_bytes(b"not to be read")
    patches = read_calibration_patches(run, data, finished.geometry)
    np.testing.assert_array_equal(patches, read_calibration_patches(run, None, finished.geometry))


def test_patches_come_at_the_models_scale_from_where_they_were_scored(made_run):
    fine, frame, wide = noise(1), noise(2, 64), noise(3, 48)
    run = made_run(
        (np.kron(fine, np.ones((2, 2), np.uint8)), "", "", 0.25, "val"),
        (frame, 20, 7, 0.5, "val"),
        (wide, "", "", 0.5, "val"),
        (noise(4), "", "", 0.5, "train"),
        (noise(5), "", "", 0.5, "test"),
    )
    patches = read_calibration_patches(run, None, GEOMETRY)
    assert len(patches) == 3
    np.testing.assert_array_equal(patches[0, 0], fine)
    np.testing.assert_array_equal(patches[1, 0], frame[7:39, 20:52])
    np.testing.assert_array_equal(patches[2, 0], wide[8:40, 8:40])


def test_of_many_patches_some_are_taken_evenly_over_the_whole_list(made_run):
    run = made_run(*((np.full((32, 32), value, np.uint8), "", "", 0.5, "val") for value in range(50)))
    many = Run(run.document, tuple(row for row in run.rows for _ in range(20)))
    patches = read_calibration_patches(many, None, GEOMETRY)
    assert len(patches) == MOST_PATCHES == 300
    levels, counts = np.unique(patches[:, 0, 0, 0], return_counts=True)
    assert levels.tolist() == list(range(50))
    assert set(counts.tolist()) <= {5, 6, 7}


def test_one_validation_patch_is_enough_to_go_on(made_run):
    patches = read_calibration_patches(made_run((noise(1), "", "", 0.5, "val")), None, GEOMETRY)
    assert patches.shape == (1, 1, 32, 32)


def test_a_data_set_that_is_gone_is_asked_for(finished, tmp_path):
    run = read_run(finished.folder)
    with pytest.raises(DataError, match=r"gone: no such folder; wanted: the data set of the run; next: give --calib"):
        read_calibration_patches(run, tmp_path / "gone", finished.geometry)


def test_a_patch_that_was_drawn_anew_is_refused(made_run, tmp_path, save_image):
    run = made_run((noise(1), "", "", 0.5, "val"), (noise(2), "", "", 0.5, "val"))
    save_image(tmp_path / "p1.png", noise(3))
    with pytest.raises(DataError, match=r"p1\.png: not the patch that the run was trained with; seen: content"):
        read_calibration_patches(run, None, GEOMETRY)


def test_a_patch_that_is_gone_is_named(made_run, tmp_path):
    run = made_run((noise(1), "", "", 0.5, "val"), (noise(2), "", "", 0.5, "val"))
    (tmp_path / "p1.png").unlink()
    with pytest.raises(DataError, match=r"calibration: .*p1\.png.*next: give --calibration DATA"):
        read_calibration_patches(run, None, GEOMETRY)


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
        ("split.csv", b"path,part\na.png,val\n", "split.csv lacks sha256, split, um_per_px, x, y"),
        ("split.csv", b"path,x,y,um_per_px,split,sha256\na.png,,,0.5\n", "split.csv lacks sha256, split"),
        ("split.csv", b'"' + b"x" * 140_000, "field larger than"),
    ],
)
def test_damaged_files_of_a_run_are_told_with_what_to_do(finished, tmp_path, file, content, seen):
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    (run / file).write_bytes(content)
    with pytest.raises(InflamapError, match=rf"no finished run; seen: {seen}.*; next: give such a folder, or train"):
        read_run(run)


def test_names_that_are_no_utf8_are_found(finished, tmp_path):
    run, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(finished.folder, run)
    shutil.copytree(finished.data, data)
    (data / "Visite").rename(data / os.fsdecode(b"Visit\xe9"))
    split = (run / "split.csv").read_bytes()
    (run / "split.csv").write_bytes(split.replace(b"Visite/", b"Visit\xe9/"))
    patches = read_calibration_patches(read_run(run), data, finished.geometry)
    assert len(patches) == 30


def test_a_run_that_names_no_validation_patches_is_refused(made_run):
    run = made_run((noise(1), "", "", 0.5, "train"))
    with pytest.raises(DataError, match=r"no patches to measure on; seen: 1 rows, none in val; .*; next: train again"):
        read_calibration_patches(run, None, GEOMETRY)


def test_a_place_that_is_no_number_is_refused(made_run):
    run = made_run((noise(1), 0, 0, 0.5, "val"))
    run.rows[0]["x"] = "left"
    with pytest.raises(DataError, match=r"calibration: .*'left'.*; next: give --calibration DATA"):
        read_calibration_patches(run, None, GEOMETRY)
