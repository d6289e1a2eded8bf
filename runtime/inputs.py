"""What the user named on the command line, as images with the names their results will take."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from runtime.errors import InflamapError
from runtime.images import find_images


@dataclass(frozen=True)
class Input:
    """An image to score, and its path as results name it."""

    path: Path
    relative: PurePath


@dataclass(frozen=True)
class Inputs:
    """All images found, and for each PATH that gave none the reason."""

    images: tuple[Input, ...]
    faults: tuple[tuple[Path, InflamapError], ...]


def gather_inputs(paths: Sequence[Path]) -> Inputs:
    """Files as they are, folders with everything below them that looks like an image.

    Raises:
        InflamapError: two images would write the same result.
    """
    images: dict[PurePath, Path] = {}
    faults = []
    for path in paths:
        if path.is_dir():
            found = [Input(image, image.relative_to(path)) for image in find_images(path)]
            if not found:
                faults.append((path, InflamapError(f"{path}: no images in this folder", next_step="check the path")))
        elif path.exists():
            found = [Input(path, PurePath(path.name))]
        else:
            found = []
            faults.append((path, InflamapError(f"{path}: no such file or folder", next_step="check the path")))
        for image in found:
            other = images.setdefault(image.relative, image.path)
            if not other.samefile(image.path):
                raise InflamapError(
                    f"{image.path} and {other} would write the same result {image.relative}",
                    next_step="score the folder that holds both, or use two --out folders",
                )
    return Inputs(tuple(Input(path, relative) for relative, path in images.items()), tuple(faults))
