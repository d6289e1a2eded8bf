"""No link leads from the watched folder to a file outside it, whenever it is put there."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from unprivileged import CHECKOUT, as_ordinary_user, place_for_all

from runtime.errors import NeverAnImage
from runtime.images import begins_as_image, file_sha256
from runtime.images.opening import is_being_written, read_shared, sha256_shared
from runtime.place import PlaceForbids, require_inside

# a whole file head, so that a look at its beginning would take it for an image
SECRET = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0the secret"


def read_inside(folder: Path, relative: Path) -> bytes:
    return read_shared(folder / relative, inside=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A watched folder with an image in a sub-folder, beside a folder with a secret."""
    (tmp_path / "in" / "site").mkdir(parents=True)
    (tmp_path / "in" / "site" / "v.bmp").write_bytes(b"the image")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "v.bmp").write_bytes(SECRET)
    try:
        (tmp_path / "link").symlink_to("in")
    except OSError:
        pytest.skip("this account may make no links")
    return tmp_path / "in"


def refused(folder: Path, relative: str) -> None:
    path = folder / relative
    for ask in (
        lambda: require_inside(folder, Path(relative)),
        lambda: read_shared(path, inside=folder),
        lambda: read_shared(path, inside=folder, at_most=8),
        lambda: sha256_shared(path, inside=folder),
        lambda: file_sha256(path, inside=folder),
        lambda: begins_as_image(path, inside=folder),
    ):
        with pytest.raises(PlaceForbids, match="leads out of the watched folder"):
            ask()
    assert not is_being_written(path, inside=folder)


def test_a_file_inside_is_read(folder: Path) -> None:
    assert read_inside(folder, Path("site/v.bmp")) == b"the image"
    # the watched folder may be reached by a link
    assert read_inside(folder.parent / "link", Path("site/v.bmp")) == b"the image"


def test_a_link_within_the_folder_is_read(folder: Path) -> None:
    (folder / "same.bmp").symlink_to(Path("site", "v.bmp"))
    (folder / "other").symlink_to("site")
    require_inside(folder, Path("same.bmp"))
    assert read_inside(folder, Path("same.bmp")) == b"the image"
    assert read_inside(folder, Path("other/v.bmp")) == b"the image"


def test_a_linked_file_is_refused(folder: Path) -> None:
    (folder / "out.bmp").symlink_to(folder.parent / "outside" / "v.bmp")
    refused(folder, "out.bmp")


def test_a_file_in_a_linked_folder_is_refused(folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent / "outside")
    refused(folder, "out/v.bmp")


def test_a_link_over_another_link_is_refused(folder: Path) -> None:
    (folder / "first").symlink_to(folder / "second")
    (folder / "second").symlink_to(folder.parent / "outside")
    refused(folder, "first/v.bmp")


@pytest.mark.parametrize("relative", ["../outside/v.bmp", "site/../../outside/v.bmp"])
def test_a_path_that_leads_out_without_a_link_is_refused(folder: Path, relative: str) -> None:
    with pytest.raises((PlaceForbids, OSError)):
        read_inside(folder, Path(relative))


def test_what_is_no_file_is_refused(folder: Path) -> None:
    with pytest.raises(NeverAnImage, match="a folder"):
        read_inside(folder, Path("site"))
    (folder / "circle").symlink_to("circle")
    with pytest.raises((OSError, RuntimeError)):
        read_inside(folder, Path("circle"))


def link_the_file(folder: Path) -> None:
    (folder / "site" / "v.bmp").unlink()
    (folder / "site" / "v.bmp").symlink_to(folder.parent / "outside" / "v.bmp")


def link_the_folder(folder: Path) -> None:
    (folder / "site").rename(folder / "site before")
    (folder / "site").symlink_to(folder.parent / "outside")


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="Windows opens no path part by part")
@pytest.mark.parametrize("swap", [link_the_file, link_the_folder])
@pytest.mark.parametrize("when", range(5))
def test_a_link_put_there_at_any_step_of_opening_is_refused(
    folder: Path, when: int, swap: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, before_open, before_stat = 0, os.open, os.stat

    def step() -> None:
        nonlocal calls
        if calls == when:
            swap(folder)
        calls += 1

    def open_after(*arguments: object, **options: object) -> int:
        step()
        return before_open(*arguments, **options)  # type: ignore[arg-type]

    def stat_after(*arguments: object, **options: object) -> os.stat_result:
        if "dir_fd" in options:
            step()
        return before_stat(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", open_after)
    monkeypatch.setattr(os, "stat", stat_after)
    # what was opened before the folder was taken away is still the image
    with suppress(OSError, PlaceForbids):
        assert read_inside(folder, Path("site/v.bmp")) == b"the image"
    assert calls >= min(when + 1, 4)


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="Windows opens no path part by part")
def test_nothing_stays_open(folder: Path) -> None:
    (folder / "out.bmp").symlink_to(folder.parent / "outside" / "v.bmp")
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    refused(folder, "out.bmp")
    read_inside(folder, Path("site/v.bmp"))
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208


@pytest.mark.skipif(not hasattr(os, "O_PATH"), reason="only Linux opens a folder without listing it")
def test_a_folder_that_may_be_entered_and_not_listed_is_no_obstacle() -> None:
    code = (
        "import sys; from pathlib import Path; from runtime.images.opening import read_shared; "
        "sys.stdout.buffer.write(read_shared(Path(sys.argv[1], 'site/v.bmp'), inside=Path(sys.argv[1])))"
    )
    with place_for_all() as place:
        (place / "site").mkdir()
        (place / "site" / "v.bmp").write_bytes(b"the image")
        (place / "site").chmod(0o711)
        command = [*(as_ordinary_user() or ()), sys.executable, "-c", code, str(place)]
        done = subprocess.run(command, capture_output=True, check=False, cwd=CHECKOUT)
        (place / "site").chmod(0o755)
    assert done.stdout == b"the image", done.stderr


@pytest.mark.parametrize("target", [".", "..", "../site"])
def test_link_to_a_folder_is_told_as_one(folder: Path, target: str) -> None:
    (folder / "site" / "x.bmp").symlink_to(target)
    with pytest.raises(NeverAnImage, match="this is a folder"):
        read_inside(folder, Path("site/x.bmp"))
