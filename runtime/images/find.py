"""The images below a folder, without opening more than must be."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from runtime.errors import InflamapError, UnreadableImage
from runtime.images.opening import read_shared
from runtime.images.signature import HEAD_BYTES, LEAST_BYTES, SUFFIXES, image_format
from runtime.output_folder import is_output_folder
from runtime.outputs import OUTPUT_MARKS, is_named_as_result
from runtime.place import PlaceForbids

# names under which copy tools write a file before they rename it: to be found later, under its own name
_UNFINISHED = frozenset({".tmp", ".part", ".partial", ".filepart", ".crdownload"})


# what a DICOM export calls its table of contents, in a file that begins as its images do
_DIRECTORY = "dicomdir"


def find_images(
    folder: Path,
    *,
    on_error: Callable[[OSError], None] | None = None,
    on_results: Callable[[Path], None] = lambda _folder: None,
    links_may_leave: bool = True,
) -> Iterator[Path]:
    """All files below `folder` for which `looks_like_image` holds, sorted as paths are.

    Links to folders are not followed: a link back up would make the walk endless. Folders of results are left out.

    Args:
        folder: where to look; any names, also those that are no UTF-8.
        on_error: told of each sub-folder that cannot be listed (`error.filename`); the walk goes on.
        links_may_leave: whether links out of `folder` are looked into to see what they are.
        on_results: told of each sub-folder that is left out because it holds results of ours.

    Raises:
        InflamapError: `folder` itself cannot be listed, which is something else than holding no images, or is a folder
            of results.
    """
    try:
        pending = _listing(folder)
        if pending is None:
            raise is_output_folder(folder)
    except OSError as error:
        raise InflamapError(
            f"{folder}: the folder cannot be listed",
            seen=error.strerror,
            wanted="a folder",
            next_step="check the path and the rights of this account",
        ) from error
    # a stack and not recursion: the deepest tree a network drive allows is deeper than Python's
    while pending:
        path, is_folder = pending.pop()
        if not is_folder:
            if looks_like_image(path, inside=None if links_may_leave else folder):
                yield path
            continue
        try:
            inner = _listing(path)
        except OSError as error:
            if on_error is not None:
                on_error(error)
            continue
        if inner is None:
            on_results(path)
        else:
            pending += inner


def unlistable(error: OSError) -> InflamapError:
    """The line about a sub-folder that `on_error` was told of: its images must not be missed in silence."""
    return InflamapError(
        f"{error.filename}: this folder cannot be listed",
        seen=error.strerror,
        next_step="give this account read access to it",
    )


def looks_like_image(path: Path, *, inside: Path | None = None) -> bool:
    """Whether `path` is a regular file, or a link to one, named as an image or beginning as one, and no result of ours.

    A file with an image's suffix is not opened. Whether the file is whole is for `read_frame` to say.

    Args:
        path: the file.
        inside: as of `read_shared`; what a link leads to outside it is not looked into, and is no image.
    """
    try:
        if is_named_as_result(path.name) or not path.is_file():
            return False
        return path.suffix.lower() in SUFFIXES or begins_as_image(path, inside=inside)
    except (OSError, PlaceForbids):
        return False


def begins_as_image(path: Path, *, inside: Path | None = None) -> bool:
    """Whether a file's first bytes are an image's; not where its name says that it is still being written, or is none.

    Args:
        path: the file.
        inside: as of `read_shared`.

    Raises:
        OSError: it cannot be read, so that nobody knows.
        PlaceForbids: a link leads out of `inside`.
    """
    if path.suffix.lower() in _UNFINISHED or path.name.lower() == _DIRECTORY:
        return False
    try:
        head = read_shared(path, at_most=HEAD_BYTES, inside=inside)
    except UnreadableImage:
        return False
    return len(head) >= LEAST_BYTES and image_format(head) is not None


def _listing(folder: Path) -> list[tuple[Path, bool]] | None:
    """(path, is a folder) of a folder's entries, last first; None of a folder of results."""
    with os.scandir(folder) as entries:
        found = [(folder / entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    return None if any(path.name in OUTPUT_MARKS for path, _ in found) else sorted(found, reverse=True)
