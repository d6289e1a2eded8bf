"""The place check of images: no link may lead from the watched folder to a file outside it.

It knows paths alone. `runtime.images.opening` opens files by it.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path, PurePath

from runtime.errors import InflamapError


class PlaceForbids(InflamapError):
    """The place of a file keeps it from being read or scored, whatever the file holds."""


def leads_out(path: Path) -> PlaceForbids:
    """Return the error about an image that a link puts outside the watched folder."""
    return PlaceForbids(
        f"{path}: a link that leads out of the watched folder",
        next_step="save the image itself there, or watch the folder that holds it",
    )


def resolve_inside(folder: Path, relative: PurePath) -> tuple[Path, PurePath]:
    """Follow the links on the way to a file.

    Args:
        folder: the watched folder, which may be a link itself.
        relative: path of the file below it.

    Returns:
        the folder, and the file's path below it, both without links at this moment.

    Raises:
        PlaceForbids: the file lies outside the folder.
        OSError: a link leads in a circle, or must not be looked at.
    """
    path = folder / relative
    try:
        real_folder, real = folder.resolve(), path.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if not real.is_relative_to(real_folder):
        raise leads_out(path)
    return real_folder, real.relative_to(real_folder)


def require_inside(folder: Path, relative: PurePath) -> None:
    """Require that no link leads from an image out of the watched folder now.

    Args:
        folder: the watched folder, which may be a link itself.
        relative: path of the image below it.

    Raises:
        PlaceForbids: the image, or a folder above it, is a link that leads out.
    """
    path = folder / relative
    # A link that leads in a circle, or that must not be looked at, is reported when the file is read. A path without
    # links is not resolved, because some drives of Windows do not allow that.
    with suppress(OSError):
        above = path.parents[: len(relative.parts) - 1]
        if any(each.is_symlink() for each in (path, *above)):
            resolve_inside(folder, relative)
