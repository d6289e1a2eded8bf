"""How much room there is, and on whose machine."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.disk import free_bytes, is_network_folder, kept_by_disk_of, shortage
from runtime.file_state import Kept
from runtime.patience import settings_for


@dataclass(frozen=True)
class Part:
    """What of psutil's partitions is looked at."""

    mountpoint: str
    fstype: str
    opts: str = "rw,relatime"


def mount(monkeypatch: pytest.MonkeyPatch, **types: str) -> None:
    """Make psutil tell these mounts, `place=type`, in that order."""
    parts = [Part(place, kind) for place, kind in types.items()]
    # without `all`, psutil leaves out what is no disk, network folders among them
    monkeypatch.setattr("psutil.disk_partitions", lambda all=False: parts if all else [])


def test_free_bytes_of_a_folder_that_is_not_there_yet_are_those_of_its_disk(tmp_path: Path) -> None:
    free = free_bytes(tmp_path / "not" / "yet")
    # others write there at the same time
    assert abs(free - shutil.disk_usage(tmp_path).free) < 2**30
    assert abs(free_bytes(tmp_path) - free) < 2**30


def test_free_bytes_are_what_this_user_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> object:
        asked.append(Path(path))
        return type("Usage", (), {"total": 100, "used": 60, "free": 7})

    monkeypatch.setattr("shutil.disk_usage", usage)
    assert free_bytes(tmp_path / "not" / "yet") == 7
    assert asked == [tmp_path]


def test_free_bytes_of_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert free_bytes(Path("results")) > 0
    assert free_bytes(Path()) > 0


def test_disk_that_cannot_be_asked_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(_path: Path) -> object:
        raise OSError(112, "Host is down")

    monkeypatch.setattr("shutil.disk_usage", usage)
    with pytest.raises(OSError, match="Host is down"):
        free_bytes(tmp_path)


linux = pytest.mark.skipif(sys.platform == "win32", reason="mounts below / are meant")


@linux
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("kind", "network"),
    [
        ("cifs", True),
        ("smb3", True),
        ("nfs", True),
        ("nfs4", True),
        ("fuse.sshfs", True),
        ("fuse.rclone", True),
        ("9p", True),
        ("vboxsf", True),
        ("virtiofs", True),
        ("CIFS", True),
        ("ext4", False),
        ("xfs", False),
        ("btrfs", False),
        ("tmpfs", False),
        ("overlay", False),
        ("fuseblk", False),
        ("fuse.mergerfs", False),
        ("", False),
    ],
)
def test_network_folder_is_told_by_its_file_system(
    kind: str, network: bool, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(monkeypatch, **{"/": "ext4", str(tmp_path.resolve()): kind})
    assert is_network_folder(tmp_path if there else tmp_path / "not" / "yet") is network


@linux
@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        *(
            (kind, Kept(ctime=False, inode=False))
            for kind in ("vfat", "exfat", "msdos", "fuse.exfat", "FAT32", "exFAT")
        ),
        *(
            (kind, Kept(inode=False))
            for kind in ("nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuseblk", "fuse.mergerfs")
        ),
        *((kind, Kept()) for kind in ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "NTFS", "ntfs3", "")),
    ],
)
def test_marks_of_a_file_that_a_disk_keeps(
    kind: str, kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount(monkeypatch, **{"/": "ext4", str(tmp_path.resolve()): kind})
    assert kept_by_disk_of(tmp_path) == kept
    assert settings_for(tmp_path).kept == kept


@linux
def test_nearest_mount_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path.resolve()
    (place / "share" / "disk" / "share again").mkdir(parents=True)
    mounts = {
        str(place / "share" / "disk"): "xfs",
        str(place / "share"): "nfs4",
        "/": "ext4",
        str(place / "share" / "disk" / "share again"): "cifs",
    }
    mount(monkeypatch, **mounts)
    assert not is_network_folder(place)
    assert is_network_folder(place / "share")
    assert is_network_folder(place / "share" / "new")
    # a name that only begins like the mount's
    assert not is_network_folder(place / "shared")
    assert not is_network_folder(place / "share" / "disk" / "new")
    assert is_network_folder(place / "share" / "disk" / "share again" / "new")


@linux
def test_share_mounted_over_another_mount_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [Part("/", "ext4"), Part(str(tmp_path.resolve()), "autofs"), Part(str(tmp_path.resolve()), "nfs4")]
    monkeypatch.setattr("psutil.disk_partitions", lambda all=False: parts if all else [])
    assert is_network_folder(tmp_path)


@linux
def test_link_into_a_share_is_on_the_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    mount(monkeypatch, **{"/": "ext4", str(tmp_path.resolve() / "share"): "cifs"})
    assert is_network_folder(tmp_path / "link" / "results")
    assert not is_network_folder(tmp_path)


@linux
def test_system_that_tells_no_mounts_is_taken_for_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount(monkeypatch)
    assert not is_network_folder(tmp_path)


@pytest.mark.parametrize(("options", "network"), [("rw,remote", True), ("rw,fixed", False), ("rw,removable", False)])
def test_drive_that_windows_calls_remote_is_a_network_folder(
    options: str, network: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [Part(tmp_path.resolve().anchor, "NTFS", options)]
    monkeypatch.setattr("psutil.disk_partitions", lambda all=False: parts if all else [])
    assert is_network_folder(tmp_path) is network


def test_this_machine_answers(tmp_path: Path) -> None:
    assert is_network_folder(tmp_path) in {True, False}


@pytest.mark.parametrize(("free_gb", "short"), [(9.9, True), (10.0, False), (10.1, False)])
def test_shortage_is_told_with_what_is_there_and_what_is_wanted(
    tmp_path: Path, free_gb: float, short: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.disk.free_bytes", lambda _folder: int(free_gb * 1e9))
    told = shortage(tmp_path, 10.0)
    assert (told is not None) == short
    if told is not None:
        assert "9.9 GB free, wanted 10 GB" in told


def test_disk_with_exactly_the_room_that_has_to_stay_free_is_not_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gigabytes are of 10^9 bytes."""
    free = [10_000_000_000]
    monkeypatch.setattr("runtime.disk.free_bytes", lambda _folder: free[0])
    assert shortage(tmp_path, 10.0) is None
    free[0] -= 1
    assert shortage(tmp_path, 10.0) is not None
    free[0] = 0
    assert shortage(tmp_path, 0.0) is None
