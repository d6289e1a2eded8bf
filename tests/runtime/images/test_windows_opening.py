"""What is asked of Windows and done with its answers; Windows itself is played."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime.images.windows_opening import (
    GENERIC_READ,
    SHARE_DELETE,
    SHARE_READ,
    SHARE_WRITE,
    SHARING_VIOLATION,
    is_held,
    open_descriptor,
)
from runtime.place import PlaceForbids

FILE_NOT_FOUND, ACCESS_DENIED, NETNAME_DELETED = 2, 5, 64


@dataclass
class PlayedWindows:
    """Opens everything, or nothing for the reason `code`."""

    code: int = 0
    no_descriptor: bool = False
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    descriptors: dict[int, int] = field(default_factory=dict)
    places: dict[str, str | None] = field(default_factory=dict)
    """Where a path really lies when it is opened; of others it is not told."""
    opened: list[str] = field(default_factory=list)

    def create_file(self, path: str, access: int, share: int, flags: int) -> int | None:
        assert flags
        self.asked.append((path, access, share))
        if self.code:
            return None
        self.opened.append(path)
        # 0 is a handle like any other
        handle = len(self.opened) - 1
        self.open.add(handle)
        return handle

    def final_path(self, handle: int) -> str | None:
        assert handle in self.open
        return self.places.get(self.opened[handle])

    def last_error(self) -> int:
        return self.code

    def error(self, code: int) -> OSError:
        kind = {FILE_NOT_FOUND: FileNotFoundError, ACCESS_DENIED: PermissionError, SHARING_VIOLATION: PermissionError}
        return kind.get(code, OSError)(22, f"code {code}")

    def close_handle(self, handle: int) -> None:
        self.open.remove(handle)

    def descriptor(self, handle: int) -> int:
        if self.no_descriptor:
            raise OSError(24, "Too many open files")
        self.descriptors[7] = handle
        return 7


def test_a_file_is_opened_so_that_others_may_read_write_rename_and_delete_it() -> None:
    windows = PlayedWindows()
    assert open_descriptor(Path("a.bmp"), windows) == 7
    assert windows.asked == [("a.bmp", GENERIC_READ, SHARE_READ | SHARE_WRITE | SHARE_DELETE)]
    assert windows.descriptors == {7: 0}
    assert windows.open == {0}, "closed with the descriptor that owns it"


@pytest.mark.parametrize(
    ("code", "kind"),
    [(FILE_NOT_FOUND, FileNotFoundError), (SHARING_VIOLATION, PermissionError), (NETNAME_DELETED, OSError)],
)
def test_a_refusal_is_the_error_that_open_would_raise(code: int, kind: type[OSError]) -> None:
    with pytest.raises(kind, match=f"code {code}") as caught:
        open_descriptor(Path("a.bmp"), PlayedWindows(code))
    assert caught.value.filename == "a.bmp"


def test_a_handle_that_gets_no_descriptor_is_given_back() -> None:
    windows = PlayedWindows(no_descriptor=True)
    with pytest.raises(OSError, match="Too many open files"):
        open_descriptor(Path("a.bmp"), windows)
    assert windows.open == set()


def test_a_file_is_held_when_it_cannot_be_opened_with_others_kept_from_writing() -> None:
    windows = PlayedWindows(SHARING_VIOLATION)
    assert is_held(Path("a.bmp"), windows)
    assert windows.asked == [("a.bmp", GENERIC_READ, SHARE_READ | SHARE_DELETE)], "renaming it is never in the way"


def test_a_file_that_nobody_holds_is_let_go_at_once() -> None:
    windows = PlayedWindows()
    assert not is_held(Path("a.bmp"), windows)
    assert windows.open == set()


@pytest.mark.parametrize("code", [FILE_NOT_FOUND, ACCESS_DENIED, NETNAME_DELETED])
def test_any_other_refusal_says_nothing_of_a_writer(code: int) -> None:
    assert not is_held(Path("a.bmp"), PlayedWindows(code))


FOLDER, IMAGE = Path("scans"), Path("scans", "site", "v.bmp")


def lying(image: str | None, folder: str | None = r"\\?\D:\scans") -> PlayedWindows:
    return PlayedWindows(places={str(FOLDER): folder, str(IMAGE): image})


@pytest.mark.parametrize(
    "place", [r"\\?\D:\scans\site\v.bmp", r"\\?\D:\scans\elsewhere inside\v.bmp", r"\\?\d:\SCANS\v.bmp"]
)
def test_a_file_that_really_lies_inside_is_opened(place: str) -> None:
    windows = lying(place)
    assert open_descriptor(IMAGE, windows, inside=FOLDER) == 7
    assert not is_held(IMAGE, windows, inside=FOLDER)
    assert windows.open == {0}, "closed with the descriptor that owns it"


@pytest.mark.parametrize(
    "place",
    [
        r"\\?\D:\outside\v.bmp",
        r"\\?\D:\scans2\v.bmp",
        r"\\?\C:\scans\site\v.bmp",
        r"\\?\UNC\server\scans\v.bmp",
        r"\\?\D:",
    ],
)
def test_a_file_that_really_lies_outside_is_refused_and_closed(place: str) -> None:
    windows = lying(place)
    with pytest.raises(PlaceForbids, match="leads out of the watched folder"):
        open_descriptor(IMAGE, windows, inside=FOLDER)
    with pytest.raises(PlaceForbids):
        is_held(IMAGE, windows, inside=FOLDER)
    assert windows.open == set()
    assert windows.descriptors == {}
    # nobody is kept from writing to a file outside
    assert all(share & SHARE_WRITE for _path, _access, share in windows.asked)


def test_a_mapped_drive_is_taken_for_the_share_that_it_is() -> None:
    windows = lying(r"\\?\UNC\server\scans\site\v.bmp", r"\\?\UNC\server\scans")
    assert open_descriptor(IMAGE, windows, inside=FOLDER) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("told", ["neither", "the folder alone"])
def test_on_a_drive_that_does_not_tell_a_path_without_links_is_opened(tmp_path: Path, told: str) -> None:
    (tmp_path / "scans" / "site").mkdir(parents=True)
    (tmp_path / "scans" / "site" / "v.bmp").touch()
    (tmp_path / "scans" / "out").symlink_to(tmp_path)
    (tmp_path / "scans" / "out.bmp").symlink_to(tmp_path / "scans" / "site" / "v.bmp")
    folder = tmp_path / "scans"
    windows = PlayedWindows(places={str(folder): None if told == "neither" else str(folder)})
    assert open_descriptor(folder / "site" / "v.bmp", windows, inside=folder) == 7
    for linked in ("out.bmp", "out/scans/site/v.bmp"):
        with pytest.raises(PlaceForbids):
            open_descriptor(folder / linked, windows, inside=folder)


def test_a_folder_that_cannot_be_opened_is_the_error_that_open_would_raise() -> None:
    class Gone(PlayedWindows):
        def create_file(self, path: str, access: int, share: int, flags: int) -> int | None:
            self.code = FILE_NOT_FOUND if path == str(FOLDER) else 0
            return super().create_file(path, access, share, flags)

    windows = Gone()
    with pytest.raises(FileNotFoundError):
        open_descriptor(IMAGE, windows, inside=FOLDER)
    assert windows.open == set()
