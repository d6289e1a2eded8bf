"""The results' folder: never among the images, swept of what a kill left, and tried before it is trusted."""

import sys
from pathlib import Path

import pytest

from runtime.errors import InflamapError
from runtime.output_folder import check_output_folder, check_source_folder, probe_writing, sweep_temporaries


def written(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def test_the_sweep_removes_our_leftovers_and_nothing_else(tmp_path: Path) -> None:
    kept = {
        "a.tmp",
        "b.tmp-123",
        "c.tmp-0123456z",
        "d.tmp-01234567.bmp",
        ".tmp-01234567",
        "e.score.json",
        "inflamap.db",
    }
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "folder.tmp-01234567").mkdir()
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / "v.bmp.score.json.tmp-0123abcd").touch()
    (tmp_path / "sub" / "v.bmp.overlay.jpg.tmp-deadbeef").touch()
    watched = tmp_path / "absent"
    assert sweep_temporaries(tmp_path, watched) == 2
    assert written(tmp_path) == kept
    assert (tmp_path / "sub" / "folder.tmp-01234567").is_dir()
    assert sweep_temporaries(tmp_path, watched) == 0
    assert sweep_temporaries(tmp_path / "absent", watched) == 0


@pytest.mark.parametrize("mark", ["inflamap.lock", "inflamap.db"])
def test_a_folder_of_results_is_no_folder_of_images(tmp_path: Path, mark: str) -> None:
    check_source_folder(tmp_path)
    check_source_folder(tmp_path / "absent")
    (tmp_path / mark).touch()
    with pytest.raises(InflamapError, match="holds results of inflamap and no images"):
        check_source_folder(tmp_path)


def test_the_watched_folder_is_never_swept_even_below_the_output_folder(tmp_path: Path) -> None:
    (tmp_path / "in" / "site").mkdir(parents=True)
    theirs = tmp_path / "in" / "site" / "keep.tmp-01234567"
    theirs.touch()
    (tmp_path / "v.bmp.score.json.tmp-0123abcd").touch()
    assert sweep_temporaries(tmp_path, tmp_path / "in") == 1
    assert theirs.exists()


def test_results_beside_a_single_image_are_refused_but_not_in_a_folder_there(tmp_path: Path) -> None:
    image = tmp_path / "scans" / "v.bmp"
    image.parent.mkdir()
    image.touch()
    with pytest.raises(InflamapError, match="only read"):
        check_output_folder(tmp_path / "scans", [image])
    check_output_folder(tmp_path / "scans" / "results", [image])
    # what is wrong with an input is not the output folder's fault
    check_output_folder(tmp_path / "out", [tmp_path / ("x" * 300)])


@pytest.mark.parametrize("out", ["scans", "scans/results", "scans/deep/down", "other/../scans/x"])
def test_an_output_folder_among_the_images_is_refused(tmp_path: Path, out: str) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "other").mkdir()
    with pytest.raises(InflamapError, match="only read"):
        check_output_folder(tmp_path / out, [tmp_path / "other", tmp_path / "scans"])
    assert list((tmp_path / "scans").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_into_the_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "scans")
    for out, given_folder in (("link", "scans"), ("link/x", "scans"), ("scans/x", "link")):
        with pytest.raises(InflamapError, match="only read"):
            check_output_folder(tmp_path / out, [tmp_path / given_folder])


def test_other_output_folders_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "v.bmp").touch()
    inputs = [tmp_path / "scans", tmp_path / "scans" / "v.bmp", tmp_path / "absent"]
    for out in ("results", "scans-results", "new/deep"):
        check_output_folder(tmp_path / out, inputs)
    check_output_folder(tmp_path, inputs)
    monkeypatch.chdir(tmp_path)
    check_output_folder(Path("results"), [Path("scans")])
    with pytest.raises(InflamapError, match="only read"):
        check_output_folder(Path("scans/results"), [Path("scans")])
    assert written(tmp_path) == {"scans/v.bmp"}


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_file_is_no_output_folder(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InflamapError, match="is a file"):
        check_output_folder(tmp_path / out, [])


def test_probe_tells_why_nothing_can_be_written_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe_writing(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert probe_writing(tmp_path / "gone") == "No such file or directory"

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert probe_writing(tmp_path) == "No space left on device"
    assert list(tmp_path.iterdir()) == []
