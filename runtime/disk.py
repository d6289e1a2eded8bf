"""The disk below a folder: how much is free, and whether it is another machine's."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from runtime.file_state import Kept

# of Linux; what fuse mounts is told by the part after its dot
_NETWORK_TYPES = frozenset(
    [
        *("9p", "afs", "beegfs", "ceph", "ceph-fuse", "cifs", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "ocfs2", "rclone", "s3fs", "smb", "smb2", "smb3", "smbfs", "sshfs", "vboxsf", "virtiofs"),
        *("vmhgfs-fuse", "prl_fs"),
    ]
)
# Of Linux and Windows. Their files have no number, so that the system makes one up whenever it looks anew, and no time
# of the last change that outlives that.
_FAT_TYPES = frozenset({"exfat", "fat", "fat12", "fat16", "fat32", "msdos", "umsdos", "vfat"})

BYTES_PER_GB = 1_000_000_000


def shortage(folder: Path, min_free_gb: float) -> str | None:
    """Why nothing more should be written to the disk of `folder`; None when it has `min_free_gb` (10^9 bytes) left."""
    try:
        free = free_bytes(folder) / BYTES_PER_GB
    except OSError as error:
        return f"{folder}: the disk cannot be asked for its free space ({error.strerror})"
    if free >= min_free_gb:
        return None
    return f"{folder}: {free:.1f} GB free, wanted {min_free_gb:g} GB, because the microscope may write to that disk too"


def free_bytes(folder: Path) -> int:
    """Bytes that this user can still write on the disk that holds `folder`, or will hold it.

    Raises:
        OSError: the disk cannot be asked.
    """
    return shutil.disk_usage(_nearest(folder)).free


def is_network_folder(folder: Path) -> bool:
    """Whether `folder` lies, or would lie, on a share of another machine, where SQLite's WAL does not work.

    No where the system does not tell: SQLite's own locks then still keep the ledger whole.
    """
    return _is_network(*_mount_of(folder))


def kept_by_disk_of(folder: Path) -> Kept:
    """Return which marks of a file the disk of `folder` keeps for as long as the file stays as it is.

    The number of a file on a share, or on a disk that a program mounts (FUSE), may be made up at each mount.
    """
    place, mount = _mount_of(folder)
    kind = "" if mount is None else mount.kind
    fat = kind.removeprefix("fuse.") in _FAT_TYPES
    return Kept(ctime=not fat, inode=not (fat or kind.startswith("fuse") or _is_network(place, mount)))


class _Mount(NamedTuple):
    """The type of a mounted file system, in small letters, and its options."""

    kind: str
    options: Sequence[str]


def _is_network(place: Path, mount: _Mount | None) -> bool:
    if place.drive.startswith("\\\\"):
        return True
    return mount is not None and (mount.kind.removeprefix("fuse.") in _NETWORK_TYPES or "remote" in mount.options)


def _mount_of(folder: Path) -> tuple[Path, _Mount | None]:
    """Return where `folder` lies, or would lie, and what is mounted there; None where the system does not tell."""
    place = _nearest(folder).resolve()
    # some 40 ms, which only a start of the watch should pay
    import psutil

    try:
        mounted = {Path(part.mountpoint): part for part in psutil.disk_partitions(all=True)}
    except OSError:
        return place, None
    part = next((mounted[above] for above in (place, *place.parents) if above in mounted), None)
    return place, None if part is None else _Mount(part.fstype.lower(), part.opts.split(","))


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    absolute = folder.absolute()
    return next((place for place in (absolute, *absolute.parents) if place.exists()), absolute)
