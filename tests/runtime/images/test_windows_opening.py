"""What is asked of Windows and done with its answers; Windows itself is played."""

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

FILE_NOT_FOUND, ACCESS_DENIED, NETNAME_DELETED = 2, 5, 64


@dataclass
class PlayedWindows:
    """Opens everything, or nothing for the reason `code`."""

    code: int = 0
    no_descriptor: bool = False
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    descriptors: dict[int, int] = field(default_factory=dict)

    def create_file(self, path: str, access: int, share: int, flags: int) -> int | None:
        assert flags
        self.asked.append((path, access, share))
        if self.code:
            return None
        # 0 is a handle like any other
        self.open.add(0)
        return 0

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
