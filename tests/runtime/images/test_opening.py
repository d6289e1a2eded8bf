import errno
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import NeverAnImage
from runtime.images import looks_like_image
from runtime.images.limits import MAX_FILE_BYTES
from runtime.images.opening import is_being_written, read_shared

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes, devices and flock are other things there")
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which files are open")
Save = Callable[..., Path]


@pytest.fixture
def swapped_in(save: Save, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """The path of a file that is another one by the time it is opened."""
    image = save(b"BM", "image")

    def swap(other: Path) -> Path:
        found = os.stat(image)  # noqa: PTH116 - the one below is replaced
        monkeypatch.setattr(Path, "stat", lambda path: found if path == other else os.stat(path))  # noqa: PTH116
        return other

    return swap


def open_files() -> set[str]:
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - Path.stat is replaced
        with suppress(OSError):  # that of the listing itself
            found.add(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
    return found


def test_a_file_is_read_whole_or_as_far_as_asked(save: Save) -> None:
    data = bytes(range(256)) * 1000
    path = save(data)
    assert read_shared(path) == data
    assert read_shared(path, at_most=18) == data[:18]
    assert read_shared(save(b"", "empty")) == b""


def test_errors_are_those_of_open(tmp_path: Path, save: Save) -> None:
    gone = tmp_path / "gone.bmp"
    with pytest.raises(FileNotFoundError) as caught:
        read_shared(gone)
    assert (caught.value.errno, str(caught.value.filename)) == (errno.ENOENT, str(gone))
    with pytest.raises(NotADirectoryError):
        read_shared(save(b"x") / "below.bmp")
    with pytest.raises(ValueError, match="null byte"):
        read_shared(tmp_path / "nul\0.bmp")


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(NeverAnImage, match="this is a folder"):
        read_shared(tmp_path)


def test_of_a_file_beyond_4_gib_only_the_beginning_is_read(save: Save) -> None:
    path = save(b"BM")
    with path.open("r+b") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(NeverAnImage, match="too large; seen: 4294967297 bytes"):
        read_shared(path)
    assert read_shared(path, at_most=2) == b"BM"


def test_a_file_that_grows_while_it_is_read_is_cut_where_it_ended(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path, fstat = save(b"begun"), os.fstat

    def grow(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        with path.open("ab") as file:
            file.write(b" and gone on")
        return found

    monkeypatch.setattr("runtime.images.opening.os.fstat", grow)
    assert read_shared(path) == b"begun"


def test_a_size_that_does_not_fit_is_said(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("runtime.images.opening._let_wait", too_much)
    with pytest.raises(MemoryError, match="5 bytes"):
        read_shared(save(b"large"))


@linux
def test_nothing_stays_open_whatever_happens(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(b"x")
    read_shared(path)
    is_being_written(path)
    monkeypatch.setattr("runtime.images.opening.MAX_FILE_BYTES", 0)
    monkeypatch.setattr(Path, "stat", lambda _: os.stat("/proc/self/status"))  # noqa: PTH116
    with pytest.raises(NeverAnImage):
        read_shared(path)
    assert str(path) not in open_files()


@posix
@pytest.mark.timeout(10)
def test_a_pipe_that_took_the_name_is_not_waited_for(tmp_path: Path, swapped_in: Callable[[Path], Path]) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = swapped_in(tmp_path / "pipe")
    for at_most in (None, 18):
        with pytest.raises(NeverAnImage, match="no regular file"):
            read_shared(path, at_most=at_most)
    assert not is_being_written(path)


@posix
@pytest.mark.timeout(10)
def test_a_device_that_took_the_name_is_not_read_for_ever(swapped_in: Callable[[Path], Path]) -> None:
    path = swapped_in(Path("/dev/zero"))
    with pytest.raises(NeverAnImage, match="no regular file"):
        read_shared(path)
    assert not is_being_written(path)


@posix
@pytest.mark.timeout(10)
def test_a_pipe_is_not_opened_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    opened: list[Path] = []
    monkeypatch.setattr("runtime.images.opening._open", opened.append)
    with pytest.raises(NeverAnImage, match="no regular file"):
        read_shared(tmp_path / "pipe")
    assert not is_being_written(tmp_path / "pipe")
    assert not looks_like_image(tmp_path / "pipe")
    assert opened == []


@posix
def test_waiting_for_bytes_is_for_regular_files_alone(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[tuple[bool, bool]] = []
    set_blocking = os.set_blocking

    def remember(descriptor: int, blocking: bool) -> None:
        modes.append((os.get_blocking(descriptor), blocking))
        set_blocking(descriptor, blocking)

    monkeypatch.setattr("runtime.images.opening.os.set_blocking", remember)
    read_shared(save(b"x"))
    assert modes == [(False, True)], "opened without waiting, read with"


@posix
def test_a_file_that_a_program_has_locked_for_itself_is_being_written(save: Save) -> None:
    import fcntl

    path = save(b"x")
    assert not is_being_written(path)
    with path.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        assert is_being_written(path)
        fcntl.flock(writer, fcntl.LOCK_SH)
        assert not is_being_written(path), "another reader is no writer"
        fcntl.flock(writer, fcntl.LOCK_UN)
        assert not is_being_written(path)


@posix
def test_the_probe_leaves_no_lock_behind(save: Save) -> None:
    import fcntl

    path = save(b"x")
    assert not is_being_written(path)
    with path.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_cannot_be_told_is_not_said(tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_being_written(tmp_path / "gone.bmp")
    assert not is_being_written(tmp_path)
    assert not is_being_written(tmp_path / "nul\0.bmp")

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("runtime.images.opening._is_held", refuse)
    assert not is_being_written(save(b"x"))


@posix
def test_names_that_are_no_utf8_are_opened(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/peau\xe9"))
    path.write_bytes(b"x")
    assert stat.S_ISREG(path.stat().st_mode)
    assert read_shared(path) == b"x"
    assert not is_being_written(path)
