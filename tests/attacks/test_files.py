"""Files of a bundle exchanged for others, and things that are no files in their place."""

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forgery import Forgery

from runtime.bundle import MOST_FILE_BYTES, open_bundle
from runtime.bundle_files import FP32_MODEL, GATE_FILE, GOLDEN_FILE, INT8_MODEL, MANIFEST_FILE, TRAINING_PATCHES_FILE
from runtime.errors import BundleError

Refusal = Callable[..., str]
RefusalByScore = Callable[[Forgery], tuple[int, str]]
no_windows = pytest.mark.skipif(sys.platform == "win32", reason="needs rights, or does not exist, on Windows")


def test_another_model_under_the_name(forgery: Forgery, refusal: Refusal, refusal_by_score: RefusalByScore) -> None:
    forgery.put(FP32_MODEL, forgery.read(INT8_MODEL))
    assert f"{FP32_MODEL}: not the file that was exported (sha256)" in refusal(forgery)
    code, line = refusal_by_score(forgery)
    assert code == 2
    assert FP32_MODEL in line


def test_another_model_under_the_name_and_its_hash_in_the_manifest(
    forgery: Forgery, refusal: Refusal, refusal_by_score: RefusalByScore
) -> None:
    forgery.put_listed(FP32_MODEL, forgery.read(INT8_MODEL))
    assert "does not reproduce the golden frames" in refusal(forgery)
    code, line = refusal_by_score(forgery)
    assert code == 1
    assert "does not reproduce the golden frames" in line


@pytest.mark.parametrize("name", [FP32_MODEL, GOLDEN_FILE])
def test_one_changed_bit(name: str, forgery: Forgery, refusal: Refusal) -> None:
    data = bytearray(forgery.read(name))
    data[len(data) // 2] ^= 1
    assert f"{name}: not the file that was exported (sha256)" in refusal(forgery.put(name, bytes(data)))


@pytest.mark.parametrize("name", [GATE_FILE, TRAINING_PATCHES_FILE, INT8_MODEL])
def test_one_changed_bit_of_a_file_that_opening_does_not_need(name: str, forgery: Forgery) -> None:
    data = bytearray(forgery.read(name))
    data[len(data) // 2] ^= 1
    forgery.put(name, bytes(data))
    with pytest.raises(BundleError, match=f"{name}: not the file that was exported"):
        open_bundle(forgery.folder).verify_files()


def test_training_patches_that_are_no_text(forgery: Forgery) -> None:
    forgery.put_listed(TRAINING_PATCHES_FILE, b"\xff\xfe\x00")
    with pytest.raises(BundleError, match=f"{TRAINING_PATCHES_FILE}: no list of patches"):
        open_bundle(forgery.folder).training_patches()


@no_windows
@pytest.mark.parametrize("name", [FP32_MODEL, GOLDEN_FILE, MANIFEST_FILE])
def test_link_to_a_file_of_the_right_content(
    name: str, forgery: Forgery, tmp_path: Path, refusal: Refusal, refusal_by_score: RefusalByScore
) -> None:
    (forgery.folder / name).rename(tmp_path / "elsewhere")
    (forgery.folder / name).symlink_to(tmp_path / "elsewhere")
    assert f"{name}: refused; seen: a symbolic link; wanted: a plain file" in refusal(forgery)
    assert refusal_by_score(forgery)[0] == 2


@no_windows
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin", "nowhere", FP32_MODEL])
def test_link_to_what_never_ends_or_is_not_there(target: str, forgery: Forgery, refusal: Refusal) -> None:
    (forgery.folder / FP32_MODEL).unlink()
    (forgery.folder / FP32_MODEL).symlink_to(target)
    assert "seen: a symbolic link" in refusal(forgery)


@no_windows
@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", [FP32_MODEL, GOLDEN_FILE, MANIFEST_FILE])
def test_pipe_that_nobody_writes_to(
    name: str, forgery: Forgery, refusal: Refusal, refusal_by_score: RefusalByScore
) -> None:
    (forgery.folder / name).unlink()
    os.mkfifo(forgery.folder / name)
    assert f"{name}: refused; seen: no plain file" in refusal(forgery)
    assert refusal_by_score(forgery)[0] == 2


@no_windows
def test_socket_in_place_of_a_model(forgery: Forgery, refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    (forgery.folder / FP32_MODEL).unlink()
    # a socket's path may have about a hundred characters
    monkeypatch.chdir(forgery.folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(FP32_MODEL)
        assert f"{FP32_MODEL}: refused; seen: no plain file" in refusal(forgery)


@no_windows
def test_device_in_place_of_a_model(forgery: Forgery, refusal: Refusal) -> None:
    (forgery.folder / FP32_MODEL).unlink()
    try:
        # /dev/zero
        os.mknod(forgery.folder / FP32_MODEL, 0o020600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")
    assert f"{FP32_MODEL}: refused; seen: no plain file" in refusal(forgery)


@pytest.mark.parametrize("name", [FP32_MODEL, GOLDEN_FILE, MANIFEST_FILE])
def test_folder_in_place_of_a_file(name: str, forgery: Forgery, refusal: Refusal) -> None:
    (forgery.folder / name).unlink()
    (forgery.folder / name).mkdir()
    assert f"{name}: cannot be read" in refusal(forgery)


@pytest.mark.parametrize("name", [FP32_MODEL, GOLDEN_FILE, MANIFEST_FILE])
def test_file_that_is_missing(name: str, forgery: Forgery, refusal: Refusal) -> None:
    (forgery.folder / name).unlink()
    assert f"{name}: cannot be read" in refusal(forgery)


@pytest.mark.parametrize("name", [FP32_MODEL, GOLDEN_FILE, MANIFEST_FILE])
def test_file_that_would_fill_the_memory(
    name: str, forgery: Forgery, refusal: Refusal, refusal_by_score: RefusalByScore
) -> None:
    with (forgery.folder / name).open("r+b") as file:
        # sparse: it takes no room on the disk
        file.truncate(MOST_FILE_BYTES + 1)
    assert f"{name}: refused; seen: {MOST_FILE_BYTES + 1} bytes; wanted: at most" in refusal(forgery)
    assert refusal_by_score(forgery)[0] == 2


def test_no_bundle_at_all(forgery: Forgery, refusal_by_score: RefusalByScore) -> None:
    shutil.rmtree(forgery.folder)
    forgery.folder.mkdir()
    code, line = refusal_by_score(forgery)
    assert code == 2
    assert "wanted: the folder that `inflamap export` wrote" in line
