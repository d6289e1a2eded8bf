"""Reading what the experts scored: every way of writing it down, and every fault said at once."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.errors import DataError
from runtime.images.limits import MAX_PIXELS
from runtime.images.signature import FORMATS
from trainer import dataset
from trainer.dataset import ScoredPatches, read_scored_patches
from trainer.grade_scale import GradeScale
from trainer.scores import BELIEVABLE_SCORES

PATCH_PX = 32


def read(folder: Path, um_per_px: float | None = None) -> ScoredPatches:
    return read_scored_patches(folder, patch_px=PATCH_PX, model_um_per_px=0.5, um_per_px=um_per_px)


def noise(seed: int = 0, height: int = PATCH_PX, width: int = PATCH_PX) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


@pytest.fixture
def data_set(tmp_path: Path, save_image, write_csv) -> Callable[..., Path]:
    """Writes scores.csv, and a noise patch for every path that has no image yet."""

    def write(header: str, *rows: Sequence[object], encoding: str = "utf-8") -> Path:
        write_csv(tmp_path / "scores.csv", header, rows, encoding=encoding)
        for number, path in enumerate(dict.fromkeys(str(row[0]) for row in rows)):
            if path and not (tmp_path / path).exists():
                save_image(tmp_path / path, noise(number))
        return tmp_path

    return write


def faults_of(folder: Path) -> tuple[str, ...]:
    """What is said of a data set's faults, one line each."""
    with pytest.raises(DataError, match=r"fault\(s\) in the data set; wanted: none; next: mend") as raised:
        read(folder)
    counted = sum(
        1 + int((re.findall(r"and (\d+) more of this kind", line) or [0])[0]) for line in raised.value.details
    )
    assert str(raised.value).startswith(f"{folder}: {counted} fault(s)")
    return raised.value.details


def refusal_of(folder: Path) -> str:
    """What is said of a folder in which nothing more can be looked for."""
    with pytest.raises(DataError) as raised:
        read(folder)
    return str(raised.value)


# what is read


def test_rows_without_a_rater_are_several_raters(data_set):
    found = read(data_set("path,score", ("a.png", 0), ("a.png", 1), ("a.png", 1), ("b.png", 2)))
    assert [patch.scores for patch in found.patches] == [(0, 1, 1), (2,)]
    assert found.patches[0].raters == ("rater 1", "rater 2", "rater 3")


def test_several_raters_become_shares_and_a_median_with_ties_down(data_set):
    found = read(
        data_set(
            "path,score,rater",
            ("one.png", 4, "anna"),
            ("two.png", 1, "anna"),
            ("three.png", 0, "anna"),
            ("two.png", 2, "bela"),
            ("three.png", 3, "bela"),
            ("three.png", 3, "cleo"),
        )
    )
    assert [patch.path for patch in found.patches] == ["one.png", "two.png", "three.png"]
    assert found.consensus_grades().tolist() == [4, 1, 3]
    np.testing.assert_allclose(
        found.distribution(), [[0, 0, 0, 0, 1], [0, 0.5, 0.5, 0, 0], [1 / 3, 0, 0, 2 / 3, 0]], rtol=1e-6
    )
    assert found.patches[2].raters == ("anna", "bela", "cleo")
    assert found.grades == ("0", "1", "2", "3", "4")


def test_classes_without_an_order_become_a_majority_and_ties_are_counted(data_set):
    folder = data_set(
        "path,score,rater",
        *(("one.png", score, rater) for score, rater in zip((0, 4, 4), "abc", strict=True)),
        *(("two.png", score, rater) for score, rater in zip((0, 4, 2), "abc", strict=True)),
        *(("three.png", score, rater) for score, rater in zip((1, 3), "ab", strict=True)),
    )
    options = {"patch_px": PATCH_PX, "model_um_per_px": 0.5, "um_per_px": 0.5}
    found = read_scored_patches(folder, ordered=False, **options)
    assert not found.ordered
    assert not found.select([1]).ordered
    assert found.consensus_grades().tolist() == [4, 0, 1]
    assert [note for note in found.notes if "majority" in note] == [
        "2 of 3 patches have no majority of their raters: of the classes named most often, the one named first in "
        "scores.csv counts (first: two.png)"
    ]
    steps = read_scored_patches(folder, **options)
    assert steps.ordered
    assert steps.consensus_grades().tolist() == [4, 2, 1]
    assert not any("majority" in note for note in steps.notes)
    np.testing.assert_array_equal(found.distribution(), steps.distribution())
    assert found.content_sha256() == steps.content_sha256()


def test_majorities_everywhere_bring_no_warning(data_set):
    folder = data_set("path,score", ("a.png", 0), ("a.png", 2), ("a.png", 2), ("b.png", 1))
    found = read_scored_patches(folder, patch_px=PATCH_PX, model_um_per_px=0.5, um_per_px=0.5, ordered=False)
    assert not any("majority" in note for note in found.notes)


def test_path_and_score_are_enough(data_set):
    found = read(data_set("path,score", ("a.png", 0), ("b.png", 1)))
    assert [(patch.subject, patch.split, patch.corner) for patch in found.patches] == [
        ("a.png", None, None),
        ("b.png", None, None),
    ]


def test_the_optional_columns_are_taken_over_in_any_order(data_set):
    found = read(
        data_set(
            "path,um_per_px,split,rater,subject,score",
            ("a.png", 0.5, "train", "anna", "s1", 0),
            ("b.png", 0.5, "test", "", "", 1),
        )
    )
    assert [(patch.subject, patch.raters, patch.split) for patch in found.patches] == [
        ("s1", ("anna",), "train"),
        ("b.png", ("",), "test"),
    ]
    assert found.notes == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_spreadsheets_make_of_a_csv_file_is_read(data_set, encoding):
    found = read(data_set("path,score", ("a.png", "3.0"), ("b.png", "1.0"), encoding=encoding))
    assert found.consensus_grades().tolist() == [3, 1]


@pytest.mark.parametrize(("times", "believed"), [(BELIEVABLE_SCORES, True), (BELIEVABLE_SCORES - 1, False)])
def test_grades_above_four_are_believed_when_each_was_given_often(tmp_path, save_image, data_set, times, believed):
    save_image(tmp_path / "frame.png", noise(1, 60, 60))
    rows = [("frame.png", score, 2 * number, score) for score in range(7) for number in range(BELIEVABLE_SCORES)]
    folder = data_set("path,score,x,y", *rows[: len(rows) - BELIEVABLE_SCORES + times])
    if believed:
        assert read(folder).grades == tuple("0123456")
    else:
        wanted = f"wanted 0 to 4 (or {BELIEVABLE_SCORES} scores of every grade up to it)"
        [fault] = faults_of(folder)
        assert f": score 5, {wanted}; and 8 more of this kind (rows " in fault


def test_a_grade_in_the_middle_that_nobody_gave_is_told_and_kept(data_set):
    found = read(data_set("path,score,um_per_px", *((f"{grade}.png", grade, 0.5) for grade in (0, 1, 3))))
    assert found.grades == ("0", "1", "2", "3")
    assert found.notes == ("no score is 2: a grade without patches",)


def test_a_corner_cuts_the_patch_from_a_whole_frame(tmp_path, save_image, data_set):
    frame = noise(3, 90, 120)
    save_image(tmp_path / "frame.png", frame)
    found = read(
        data_set("path,score,x,y", ("frame.png", 0, 17, 40), ("frame.png", 1, 88, 58), ("frame.png", 1, "17.0", 41))
    )
    assert [patch.corner for patch in found.patches] == [(17, 40), (88, 58), (17, 41)]
    np.testing.assert_array_equal(found.pixels[0], frame[40:72, 17:49])
    np.testing.assert_array_equal(found.pixels[1], frame[58:90, 88:120])
    np.testing.assert_array_equal(found.pixels[2], frame[41:73, 17:49])
    assert len(set(found.sha256)) == 3


def test_a_corner_is_meant_in_the_files_own_pixels(tmp_path, save_image, data_set):
    there = noise(4, 60, 80)
    save_image(tmp_path / "fine.png", np.kron(there, np.ones((2, 2), np.uint8)))
    found = read(data_set("path,score,x,y,um_per_px", ("fine.png", 0, 30, 12, 0.25), ("fine.png", 2, 96, 56, 0.25)))
    np.testing.assert_array_equal(found.pixels[0], there[6:38, 15:47])
    np.testing.assert_array_equal(found.pixels[1], there[28:60, 48:80])


def test_patches_are_brought_to_the_models_scale(tmp_path, save_image, data_set):
    there = noise(5, 40, 50)
    save_image(tmp_path / "fine.png", np.kron(there, np.ones((2, 2), np.uint8)))
    save_image(tmp_path / "coarse.png", noise(6, 20, 20))
    found = read(data_set("path,score,um_per_px", ("fine.png", 0, 0.25), ("coarse.png", 1, 1.0)))
    np.testing.assert_array_equal(found.pixels[0], there)
    assert found.pixels[1].shape == (40, 40)
    assert [patch.um_per_px for patch in found.patches] == [0.25, 1.0]


def test_the_scale_comes_from_the_column_then_the_option_then_the_microscope(tmp_path, save_image, data_set):
    save_image(tmp_path / "viva.png", noise(1, 1000, 1000))
    save_image(tmp_path / "other.png", noise(2, 64, 64))
    save_image(tmp_path / "told.png", noise(3, 128, 128))
    folder = data_set("path,score,um_per_px", ("viva.png", 0, ""), ("other.png", 1, ""), ("told.png", 1, 0.25))
    found = read(folder)
    assert [patch.um_per_px for patch in found.patches] == [0.5, 0.5, 0.25]
    assert found.notes == ("1 of 3 patches tell no µm/px: 0.5 assumed (give --um-per-px)",)
    found = read(folder, um_per_px=0.4)
    assert [patch.um_per_px for patch in found.patches] == [0.4, 0.4, 0.25]
    assert [len(pixels) for pixels in found.pixels] == [800, 51, 64]
    assert found.notes == ()


def test_one_folder_a_grade_named_as_one_likes(tmp_path, save_image):
    save_image(tmp_path / "b-mild" / "one.png", noise(1))
    save_image(tmp_path / "b-mild" / "left" / "two.bmp", noise(2))
    save_image(tmp_path / "a-none" / "three.png", noise(3))
    save_image(tmp_path / ".thumbnails" / "one.png", noise(4))
    (tmp_path / "c-severe").mkdir()
    (tmp_path / "notes.txt").write_text("not an image")
    found = read(tmp_path)
    assert found.grades == ("a-none", "b-mild", "c-severe")
    assert {patch.path: patch.grade for patch in found.patches} == {
        "a-none/three.png": 0,
        "b-mild/left/two.bmp": 1,
        "b-mild/one.png": 1,
    }
    assert found.notes[0] == "no images in c-severe: a grade without patches"
    assert "3 of 3 patches tell no µm/px" in found.notes[1]


def test_only_a_phantom_is_synthetic(data_set):
    folder = data_set("path,score", ("a.png", 0), ("b.png", 1))
    assert not read(folder).synthetic
    (folder / "phantom.json").write_text("{}")
    assert read(folder).synthetic


def test_progress_counts_every_patch(tmp_path, save_image, data_set):
    save_image(tmp_path / "frame.png", noise(1, 40, 40))
    rows = [("frame.png", 0, 0, 0), ("a.png", 1, "", ""), ("frame.png", 1, 3, 3)]
    told: list[tuple[str, int, int]] = []
    read_scored_patches(
        data_set("path,score,x,y", *rows),
        patch_px=PATCH_PX,
        model_um_per_px=0.5,
        progress=lambda *step: told.append(step),
    )
    assert told == [("reading patches", 2, 3), ("reading patches", 3, 3)]


# what a patch is known by


def test_a_patch_is_known_by_its_pixels_whatever_its_name_and_format(tmp_path, save_image, data_set):
    other = noise(1)
    other[5, 7] ^= 1
    for path, pixels in (
        ("a.png", noise(1)),
        ("b.bmp", noise(1)),
        ("c/d.png", noise(1)),
        ("other.png", other),
        ("flat.png", np.full((32, 64), 9, np.uint8)),
        ("upright.png", np.full((64, 32), 9, np.uint8)),
    ):
        save_image(tmp_path / path, pixels)
    found = read(
        data_set(
            "path,score,x,y",
            *((path, 0, "", "") for path in ("a.png", "b.bmp", "c/d.png", "other.png", "flat.png")),
            ("upright.png", 1, "", ""),
        )
    )
    assert len(set(found.sha256[:3])) == 1
    assert len(set(found.sha256)) == 4


def test_a_data_set_is_known_by_pixels_and_scores_in_any_order(tmp_path, save_image, data_set):
    for name, seed in (("a", 1), ("b", 2), ("c", 1)):
        save_image(tmp_path / f"{name}.png", noise(seed))
    first = read(data_set("path,score", ("a.png", 0), ("b.png", 1))).content_sha256()
    assert read(data_set("path,score", ("b.png", 1), ("c.png", 0))).content_sha256() == first
    assert read(data_set("path,score", ("a.png", 1), ("b.png", 0))).content_sha256() != first
    save_image(tmp_path / "a.png", noise(3))
    assert read(data_set("path,score", ("a.png", 0), ("b.png", 1))).content_sha256() != first


def test_rows_are_selected_together(data_set):
    found = read(data_set("path,score", ("a.png", 0), ("b.png", 1), ("c.png", 2)))
    some = found.select([2, 0])
    assert [patch.path for patch in some.patches] == ["c.png", "a.png"]
    assert some.sha256 == (found.sha256[2], found.sha256[0])
    assert some.image_sha256 == (found.image_sha256[2], found.image_sha256[0])
    np.testing.assert_array_equal(some.pixels[0], found.pixels[2])
    assert some.grades == found.grades


# images of any kind


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_colour_images_are_read_as_their_luminance_and_counted_once_each(tmp_path, save_image, data_set, suffix):
    colours = np.kron(np.random.default_rng(2).integers(0, 256, (10, 10, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    save_image(tmp_path / f"photograph{suffix}", colours)
    path = f"photograph{suffix}"
    found = read(
        data_set("path,score,x,y,um_per_px", (path, 0, 0, 0, 0.5), (path, 1, 30, 8, 0.5), ("a.png", 1, "", "", 0.5))
    )
    assert found.notes == ("1 of 2 images are in colour: their luminance is used",)
    luminance = cv2.cvtColor(cv2.imdecode(np.fromfile(tmp_path / path, np.uint8), 1), cv2.COLOR_BGR2GRAY)
    np.testing.assert_array_equal(found.pixels[1], luminance[8:40, 30:62])


def test_other_peoples_texture_folders_are_read(tmp_path, save_image):
    """Photographs of many sizes, and grey JPEG files, in folders named after what they show."""
    rng = np.random.default_rng(0)
    sizes = [(200, 200), (200, 197), (64, 48), (120, 300)]
    for number, (height, width) in enumerate(sizes):
        save_image(tmp_path / "woven" / f"{number}.jpg", rng.integers(0, 256, (height, width), np.uint8))
        save_image(tmp_path / "Bark" / "visit" / f"{number}.jpg", rng.integers(0, 256, (height, width, 3), np.uint8))
        save_image(tmp_path / "sponge" / f"{number}.png", rng.integers(0, 256, (height, width), np.uint8))
    save_image(tmp_path / "stray.png", noise())
    found = read(tmp_path, um_per_px=0.5)
    assert found.grades == ("Bark", "sponge", "woven")
    assert found.consensus_grades().tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert [pixels.shape for pixels in found.pixels] == sizes * 3
    assert found.notes == (
        "1 images in none of the grades' sub-folders are left out",
        "4 of 12 images are in colour: their luminance is used",
    )


def test_each_frame_is_read_once_for_all_its_patches_which_stay_in_order(tmp_path, save_image, data_set, monkeypatch):
    frames = [noise(seed, 60, 90) for seed in range(10)]
    for number, frame in enumerate(frames):
        save_image(tmp_path / f"v{number}.png", frame)
    rows = [(f"v{nth % 10}.png", nth % 2, nth // 10 % 58, nth // 40) for nth in range(1000)]
    folder = data_set("path,score,x,y", *rows)
    opened: list[str] = []
    read_source = dataset.read_patch_source

    def count(path: Path, **options: Any) -> Any:
        opened.append(path.name)
        return read_source(path, **options)

    monkeypatch.setattr(dataset, "read_patch_source", count)
    found = read(folder)
    assert sorted(opened) == [f"v{number}.png" for number in range(10)]
    assert [patch.path for patch in found.patches] == [row[0] for row in rows]
    for (_path, _score, x, y), frame, pixels in zip(rows, frames * 100, found.pixels, strict=True):
        np.testing.assert_array_equal(pixels, frame[y : y + 32, x : x + 32])
    # a view would keep its whole frame in memory
    assert all(pixels.base is None for pixels in found.pixels)
    assert len(set(found.sha256)) == 1000
    assert len(set(found.image_sha256)) == 10


def test_numbered_folders_are_ordered_by_number(tmp_path, save_image):
    for number in (0, 2, 9, 10):
        save_image(tmp_path / str(number) / "a.png", noise(number))
    assert read(tmp_path, um_per_px=0.5).grades == ("0", "2", "9", "10")


def test_a_given_scale_orders_the_folders(tmp_path, save_image):
    for number, name in enumerate(("mild", "none", "severe")):
        save_image(tmp_path / name / "a.png", noise(number))

    def read_as(text: str) -> ScoredPatches:
        scale = GradeScale.parse(text)
        return read_scored_patches(tmp_path, patch_px=32, model_um_per_px=0.5, um_per_px=0.5, scale=scale)

    found = read_as("none,mild,moderate,severe")
    assert found.grades == ("none", "mild", "moderate", "severe")
    assert {patch.path: patch.grade for patch in found.patches} == {"none/a.png": 0, "mild/a.png": 1, "severe/a.png": 3}
    assert found.notes == ("no images in moderate: a grade without patches",)
    with pytest.raises(DataError) as raised:
        read_as("none,mild")
    assert raised.value.details == ("sub-folder severe, wanted a grade of none,mild",)


def test_a_scale_is_assumed_only_where_nothing_tells_one(tmp_path, save_image, data_set):
    save_image(tmp_path / "viva.png", noise(1, 1000, 1000))
    save_image(tmp_path / "other.png", noise(2, 64, 64))
    folder = data_set("path,score,um_per_px", ("viva.png", 0, ""), ("other.png", 1, ""))
    found = read_scored_patches(folder, patch_px=32, model_um_per_px=0.5, assumed_um_per_px=0.25)
    assert [patch.um_per_px for patch in found.patches] == [0.5, 0.25]
    assert found.notes == ("1 of 2 patches tell no µm/px: 0.25 assumed (give --um-per-px)",)


# what is refused


def test_every_fault_is_said_at_once_with_row_value_and_what_was_wanted(tmp_path, save_image, data_set):
    save_image(tmp_path / "small.png", noise(1, 20, 40))
    save_image(tmp_path / "frame.png", noise(2, 40, 50))
    (tmp_path / "broken.png").write_bytes(b"no image at all, whatever its name says")
    save_image(tmp_path / "vast.png", noise(3, 64, 64))
    folder = data_set(
        "path,score,rater,um_per_px,split,x,y",
        ("fine.png", 0, "anna", 0.5, "train", "", ""),
        ("missing.png", 1, "anna", 0.5, "train", "", ""),
        ("broken.png", "high", "anna", 0.5, "training", "", ""),
        ("negative.png", -1, "anna", "0,5", "train", "", ""),
        ("nine.png", 9, "anna", 0.5, "train", "", ""),
        ("fine.png", 1, " anna", 0.5, "train", "", ""),
        ("small.png", 1, "anna", 0.5, "train", "", ""),
        ("", 1, "anna", 0.5, "train", "", ""),
        ("frame.png", 1, "anna", 0.5, "train", 50, 3),
        ("frame.png", 1, "anna", 0.5, "train", 10, 9),
        ("frame.png", 1, "anna", 0.5, "train", 3, ""),
        ("part/../fine.png", 1, "anna", 0.5, "train", "", ""),
        ("vast.png", 1, "anna", 5000, "train", "", ""),
    )
    (folder / "missing.png").unlink()
    assert faults_of(folder) == (
        "row 3: no file missing.png",
        "row 4: split 'training', wanted train, val or test",
        "row 4: score 'high', wanted a whole number from 0; and 1 more of this kind (row 5)",
        f"row 4: {folder / 'broken.png'}: not an image that is read; seen: first bytes 6e 6f 20 69 6d 61 67 65; "
        f"wanted: {FORMATS}",
        "row 5: um_per_px '0,5', wanted a positive number",
        "row 6: score 9, wanted 0 to 4 (or 5 scores of every grade up to it)",
        "row 7: fine.png scored twice by rater 'anna', wanted one row a rater",
        f"row 8: {folder / 'small.png'}: patch too small at 0.5 µm/px; seen: 40x20 px; wanted: at least 32x32",
        "row 9: path '', wanted the name of an image file",
        f"row 10: {folder / 'frame.png'}: no patch from x,y 50,3, which lies outside; seen: an image of 50x40 px; "
        "wanted: a pixel of it, counted from 0,0",
        f"row 11: {folder / 'frame.png'}: patch too small at 0.5 µm/px from x,y 10,9; seen: 32x31 px; "
        "wanted: at least 32x32",
        "row 12: y '', wanted a whole number from 0",
        "row 13: path 'part/../fine.png', wanted a path below the data folder, without '..'",
        f"row 14: {folder / 'vast.png'}: the frame would be too large at the model's scale; seen: 64 x 64 px; "
        f"5000.0 µm/px to 0.5; wanted: at most {MAX_PIXELS} px; next: check --um-per-px",
    )


def test_a_long_list_of_faults_of_one_cause_is_one_line(data_set):
    said = faults_of(data_set("path,score", *((f"{number}.png", -1) for number in range(40))))
    assert said == (
        "row 2: score '-1', wanted a whole number from 0; and 39 more of this kind (rows 3, 4, 5, 6, 7, ...)",
    )


@pytest.mark.parametrize("place", ["1", "1/visit"])
def test_a_folder_that_cannot_be_listed_is_a_fault_among_others(tmp_path, save_image, monkeypatch, place):
    refused = tmp_path / place
    for grade in ("0", "1"):
        save_image(tmp_path / grade / "visit" / "a.png", noise(int(grade)))
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder) == refused:
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    (tmp_path / "0" / "broken.png").write_bytes(b"no image at all")
    unlistable, broken = faults_of(tmp_path)
    assert unlistable.startswith(f"{refused}: th")
    assert "cannot be listed; seen: Permission denied" in unlistable
    assert broken.startswith(f"{tmp_path / '0' / 'broken.png'}: not an image that is read")


def test_grades_of_which_none_can_be_listed_are_named(tmp_path, monkeypatch):
    for grade in ("0", "1"):
        (tmp_path / grade).mkdir()

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refuse)
    assert [fault.partition(":")[0] for fault in faults_of(tmp_path)] == [str(tmp_path / "0"), str(tmp_path / "1")]


def test_a_data_set_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    def refuse(_folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert "cannot be listed; seen: Permission denied; next: give this user access to it" in refusal_of(tmp_path)


def test_one_folder_is_no_scale_of_grades(tmp_path, save_image):
    save_image(tmp_path / "patches" / "a.png", noise(1))
    assert faults_of(tmp_path) == ("only 1 grade, wanted at least 2: a sub-folder for each, seen patches",)


@pytest.mark.parametrize("made", ["nothing", "empty", "grades without images", "an unfinished phantom"])
def test_a_folder_without_scores_is_refused(tmp_path, save_image, made):
    folder = tmp_path / "data"
    if made != "nothing":
        folder.mkdir()
    if made == "grades without images":
        (folder / "0").mkdir()
        (folder / "1").mkdir()
    if made == "an unfinished phantom":
        # its folders of patches and frames are no grades
        (folder / "phantom.json").write_text("{}")
        save_image(folder / "patches" / "p00000.png", noise(1))
        save_image(folder / "frames" / "v0000000.bmp", noise(2))
    wanted = {"nothing": "no such folder", "an unfinished phantom": "an unfinished phantom"}
    assert wanted.get(made, "no scored patches") in refusal_of(folder)
