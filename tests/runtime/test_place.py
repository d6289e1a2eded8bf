"""No link leads from the watched folder to a file outside it, whenever it is put there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import place
from runtime.errors import NeverAnImage
from runtime.place import PlaceForbids, read_inside, require_inside

SECRET = b"the secret"


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
    for ask in (require_inside, read_inside):
        with pytest.raises(PlaceForbids, match="leads out of the watched folder"):
            ask(folder, Path(relative))


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


@pytest.mark.parametrize("swap", [link_the_file, link_the_folder])
def test_a_link_put_there_between_the_check_and_the_opening_is_refused(
    folder: Path, swap: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = place.read_without_links

    def late(*arguments: Path) -> bytes:
        swap(folder)
        return read(*arguments)

    monkeypatch.setattr(place, "read_without_links", late)
    with pytest.raises((OSError, NeverAnImage)):
        read_inside(folder, Path("site/v.bmp"))


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="Windows opens no path part by part")
def test_a_link_put_there_while_the_path_is_opened_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, before = [], os.open

    def open_and_swap(name: object, *arguments: object, **options: object) -> int:
        opened.append(str(name))
        if str(name) == "v.bmp":
            link_the_file(folder)
        return before(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", open_and_swap)
    with pytest.raises(OSError, match="symbolic link"):
        read_inside(folder, Path("site/v.bmp"))
    assert opened[-2:] == ["site", "v.bmp"]
