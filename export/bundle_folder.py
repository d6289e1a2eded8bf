"""A bundle's folder: written beside its place, proven there, and put into it in one step."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from runtime.bundle import Bundle, open_bundle
from runtime.bundle_files import MANIFEST_FILE
from runtime.errors import InflamapError
from runtime.output_folder import check_output_folder
from runtime.outputs import said_plainly


def require_replaceable(out: Path) -> None:
    """Refuse a place that holds anything but a bundle.

    Raises:
        InflamapError: it does, or nothing can be written there.
    """
    with said_plainly(out):
        if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / MANIFEST_FILE).exists())):
            raise InflamapError(
                f"{out}: is in the way",
                wanted="a new or empty folder, or a bundle to replace",
                next_step="give another --out",
            )
    check_output_folder(out, [])


def write_bundle(out: Path, files: Mapping[str, bytes], prove: Callable[[Bundle], bytes]) -> None:
    """Write a folder beside `out`, open it as the service will, and rename it: no half or unproven bundle is ever seen.

    Args:
        out: its place; an earlier bundle there is replaced.
        files: contents by name, the manifest among them.
        prove: opens its engines, and gives the manifest anew, with what was found; what it raises leaves everything as
            it was.

    Raises:
        InflamapError: the disk refuses, or what `prove` raises; an earlier bundle is left as it was.
    """
    with said_plainly(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{out.name}.tmp-", dir=out.parent))
        try:
            for name, content in files.items():
                (temporary / name).write_bytes(content)
            # mkdtemp makes it private to this user; the service may run as another
            temporary.chmod(0o755)
            (temporary / MANIFEST_FILE).write_bytes(prove(open_bundle(temporary)))
            _put(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _put(new: Path, place: Path) -> None:
    """Rename a folder to where another may be. That one is moved and not removed until the new one is in its place."""
    earlier = new.with_name(f"{new.name}-earlier")
    if place.exists():
        place.rename(earlier)
    try:
        new.rename(place)
    # an interrupt between the two is no reason to lose it either
    except BaseException as error:
        if earlier.exists():
            _put_back(earlier, place, error)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _put_back(earlier: Path, place: Path, reason: BaseException) -> None:
    try:
        earlier.rename(place)
    except OSError as error:
        raise InflamapError(
            f"{place}: the earlier bundle could not be put back", seen=error, next_step=f"rename {earlier} to {place}"
        ) from reason
