"""Images to refuse are read as the model would see them, and an unusable folder is a plain error."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from export.refused import PATCHES_PER_IMAGE, RefusedImage, read_refused, still_scored
from runtime.dense_map import Geometry
from runtime.engines import EngineOutput
from runtime.errors import DataError, InflamapError
from runtime.quality import QualityLimits

GEOMETRY = Geometry(32, 8, 0.5)


def write(path: Path, shape: tuple[int, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(30, 220, shape, np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


def test_every_image_below_the_folder_is_read_in_grey_and_small_ones_are_reported(tmp_path):
    write(tmp_path / "a.png", (40, 50))
    write(tmp_path / "deep" / "colour.png", (64, 64, 3))
    write(tmp_path / "small.png", (31, 200))
    (tmp_path / "notes.txt").write_text("no image")
    lines: list[str] = []
    found = read_refused(tmp_path, GEOMETRY, report=lines.append)
    assert [(image.path.name, image.pixels.shape) for image in found] == [("a.png", (40, 50)), ("colour.png", (64, 64))]
    assert all(image.pixels.dtype == np.uint8 for image in found)
    assert lines == [f"--refuse {tmp_path}: images smaller than a patch, left out: 1"]


@pytest.mark.parametrize(
    ("content", "seen"), [([], "no image"), ([(20, 20), (31, 99)], "2 images, each smaller than a patch")]
)
def test_a_folder_without_a_usable_image_is_refused(tmp_path, content, seen):
    for number, shape in enumerate(content):
        write(tmp_path / f"{number}.png", shape)
    with pytest.raises(DataError, match=f"--refuse .*: no image to learn from; seen: {seen}; wanted: .* next: give"):
        read_refused(tmp_path, GEOMETRY, report=lambda _line: None)


def test_a_folder_that_is_not_there_and_a_damaged_image_are_refused(tmp_path):
    with pytest.raises(InflamapError, match="the folder cannot be listed"):
        read_refused(tmp_path / "gone", GEOMETRY, report=lambda _line: None)
    write(tmp_path / "a.png", (64, 64))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    with pytest.raises(
        DataError, match=r"--refuse .*: an image cannot be used; seen: .*a\.png.* next: mend .*a\.png or remove"
    ):
        read_refused(tmp_path, GEOMETRY, report=lambda _line: None)


@pytest.mark.parametrize(
    ("shape", "patches"), [((32, 32), 1), ((47, 48), 2), ((64, 64), 9), ((2000, 2000), PATCHES_PER_IMAGE)]
)
def test_an_image_gives_patches_from_all_over(shape, patches):
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    found = RefusedImage(Path("a.png"), pixels).patches(32)
    assert found.shape == (patches, 32, 32)
    np.testing.assert_array_equal(found[0], pixels[:32, :32])


class DarkIsStrange:
    """An engine that takes an image for unfamiliar where its mean is below 100."""

    name, precision = "dark is strange", "fp32"

    def run(self, images: np.ndarray) -> EngineOutput:
        _, _, height, width = images.shape
        shape = (1, (height - 32) // 8 + 1, (width - 32) // 8 + 1)
        strange = np.full(shape, 2.0 if images.mean() < 100 else 0.5, np.float32)
        return EngineOutput(np.full((1, 2, *shape[1:]), 0.5, np.float32), strange)


def test_images_that_would_be_scored_are_found():
    rng = np.random.default_rng(2)
    dark, bright = (rng.integers(low, low + 80, (64, 64), np.uint8) for low in (20, 120))
    images = [RefusedImage(Path(name), pixels) for name, pixels in (("dark.png", dark), ("bright.png", bright))]
    assert still_scored(images, DarkIsStrange(), GEOMETRY, QualityLimits()) == [Path("bright.png")]
