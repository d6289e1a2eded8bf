"""Another content of the same size and time is scored; a file that was only touched is read and kept."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from watch_bench import AT_ONCE, Bench, sha256_of, wait_for

from runtime.acquisition import Acquisition
from runtime.file_state import FileState, Kept
from runtime.ledger import open_ledger
from runtime.service import ServiceSettings, Tally, watch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no time of the last change of any kind")

NAME = "site 1/deep er/v.bmp"
Replace = Callable[[Path, Path], None]


def in_place(source: Path, target: Path) -> None:
    """As `cp -p`, which opens the file that is there."""
    status = source.stat()
    with target.open("r+b") as file:
        file.write(source.read_bytes())
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def copied(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-p", source, target], check=True)


def moved(source: Path, target: Path) -> None:
    subprocess.run(["mv", source, target], check=True)


def synchronised(source: Path, target: Path) -> None:
    """As `rsync -t`: to a name of its own, then over the file."""
    temporary = target.with_name(f".{target.name}.AbC123")
    shutil.copy2(source, temporary)
    temporary.rename(target)


def restored(source: Path, target: Path) -> None:
    """As from a backup: the file goes, and comes back as it was before."""
    target.unlink()
    shutil.copy2(source, target)


def linked(source: Path, target: Path) -> None:
    target.unlink()
    target.hardlink_to(source)


def copied_over_itself(path: Path) -> None:
    aside = path.parents[3] / "aside.bmp"
    shutil.copy2(path, aside)
    synchronised(aside, path)


WAYS = [in_place, copied, moved, synchronised, restored, linked]


@pytest.fixture
def pair(
    bench: Bench, tmp_path: Path, patch_of_skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> tuple[Path, Path]:
    """An image of the watched folder, and another content of the same size and time elsewhere."""
    path, other = bench.folder / NAME, tmp_path / "other" / "v.bmp"
    save_image(path, patch_of_skin)
    save_image(other, patch_of_skin[::-1].copy())
    for file in (path, other):
        os.utime(file, ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    assert path.stat().st_size == other.stat().st_size
    return path, other


def replace(way: Replace, path: Path, other: Path) -> str:
    before, content = path.stat(), sha256_of(other)
    way(other, path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert sha256_of(path) == content
    return content


@pytest.mark.parametrize("way", WAYS)
def test_other_content_is_scored_by_a_running_watch(bench: Bench, pair: tuple[Path, Path], way: Replace) -> None:
    with bench.running():
        wait_for(lambda: bench.states() == {NAME: "scored"})
        content = replace(way, *pair)
        wait_for(lambda: bench.rows()[NAME].outcome.sha256 == content)
    assert bench.states()[NAME] == "scored"
    assert bench.record(NAME)["image"]["sha256"] == content


@pytest.mark.parametrize("way", WAYS)
def test_other_content_is_scored_at_the_next_start(bench: Bench, pair: tuple[Path, Path], way: Replace) -> None:
    assert bench.once() == Tally(done=1)
    content = replace(way, *pair)
    assert bench.once() == Tally(done=1)
    assert bench.record(NAME)["image"]["sha256"] == content
    assert bench.once() == Tally()


def test_other_target_of_a_link_is_scored(bench: Bench, pair: tuple[Path, Path]) -> None:
    path, other = pair
    targets = bench.folder / "site 1" / "targets"
    targets.mkdir()
    one, two = path.rename(targets / "one.dat"), other.rename(targets / "two.dat")
    path.symlink_to(one)
    assert bench.once().done >= 1
    path.unlink()
    path.symlink_to(two)
    assert bench.once().done == 1
    assert bench.record(NAME)["image"]["sha256"] == sha256_of(two)
    # by the link's target, though the link is the same
    in_place(one, two)
    assert bench.once().done >= 1
    assert bench.record(NAME)["image"]["sha256"] == sha256_of(one)


@pytest.mark.parametrize(
    "touch",
    [
        os.utime,
        lambda path: path.chmod(0o600),
        lambda path: (path.parents[3] / "aside").hardlink_to(path),
        lambda path: path.rename(path.with_suffix(".x")).rename(path),
        copied_over_itself,
    ],
    ids=["touched", "chmod", "linked", "renamed and back", "copied over itself"],
)
def test_file_that_still_holds_the_same_is_read_and_kept(
    bench: Bench, pair: tuple[Path, Path], touch: Callable[[Path], object]
) -> None:
    path, _other = pair
    bench.once()
    record, finished = (bench.out / f"{NAME}.score.json").stat().st_mtime_ns, bench.rows()[NAME].finished
    touch(path)
    assert bench.once().done == 0
    assert bench.states()[NAME] == "scored"
    assert bench.rows()[NAME].finished == finished
    assert (bench.out / f"{NAME}.score.json").stat().st_mtime_ns == record
    assert bench.once() == Tally()


def test_what_is_no_image_and_becomes_one_of_the_same_size_and_time_is_scored(
    bench: Bench, pair: tuple[Path, Path]
) -> None:
    """A name without an image's suffix is looked into once for each content."""
    path, other = pair
    letter = bench.folder / "letter"
    letter.write_bytes(b"x" * other.stat().st_size)
    os.utime(letter, ns=(other.stat().st_atime_ns, other.stat().st_mtime_ns))
    with bench.running():
        wait_for(lambda: bench.states() == {NAME: "scored"})
        replace(in_place, letter, other)
        wait_for(lambda: bench.states() == {NAME: "scored", "letter": "scored"})
    assert path.exists()


def test_state_has_what_the_system_tells(tmp_path: Path) -> None:
    path = tmp_path / "v.bmp"
    path.write_bytes(b"12")
    status = path.stat()
    state = FileState.of(path)
    assert state == FileState(2, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    with os.scandir(tmp_path) as listing:
        assert [FileState.from_status(entry.stat()) for entry in listing] == [state]


@pytest.mark.parametrize("ctime", [True, False])
@pytest.mark.parametrize("inode", [True, False])
def test_marks_that_a_disk_does_not_keep_are_left_out(ctime: bool, inode: bool) -> None:
    state = FileState(1, 2, 3, 4)
    assert state.kept_by(Kept(ctime, inode)) == FileState(1, 2, 3 if ctime else None, 4 if inode else None)


def test_disk_whose_marks_change_at_each_mount_is_not_read_anew(bench: Bench, pair: tuple[Path, Path]) -> None:
    path, _other = pair
    patience = msgspec.structs.replace(AT_ONCE, kept=Kept(ctime=False, inode=False))
    settings = ServiceSettings(patience, Acquisition(0.5), min_free_gb=0.0, once=True)

    def once() -> Tally:
        with open_ledger(bench.out, create=True) as ledger:
            return watch(bench.folder, bench.out, ledger, bench.model, settings, threading.Event(), log=bench.log)

    assert once() == Tally(done=1)
    assert once() == Tally()
    # as another mount shows it: another number, another time of change
    copied_over_itself(path)
    assert once() == Tally()
    bench.retry_all()
    assert once() == Tally(done=1)
