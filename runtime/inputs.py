"""What the user named on the command line, as images with the names their results will take."""

from collections.abc import Sequence
from pathlib import Path, PurePath

import msgspec

from runtime.errors import InflamapError
from runtime.images import find_images, unlistable


class Input(msgspec.Struct, frozen=True):
    """An image to score.

    Attributes:
        path: the file.
        relative: its path as results name it.
        inside: the folder that no link to it may lead out of; None where the user named the file itself.
    """

    path: Path
    relative: PurePath
    inside: Path | None = None


class Inputs(msgspec.Struct, frozen=True):
    """All images found.

    Attributes:
        images: to score.
        faults: for each PATH or folder that gave none, the reason.
        left_out: folders of results, whose overlays and maps are no images.
    """

    images: tuple[Input, ...]
    faults: tuple[tuple[Path, InflamapError], ...]
    left_out: tuple[Path, ...] = ()


def gather_inputs(paths: Sequence[Path]) -> Inputs:
    """Files as they are, folders with everything below them that looks like an image.

    Raises:
        InflamapError: two images would write the same result.
    """
    images: dict[PurePath, Input] = {}
    faults: list[tuple[Path, InflamapError]] = []
    left_out: list[Path] = []
    for path in paths:
        try:
            found = _images_of(path, faults, left_out)
        except (OSError, InflamapError) as error:
            reason = error if isinstance(error, InflamapError) else InflamapError(f"{path}: {error.strerror}")
            faults.append((path, reason))
            continue
        for image in found:
            other = images.setdefault(image.relative, image)
            if not other.path.samefile(image.path):
                raise InflamapError(
                    f"{image.path} and {other.path} would write the same result {image.relative}",
                    next_step="score the folder that holds both, or use two --out folders",
                )
    return Inputs(tuple(images.values()), tuple(faults), tuple(left_out))


def _images_of(path: Path, faults: list[tuple[Path, InflamapError]], left_out: list[Path]) -> list[Input]:
    """The images one PATH stands for; sub-folders that cannot be listed are added to `faults`, those of results to
    `left_out`."""
    if not path.exists():
        raise InflamapError(f"{path}: no such file or folder", next_step="check the path")
    if not path.is_dir():
        return [Input(path, PurePath(path.name))]
    unlisted: list[tuple[Path, InflamapError]] = []

    def note(error: OSError) -> None:
        unlisted.append((Path(error.filename), unlistable(error)))

    images = find_images(path, on_error=note, on_results=left_out.append, links_may_leave=False)
    found = [Input(image, image.relative_to(path), path) for image in images]
    faults += unlisted
    if not found and not unlisted:
        raise InflamapError(f"{path}: no images in this folder", next_step="check the path")
    return found
