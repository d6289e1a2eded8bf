"""The disk below a folder: how much is free, and whether it is another machine's."""

import shutil
from pathlib import Path

# of Linux; what fuse mounts is told by the part after its dot
_NETWORK_TYPES = frozenset(
    [
        *("9p", "afs", "beegfs", "ceph", "ceph-fuse", "cifs", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "ocfs2", "rclone", "s3fs", "smb", "smb2", "smb3", "smbfs", "sshfs", "vboxsf", "virtiofs"),
        *("vmhgfs-fuse", "prl_fs"),
    ]
)


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
    place = _nearest(folder).resolve()
    if place.drive.startswith("\\\\"):
        return True
    # some 40 ms, which only a start of the watch should pay
    import psutil

    try:
        mounted = {Path(part.mountpoint): part for part in psutil.disk_partitions(all=True)}
    except OSError:
        return False
    part = next((mounted[above] for above in (place, *place.parents) if above in mounted), None)
    if part is None:
        return False
    return part.fstype.removeprefix("fuse.").lower() in _NETWORK_TYPES or "remote" in part.opts.split(",")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    absolute = folder.absolute()
    return next((place for place in (absolute, *absolute.parents) if place.exists()), absolute)
