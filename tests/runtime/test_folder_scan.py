"""The walk finds what is named as an image or begins as one, a little at a time, and says what it cannot see."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import folder_scan
from runtime.errors import InflamapError
from runtime.file_state import FileState
from runtime.folder_scan import VERDICT_S, Found, NotImages, OutputFolders, Slices, scan
from runtime.outputs import OUTPUT_MARKS

GREY = np.zeros((4, 4), np.uint8)


def found_in(
    folder: Path, *, below: str = "", not_images: NotImages | None = None, warned: list[str] | None = None
) -> list[Found]:
    def warn(_path: Path, fault: InflamapError) -> None:
        assert warned is not None, fault
        warned.append(str(fault))

    walk = scan(str(folder), below=below, not_images=not_images or NotImages(), warn=warn)
    return sorted(each for each in walk if each is not None)


def test_images_are_found_at_any_depth_with_their_state(tmp_path: Path, save_image: Callable[..., str]) -> None:
    for name in ("a.bmp", "VivaStack #1/v0000001.BMP", "deep/er/näch ster.png"):
        save_image(tmp_path / name.lower(), GREY)
    (tmp_path / "vivastack #1" / "v0000001.bmp").rename(tmp_path / "vivastack #1" / "v0000001.BMP")
    (tmp_path / "without suffix").write_bytes((tmp_path / "a.bmp").read_bytes())
    (tmp_path / "notes.txt").write_text("no image, of some length")
    (tmp_path / "copy.bmp.part").write_bytes(b"BM")
    found = found_in(tmp_path)
    wanted = ["a.bmp", "deep/er/näch ster.png", "vivastack #1/v0000001.BMP", "without suffix"]
    assert [Path(each.path).as_posix() for each in found] == wanted
    assert all(each.state == FileState.of(tmp_path / each.path) for each in found)
    assert [Path(each.path).as_posix() for each in found_in(tmp_path, below="deep")] == ["deep/er/näch ster.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are made otherwise there")
def test_what_is_named_as_an_image_and_is_none_is_found_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.bmp")
    (tmp_path / "nowhere.bmp").symlink_to(tmp_path / "gone")
    (tmp_path / "circle.bmp").symlink_to(tmp_path / "circle.bmp")
    (tmp_path / "folder.bmp").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert [each.path for each in found_in(tmp_path)] == ["circle.bmp", "nowhere.bmp", "pipe.bmp"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_link_to_a_folder_is_said_and_not_followed(tmp_path: Path, save_image: Callable[..., str]) -> None:
    save_image(tmp_path / "in" / "a.bmp", GREY)
    save_image(tmp_path / "elsewhere" / "b.bmp", GREY)
    (tmp_path / "in" / "back").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "out").symlink_to(tmp_path / "elsewhere")
    warned: list[str] = []
    assert [each.path for each in found_in(tmp_path / "in", warned=warned)] == ["a.bmp"]
    assert len(warned) == 2
    assert all("a link to a folder, which is not followed" in line for line in warned)


@pytest.mark.parametrize("mark", sorted(OUTPUT_MARKS))
def test_folder_of_results_is_said_and_left_out_with_all_below(
    tmp_path: Path, save_image: Callable[..., str], mark: str
) -> None:
    for name in ("a.bmp", "site/results/b.bmp", "site/results/deep/er/c.bmp", "site/d.bmp"):
        save_image(tmp_path / name, GREY)
    (tmp_path / "site" / "results" / mark).touch()
    warned: list[str] = []
    assert [Path(each.path).as_posix() for each in found_in(tmp_path, warned=warned)] == ["a.bmp", "site/d.bmp"]
    assert len(warned) == 1
    assert warned[0].startswith(f"{tmp_path / 'site' / 'results'}: a folder with results of inflamap")
    assert found_in(tmp_path, below=os.path.join("site", "results"), warned=warned) == []  # noqa: PTH118
    with pytest.raises(InflamapError, match="this folder holds results of inflamap and no images"):
        found_in(tmp_path / "site" / "results")


def test_what_is_named_as_a_result_is_none_and_is_not_opened(tmp_path: Path, save_image: Callable[..., str]) -> None:
    for name in ("a.bmp", "b.overlay.jpg", "B.OVERLAY.JPG", "c.overlay.png"):
        save_image(tmp_path / name.lower(), GREY)
    image = (tmp_path / "a.bmp").read_bytes()
    for name in ("a.bmp.map.ome.tif", "a.bmp.score.json", "a.bmp.overlay.j.tmp-0123abcd"):
        (tmp_path / name).write_bytes(image)
    assert [each.path for each in found_in(tmp_path)] == ["a.bmp"]


def test_walk_over_many_results_can_be_left_at_any_time(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number}.bmp.overlay.jpg").touch()
    walk = scan(str(tmp_path), not_images=NotImages(), warn=lambda *_: None)
    assert len(list(walk)) > 10


def test_folders_of_results_are_remembered_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, clock, lexists = list[str](), [0.0], os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: asked.append(path) or lexists(path))
    (tmp_path / "a" / "b").mkdir(parents=True)
    outputs = OutputFolders(str(tmp_path), lambda: clock[0])
    path = os.path.join("a", "b", "v.bmp")  # noqa: PTH118
    for _ in range(100):
        assert not outputs.holds(path)
        assert not outputs.holds("v.bmp")
    assert len(asked) == 2 * len(OUTPUT_MARKS)
    (tmp_path / "a" / "inflamap.lock").touch()
    assert not outputs.holds(path)
    clock[0] += VERDICT_S
    assert outputs.holds(path)
    assert not outputs.holds("a")
    outputs.add(os.path.join("c", "inflamap.db"))  # noqa: PTH118
    assert outputs.holds(os.path.join("c", "d", "v.bmp"))  # noqa: PTH118


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_what_a_link_leads_to_outside_is_not_looked_into(tmp_path: Path, save_image: Callable[..., str]) -> None:
    (tmp_path / "in").mkdir()
    save_image(tmp_path / "secret.png", GREY)
    (tmp_path / "in" / "unnamed").symlink_to(tmp_path / "secret.png")
    # what is named as an image is listed with its reason when it is read
    (tmp_path / "in" / "named.png").symlink_to(tmp_path / "secret.png")
    warned: list[str] = []
    assert [each.path for each in found_in(tmp_path / "in", warned=warned)] == ["named.png"]
    assert len(warned) == 1
    assert warned[0].startswith(f"{tmp_path / 'in' / 'unnamed'}: a link that leads out of the watched folder")


def test_file_that_is_no_image_is_opened_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def look(path: Path, **_inside: Path) -> bool:
        opened.append(path)
        return False

    monkeypatch.setattr(folder_scan, "begins_as_image", look)
    (tmp_path / "notes.txt").write_text("no image")
    not_images = NotImages()
    for _ in range(3):
        assert found_in(tmp_path, not_images=not_images) == []
    assert len(opened) == 1
    (tmp_path / "notes.txt").write_text("no image either")
    assert found_in(tmp_path, not_images=not_images) == []
    assert len(opened) == 2


def test_what_is_remembered_of_other_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_scan, "MOST_REMEMBERED", 3)
    monkeypatch.setattr(folder_scan, "begins_as_image", lambda _path, **_inside: False)
    not_images = NotImages()
    for number in range(10):
        assert not not_images.takes(str(tmp_path / f"{number}.txt"), FileState(1, number), tmp_path)
        assert len(not_images._seen) <= 3


def test_folder_that_cannot_be_listed_is_an_error_and_a_sub_folder_is_said(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(tmp_path / "open" / "a.png", GREY)
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path in (str(tmp_path / "locked"), str(tmp_path / "gone")):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    warned: list[str] = []
    assert [Path(each.path).as_posix() for each in found_in(tmp_path, warned=warned)] == ["open/a.png"]
    assert len(warned) == 1
    assert "locked: this folder cannot be listed; seen: Permission denied" in warned[0]
    with pytest.raises(InflamapError, match=r"gone: the folder cannot be listed; seen: Permission denied"):
        found_in(tmp_path / "gone")


def test_walk_stops_when_its_time_is_over_and_goes_on_where_it_was(
    tmp_path: Path, save_image: Callable[..., str]
) -> None:
    for number in range(10):
        save_image(tmp_path / f"site {number}" / f"{number}.png", GREY)
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    slices = Slices(scan(str(tmp_path), not_images=NotImages(), warn=pytest.fail), clock)
    found, rounds = [], 0
    while not slices.done:
        part = slices.go_on(4.0, most=100)
        assert len(part) <= 5
        found += part
        rounds += 1
    assert sorted(Path(each.path).name for each in found) == [f"{number}.png" for number in range(10)]
    assert rounds >= 2
    assert slices.spent_s > 4.0


def test_walk_gives_no_more_than_it_was_asked_for(tmp_path: Path, save_image: Callable[..., str]) -> None:
    for number in range(10):
        save_image(tmp_path / f"{number}.png", GREY)
    slices = Slices(scan(str(tmp_path), not_images=NotImages(), warn=pytest.fail))
    sizes = []
    while not slices.done:
        sizes.append(len(slices.go_on(60.0, most=4)))
    assert sizes == [4, 4, 2]


def test_walk_that_failed_has_ended(tmp_path: Path) -> None:
    slices = Slices(scan(str(tmp_path / "gone"), not_images=NotImages(), warn=pytest.fail))
    with pytest.raises(InflamapError, match="cannot be listed"):
        slices.go_on(60.0, most=4)
    assert slices.done


def test_file_that_could_not_be_read_is_looked_into_again_and_said(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_image(tmp_path / "a.png", GREY)
    (tmp_path / "a.png").rename(tmp_path / "scan 1")
    look = folder_scan.begins_as_image

    def refuse(_path: Path, **_inside: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    not_images, warned = NotImages(), list[str]()
    with monkeypatch.context() as patched:
        patched.setattr(folder_scan, "begins_as_image", refuse)
        assert found_in(tmp_path, not_images=not_images, warned=warned) == []
    assert len(warned) == 1
    assert "scan 1: this file cannot be looked at; seen: Permission denied" in warned[0]
    assert look is folder_scan.begins_as_image
    assert [each.path for each in found_in(tmp_path, not_images=not_images)] == ["scan 1"]


class Entry:
    """What a share without kinds of entries in its listings gives: every question asks the server."""

    def __init__(self, entry: "os.DirEntry[str]") -> None:
        self.path, self._entry = entry.path, entry

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        if "lost" in self.path:
            raise OSError(5, "Input/output error", self.path)
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def __getattr__(self, name: str) -> object:
        return getattr(self._entry, name)


def test_entry_that_the_server_does_not_tell_of_is_said_and_the_others_found(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "lost.png", "z.png"):
        save_image(tmp_path / name, GREY)
    scandir, stat = os.scandir, Path.stat

    def refuse(self: Path, **keywords: Any) -> os.stat_result:
        if "lost" in self.name:
            raise OSError(5, "Input/output error", str(self))
        return stat(self, **keywords)

    monkeypatch.setattr(Path, "stat", refuse)

    @contextmanager
    def scan_a_share(path: str) -> Iterator[list[Entry]]:
        with scandir(path) as entries:
            yield [Entry(entry) for entry in entries]

    monkeypatch.setattr("os.scandir", scan_a_share)
    warned: list[str] = []
    assert [each.path for each in found_in(tmp_path, warned=warned)] == ["a.png", "z.png"]
    assert len(warned) == 1
    assert "lost.png: this file cannot be looked at; seen: Input/output error" in warned[0]


@pytest.mark.skipif(sys.platform == "win32", reason="rights are others there")
def test_folder_that_may_be_listed_and_not_entered_is_said_once(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        save_image(tmp_path / "half open" / name, GREY)
    scandir, access = os.scandir, os.access

    class Closed(Entry):
        def stat(self) -> os.stat_result:
            raise PermissionError(13, "Permission denied", self.path)

    @contextmanager
    def scan_closed(path: str) -> Iterator[list[object]]:
        with scandir(path) as entries:
            yield [Closed(entry) if "half open" in path else entry for entry in entries]

    monkeypatch.setattr("os.scandir", scan_closed)
    monkeypatch.setattr("os.access", lambda path, mode: "half open" not in str(path) and access(path, mode))
    warned: list[str] = []
    assert found_in(tmp_path, warned=warned) == []
    assert len(set(warned)) == 1
    assert "half open: this folder cannot be listed; seen: Permission denied" in warned[0]


def test_file_that_goes_while_it_is_looked_at_is_no_fault(
    tmp_path: Path, save_image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # as on Windows, where each file is asked for after the listing
    monkeypatch.setattr(folder_scan, "_LIST_IS_STALE", True)
    for name in ("a.png", "b.png"):
        save_image(tmp_path / name, GREY)
    scandir = os.scandir

    @contextmanager
    def scan_and_rename(path: str) -> Iterator[list[object]]:
        with scandir(path) as entries:
            found = list(entries)
        (tmp_path / "b.png").rename(tmp_path / "renamed.png")
        yield found  # type: ignore[misc]

    monkeypatch.setattr("os.scandir", scan_and_rename)
    assert [each.path for each in found_in(tmp_path)] == ["a.png"]
