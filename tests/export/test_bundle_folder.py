"""A bundle's folder is the new one or the earlier one, at whatever moment something fails."""

from pathlib import Path

import pytest

from export import bundle_folder
from export.bundle_folder import write_bundle
from runtime.bundle import DEFAULT_BUNDLE, Bundle
from runtime.bundle_files import MANIFEST_FILE
from runtime.errors import InflamapError

FILES = {path.name: path.read_bytes() for path in DEFAULT_BUNDLE.iterdir() if path.name != "accepted.json"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where an earlier bundle lies."""
    out = tmp_path / "bundle"
    out.mkdir()
    (out / MANIFEST_FILE).write_text("earlier")
    return out


def proven(_bundle: Bundle) -> bytes:
    return b"with what was found"


def test_the_manifest_is_the_one_that_the_proof_gave(place: Path) -> None:
    seen: list[str] = []

    def prove(bundle: Bundle) -> bytes:
        bundle.verify_files()
        seen.append(bundle.manifest.name)
        return b"with what was found"

    write_bundle(place, FILES, prove)
    assert seen == ["phantom-texture"]
    assert {path.name: path.read_bytes() for path in place.iterdir()} == FILES | {MANIFEST_FILE: b"with what was found"}
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, OSError])
def test_an_interrupt_between_the_two_renames_brings_the_earlier_one_back(
    interrupt: type[BaseException], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if target == place and not path.name.endswith("-earlier"):
            raise interrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises((KeyboardInterrupt, InflamapError)):
        write_bundle(place, FILES, proven)
    assert (place / MANIFEST_FILE).read_text() == "earlier"
    assert list(place.parent.iterdir()) == [place]


def test_an_earlier_one_that_cannot_be_brought_back_is_kept_and_named(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def locked(path: Path, target: Path) -> Path:
        if target == place:
            raise PermissionError(13, "in use")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", locked)
    with pytest.raises(InflamapError, match=r"the earlier bundle could not be put back; .*; next: rename ") as caught:
        write_bundle(place, FILES, proven)
    (kept,) = place.parent.iterdir()
    assert str(kept) in str(caught.value)
    assert (kept / MANIFEST_FILE).read_text() == "earlier"


def test_temporary_folders_are_named_as_what_they_are(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    put = bundle_folder._put

    def watching(new: Path, out: Path) -> None:
        names.extend(path.name for path in out.parent.iterdir() if path != out)
        put(new, out)

    monkeypatch.setattr(bundle_folder, "_put", watching)
    write_bundle(place, FILES, proven)
    assert names
    assert all(".tmp" in name for name in names)
