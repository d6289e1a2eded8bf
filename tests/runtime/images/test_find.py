import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.errors import InflamapError
from runtime.images import find_images, looks_like_image

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs names, links or rights that Windows has not")
PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0"


def touch(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_the_folders_of_a_vivascope_are_walked_in_order(tmp_path: Path) -> None:
    names = [
        "case 1/patient/site/Confocal Images/v0000000.bmp",
        "case 1/patient/site/VivaBlock #1/v0000001.BMP",
        "case 1/patient/site/VivaStack #1/v0000000.Tif",
        "case 1/überweisung/a.jpeg",
        "b.png",
        "c.jpg",
        "d.tiff",
    ]
    for name in reversed(names):
        touch(tmp_path / name)
    touch(tmp_path / "case 1/notes.txt", b"BMW")
    touch(tmp_path / "case 1/movie.avi", b"RIFF")
    assert list(find_images(tmp_path)) == sorted(tmp_path / name for name in names)


def test_results_of_ours_are_no_images(tmp_path: Path) -> None:
    for name in ("a.bmp", "a.bmp.overlay.jpg", "a.bmp.overlay.png", "A.BMP.MAP.OME.TIF", "site/r/b.bmp", "site/c.bmp"):
        touch(tmp_path / name, PNG_HEAD)
    touch(tmp_path / "a.bmp.overlay.jpg.tmp-0123abcd", PNG_HEAD)
    touch(tmp_path / "site" / "r" / "inflamap.lock")
    told: list[Path] = []
    assert list(find_images(tmp_path, on_results=told.append)) == [tmp_path / "a.bmp", tmp_path / "site" / "c.bmp"]
    assert told == [tmp_path / "site" / "r"]
    assert not looks_like_image(tmp_path / "a.bmp.overlay.png")
    with pytest.raises(InflamapError, match="holds results of inflamap and no images"):
        list(find_images(tmp_path / "site" / "r"))


def test_a_file_without_a_suffix_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    image = touch(tmp_path / "IM0001", PNG_HEAD)
    touch(tmp_path / "README", b"hello")
    touch(tmp_path / "EMPTY")
    assert list(find_images(tmp_path)) == [image]
    assert looks_like_image(image)


def test_a_dicom_file_needs_no_suffix_and_its_table_of_contents_is_none(tmp_path: Path) -> None:
    for name in ("I0000001", "DICOMDIR", "dicomdir"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM" + bytes(40))
    assert [path.name for path in find_images(tmp_path)] == ["I0000001"]


@pytest.mark.parametrize("name", ["a.bmp.part", "a.bmp.tmp", "a.png.FILEPART", "a.crdownload"])
def test_what_a_copy_tool_has_not_finished_is_left_to_its_own_name(tmp_path: Path, name: str) -> None:
    touch(tmp_path / name, PNG_HEAD)
    assert list(find_images(tmp_path)) == []


def test_folders_and_missing_files_named_like_images_are_none(tmp_path: Path) -> None:
    (tmp_path / "folder.bmp").mkdir()
    assert list(find_images(tmp_path)) == []
    assert not looks_like_image(tmp_path / "folder.bmp")
    assert not looks_like_image(tmp_path / "gone.bmp")


@posix
def test_a_name_that_is_no_utf8_is_found(tmp_path: Path) -> None:
    name = b"peau\xe9#1 .bmp"
    with open(os.fsencode(tmp_path) + b"/" + name, "wb"):  # noqa: PTH123 - bytes on purpose
        pass
    (found,) = find_images(tmp_path)
    assert os.fsencode(found.name) == name
    assert looks_like_image(found)


@posix
def test_links_to_folders_are_not_followed_but_links_to_files_are(tmp_path: Path) -> None:
    image = touch(tmp_path / "a/x.bmp")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "a/y.bmp").symlink_to(image)
    (tmp_path / "a/broken.bmp").symlink_to(tmp_path / "gone.bmp")
    (tmp_path / "a/itself.bmp").symlink_to(tmp_path / "a/itself.bmp")
    assert list(find_images(tmp_path)) == [image, tmp_path / "a/y.bmp"]


@posix
@pytest.mark.timeout(10)
def test_a_pipe_named_like_an_image_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.bmp")
    os.mkfifo(tmp_path / "pipe")
    assert list(find_images(tmp_path)) == []


def test_an_unreadable_sub_folder_is_told_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # rights do not bind root, so the refusal is played
    shut = touch(tmp_path / "b/x.bmp").parent
    images = [touch(tmp_path / "a/x.bmp"), touch(tmp_path / "c/x.bmp")]
    scandir = os.scandir

    def refusing(folder: Path) -> Iterator[os.DirEntry[str]]:
        if folder == shut:
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr("runtime.images.find.os.scandir", refusing)
    told: list[OSError] = []
    assert list(find_images(tmp_path, on_error=told.append)) == images
    assert [error.filename for error in told] == [str(shut)]
    assert list(find_images(tmp_path)) == images


def test_a_folder_that_is_missing_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(InflamapError, match="cannot be listed"):
        list(find_images(tmp_path / "unplugged"))
    with pytest.raises(InflamapError, match="cannot be listed"):
        list(find_images(touch(tmp_path / "a.bmp")))
