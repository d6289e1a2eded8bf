"""Images come from the part they are asked of, and from no other."""

import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.run_files import Run, read_run
from export.run_images import in_orientations, read_part
from runtime.dense_map import Geometry
from runtime.errors import DataError
from runtime.gate_set import MOST_FRAMES
from runtime.images.patch import read_patch_source

GEOMETRY = Geometry(32, 8, 0.5)


@pytest.fixture
def made_run(tmp_path: Path, save_image) -> Callable[..., Run]:
    """Writes patches and gives a run that used them: rows of (pixels, x, y, µm/px, part)."""

    def make(*rows: tuple[npt.NDArray[np.uint8], int | str, int | str, float, str]) -> Run:
        listed = []
        for number, (pixels, x, y, um_per_px, part) in enumerate(rows):
            save_image(tmp_path / f"p{number}.png", pixels)
            corner = (int(x), int(y)) if x != "" else None
            source = read_patch_source(
                tmp_path / f"p{number}.png", um_per_px=um_per_px, model_um_per_px=GEOMETRY.um_per_px
            )
            read = source.patch(corner, GEOMETRY.patch_px)
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


def read_validation(run: Run, data: Path | None, geometry: Geometry) -> npt.NDArray[np.uint8]:
    return read_part(run, data, geometry, "val", 300).patches


def read_frames(run: Run, data: Path | None, geometry: Geometry, part: str) -> tuple[npt.NDArray[np.uint8], ...]:
    return read_part(run, data, geometry, part, 300).frames


def noise(seed: int, side: int = 32) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def test_it_reads_the_validation_part_alone(finished):
    with (finished.folder / "split.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    patches = read_validation(read_run(finished.folder), None, finished.geometry)
    assert patches.shape == (len(rows), 32, 32) == (30, 32, 32)
    for row, patch in zip(rows, patches, strict=True):
        file = cv2.imread(str(finished.data / row["path"]), cv2.IMREAD_GRAYSCALE)
        np.testing.assert_array_equal(patch, file[48:80, 48:80])


def test_neither_held_out_nor_training_files_are_even_opened(finished, tmp_path):
    data = tmp_path / "moved"
    shutil.copytree(finished.data, data)
    run = read_run(finished.folder)
    for row in run.rows:
        if row["split"] != "val":
            (data / row["path"]).write_bytes(b"not to be read")
    patches = read_validation(run, data, finished.geometry)
    np.testing.assert_array_equal(patches, read_validation(run, None, finished.geometry))


def test_patches_come_at_the_models_scale_from_where_they_were_scored(made_run):
    fine, frame, wide = noise(1), noise(2, 64), noise(3, 48)
    run = made_run(
        (np.kron(fine, np.ones((2, 2), np.uint8)), "", "", 0.25, "val"),
        (frame, 20, 7, 0.5, "val"),
        (wide, "", "", 0.5, "val"),
        (noise(4), "", "", 0.5, "train"),
        (noise(5), "", "", 0.5, "test"),
    )
    patches = read_validation(run, None, GEOMETRY)
    assert len(patches) == 3
    np.testing.assert_array_equal(patches[0], fine)
    np.testing.assert_array_equal(patches[1], frame[7:39, 20:52])
    np.testing.assert_array_equal(patches[2], wide[8:40, 8:40])


def test_of_many_patches_some_are_taken_evenly_over_the_whole_list(made_run):
    run = made_run(*((np.full((32, 32), value, np.uint8), "", "", 0.5, "val") for value in range(50)))
    many = Run(run.document, tuple(row for row in run.rows for _ in range(20)))
    patches = read_validation(many, None, GEOMETRY)
    assert len(patches) == 300
    levels, counts = np.unique(patches[:, 0, 0], return_counts=True)
    assert levels.tolist() == list(range(50))
    assert set(counts.tolist()) <= {5, 6, 7}


def test_one_validation_patch_is_enough_to_go_on(made_run):
    patches = read_validation(made_run((noise(1), "", "", 0.5, "val")), None, GEOMETRY)
    assert patches.shape == (1, 32, 32)


def test_a_data_set_that_is_gone_is_asked_for(finished, tmp_path):
    run = read_run(finished.folder)
    with pytest.raises(DataError, match=r"gone: no such folder; wanted: the data set of the run; next: give --calib"):
        read_validation(run, tmp_path / "gone", finished.geometry)


def test_a_patch_that_was_drawn_anew_is_refused(made_run, tmp_path, save_image):
    run = made_run((noise(1), "", "", 0.5, "val"), (noise(2), "", "", 0.5, "val"))
    save_image(tmp_path / "p1.png", noise(3))
    with pytest.raises(DataError, match=r"p1\.png: not the patch that the run was trained with; seen: content"):
        read_validation(run, None, GEOMETRY)


def test_a_patch_that_is_gone_is_named(made_run, tmp_path):
    run = made_run((noise(1), "", "", 0.5, "val"), (noise(2), "", "", 0.5, "val"))
    (tmp_path / "p1.png").unlink()
    with pytest.raises(DataError, match=r"calibration: .*p1\.png.*next: give --calibration DATA"):
        read_validation(run, None, GEOMETRY)


def test_names_that_are_no_utf8_are_found(finished, tmp_path):
    run, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(finished.folder, run)
    shutil.copytree(finished.data, data)
    (data / "Visite").rename(data / os.fsdecode(b"Visit\xe9"))
    split = (run / "split.csv").read_bytes()
    (run / "split.csv").write_bytes(split.replace(b"Visite/", b"Visit\xe9/"))
    patches = read_validation(read_run(run), data, finished.geometry)
    assert len(patches) == 30


def test_a_run_that_names_no_validation_patches_is_refused(made_run):
    run = made_run((noise(1), "", "", 0.5, "train"))
    with pytest.raises(DataError, match=r"no patches to measure on; seen: 1 rows, none in val; .*; next: train again"):
        read_validation(run, None, GEOMETRY)


def test_a_place_that_is_no_number_is_refused(made_run):
    run = made_run((noise(1), 0, 0, 0.5, "val"))
    run.rows[0]["x"] = "left"
    with pytest.raises(DataError, match=r"calibration: .*'left'.*; next: give --calibration DATA"):
        read_validation(run, None, GEOMETRY)


def test_each_part_is_read_by_name_with_the_raters_medians(finished):
    run = read_run(finished.folder)
    held_out = read_part(run, None, finished.geometry, "test", 1000)
    rows = [row for row in run.rows if row["split"] == "test"]
    assert held_out.part == "test"
    assert held_out.medians.tolist() == [int(row["grade"]) for row in rows]
    assert held_out.medians.dtype == np.int64


def test_a_grade_that_is_no_number_is_refused(made_run):
    run = made_run((noise(1), "", "", 0.5, "val"))
    run.rows[0]["grade"] = "mild"
    with pytest.raises(DataError, match=r"split\.csv of the run: no grade; seen: .*'mild'.*; next: train again"):
        read_validation(run, None, GEOMETRY)


# frames


def test_frames_are_the_whole_images_that_belong_to_one_part_alone(made_run):
    shared, own, small = noise(1, 96), noise(2, 80), noise(3, 32)
    run = made_run(
        (shared, 0, 0, 0.5, "test"),
        (own, 10, 10, 0.5, "test"),
        (small, "", "", 0.5, "test"),
    )
    run.rows[0]["split"] = "train"
    [frame] = read_frames(run, None, GEOMETRY, "test")
    np.testing.assert_array_equal(frame, own)
    other = Run(run.document, (*run.rows, run.rows[1] | {"split": "train"}))
    assert read_frames(other, None, GEOMETRY, "test") == ()


def test_frames_come_at_the_models_scale_and_not_without_end(made_run):
    run = made_run(*((np.kron(noise(seed, 64), np.ones((2, 2), np.uint8)), 0, 0, 0.25, "test") for seed in range(6)))
    frames = read_frames(run, None, GEOMETRY, "test")
    assert len(frames) == MOST_FRAMES
    assert {frame.shape for frame in frames} == {(64, 64)}


def test_frames_come_from_all_over_a_list_that_is_sorted_by_grade(made_run):
    run = made_run(*((np.full((64, 64), place, np.uint8), "", "", 0.5, "test") for place in range(9)))
    levels = [int(frame[0, 0]) for frame in read_frames(run, None, GEOMETRY, "test")]
    assert len(levels) == MOST_FRAMES
    assert (levels[0], levels[-1]) == (0, 8)
    assert levels == sorted(set(levels))


def test_a_data_set_of_patches_has_no_frames(finished):
    assert read_part(read_run(finished.folder), None, finished.geometry, "train", 300).frames == ()
    assert len(read_part(read_run(finished.folder), None, finished.geometry, "test", 300).frames) == MOST_FRAMES


def test_a_frame_that_was_drawn_anew_is_refused(made_run, tmp_path, save_image):
    frame = noise(1, 96)
    run = made_run((noise(2, 32), "", "", 0.5, "test"), (frame, 0, 0, 0.5, "test"))
    # beyond the patch that was scored in it
    frame[90, 90] ^= 1
    save_image(tmp_path / "p1.png", frame)
    with pytest.raises(DataError, match=r"p1\.png: not the patch that the run was trained with"):
        read_frames(run, None, GEOMETRY, "test")


def test_a_frame_that_is_gone_is_named(made_run, tmp_path):
    run = made_run((noise(1, 96), 0, 0, 0.5, "test"))
    (tmp_path / "p0.png").unlink()
    with pytest.raises(DataError, match=r"calibration: .*p0\.png"):
        read_frames(run, None, GEOMETRY, "test")


@given(count=st.integers(1, 40), wanted=st.integers(1, 400))
def test_few_patches_are_shown_in_as_many_orientations_as_it_takes(count, wanted):
    patches = np.random.default_rng(count).integers(0, 256, (count, 5, 5), np.uint8)
    shown = in_orientations(patches, wanted)
    assert len(shown) == max(count, min(wanted, 8 * count))
    np.testing.assert_array_equal(shown[:count], patches)
    for place in range(len(shown)):
        original = patches[place % count]
        orientations = [np.rot90(image, turn) for image in (original, original[:, ::-1]) for turn in range(4)]
        np.testing.assert_array_equal(shown[place], orientations[place // count])
