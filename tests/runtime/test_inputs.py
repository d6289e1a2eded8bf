"""What the user names becomes images with result names that mirror it."""

import os
from collections.abc import Callable
from pathlib import Path, PurePath

import numpy as np
import pytest

from runtime.errors import InflamapError
from runtime.inputs import gather_inputs

GREY = np.zeros((2, 2), np.uint8)


def test_folders_are_mirrored_and_files_keep_their_name(tmp_path: Path, save_image: Callable[..., str]) -> None:
    for name in ("in/site #1/a.png", "in/b.png", "alone.png"):
        save_image(tmp_path / name, GREY)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    inputs = gather_inputs([tmp_path / "in", tmp_path / "alone.png"])
    assert {image.relative for image in inputs.images} == {
        PurePath("site #1/a.png"),
        PurePath("b.png"),
        PurePath("alone.png"),
    }
    assert inputs.faults == ()


def test_missing_path_and_empty_folder_are_told_and_the_others_kept(
    tmp_path: Path, save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "a.png", GREY)
    (tmp_path / "empty").mkdir()
    inputs = gather_inputs([tmp_path / "gone", tmp_path / "a.png", tmp_path / "empty"])
    assert [image.path.name for image in inputs.images] == ["a.png"]
    assert [path.name for path, _fault in inputs.faults] == ["gone", "empty"]
    assert "no such file" in str(inputs.faults[0][1])
    assert "no images" in str(inputs.faults[1][1])


def test_two_images_with_one_result_are_refused(tmp_path: Path, save_image: Callable[..., str]) -> None:
    for name in ("monday/v1.png", "tuesday/v1.png"):
        save_image(tmp_path / name, GREY)
    with pytest.raises(InflamapError, match=r"same result v1\.png.*score the folder that holds both"):
        gather_inputs([tmp_path / "monday" / "v1.png", tmp_path / "tuesday" / "v1.png"])


def test_an_image_named_twice_is_scored_once(tmp_path: Path, save_image: Callable[..., str]) -> None:
    save_image(tmp_path / "in" / "v1.png", GREY)
    assert len(gather_inputs([tmp_path / "in", tmp_path / "in" / "v1.png"]).images) == 1


def test_subfolder_that_cannot_be_listed_and_impossible_names_are_told(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(tmp_path / "in" / "a.png", GREY)
    (tmp_path / "in" / "locked").mkdir()
    scan = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    inputs = gather_inputs([tmp_path / ("x" * 300), tmp_path / "in"])
    assert [image.path.name for image in inputs.images] == ["a.png"]
    said = [str(fault) for _path, fault in inputs.faults]
    assert "File name too long" in said[0]
    assert "locked: this folder cannot be listed; seen: Permission denied" in said[1]
