"""The place check of images: no link may lead from the watched folder to a file outside it."""

from contextlib import suppress
from pathlib import Path, PurePath

from runtime.errors import InflamapError
from runtime.images.opening import Check, read_without_links


class PlaceForbids(InflamapError):
    """The place of a file keeps it from being read or scored, whatever the file holds."""


def require_inside(folder: Path, relative: PurePath) -> None:
    """Require that no link leads from an image out of the watched folder.

    Args:
        folder: the watched folder, which may be a link itself.
        relative: path of the image below it.

    Raises:
        PlaceForbids: the image, or a folder above it, is a link that leads out.
    """
    path = folder / relative
    # A link that leads in a circle, or that must not be looked at, is reported when the file is read. A path without
    # links is not resolved, because some drives of Windows do not allow that.
    with suppress(OSError, RuntimeError):
        above = path.parents[: len(relative.parts) - 1]
        if any(each.is_symlink() for each in (path, *above)) and not path.resolve().is_relative_to(folder.resolve()):
            raise PlaceForbids(
                f"{path}: a link that leads out of the watched folder",
                next_step="save the image itself there, or watch the folder that holds it",
            )


def read_inside(folder: Path, relative: PurePath, check: Check | None = None) -> bytes:
    """Read the bytes of an image that lies inside the watched folder when it is opened.

    The path is resolved first and then opened without following any link, so that a link put in its place between the
    check and the opening is refused.

    Args:
        folder: the watched folder, which may be a link itself.
        relative: path of the image below it.
        check: looks into the open file before it is read, and refuses it by raising.

    Raises:
        PlaceForbids: it lies outside.
        OSError: it cannot be opened, or a part of its path has become a link.
        NeverAnImage: as `read_shared`.
        MemoryError: as `read_shared`.
    """
    require_inside(folder, relative)
    real_folder = folder.resolve()
    real = (folder / relative).resolve(strict=True)
    if not real.is_relative_to(real_folder):
        raise PlaceForbids(f"{folder / relative}: not inside the watched folder", seen=real, wanted=str(real_folder))
    return read_without_links(real_folder, real.relative_to(real_folder), check)
