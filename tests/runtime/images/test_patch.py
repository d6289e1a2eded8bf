"""One patch out of a file: the right pixels, the right scale, and a hash that knows it again."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from runtime.errors import DataError
from runtime.images.patch import PatchPixels, middle, read_patch_source


def read(path: Path, corner: tuple[int, int] | None = None, um_per_px: float | None = 0.5) -> PatchPixels:
    return read_patch_source(path, um_per_px=um_per_px, model_um_per_px=0.5).patch(corner, 32)


@pytest.fixture
def noise() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (80, 96), dtype=np.uint8)


def test_whole_file_or_the_patch_at_its_corner(
    tmp_path: Path, noise: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "a.png", noise)
    np.testing.assert_array_equal(read(tmp_path / "a.png").pixels, noise)
    np.testing.assert_array_equal(read(tmp_path / "a.png", (7, 40)).pixels, noise[40:72, 7:39])


def test_corner_is_in_the_files_own_pixels(
    tmp_path: Path, noise: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "fine.png", np.kron(noise, np.ones((2, 2), np.uint8)))
    found = read(tmp_path / "fine.png", (14, 80), um_per_px=0.25)
    np.testing.assert_array_equal(found.pixels, noise[40:72, 7:39])
    assert found.um_per_px == 0.25


def test_scale_that_nothing_tells_is_assumed_and_said(
    tmp_path: Path, noise: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "a.png", noise)
    assert read(tmp_path / "a.png", um_per_px=None).assumed
    assert read(tmp_path / "a.png", um_per_px=None).um_per_px == 0.5
    assert not read(tmp_path / "a.png").assumed


def test_hash_knows_a_patch_under_any_name_format_and_scale(
    tmp_path: Path, noise: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "a.png", noise)
    save_image(tmp_path / "b.bmp", noise)
    save_image(tmp_path / "other.png", noise[::-1].copy())
    first = read(tmp_path / "a.png").sha256
    assert read(tmp_path / "b.bmp").sha256 == first
    assert read(tmp_path / "a.png", um_per_px=0.4).sha256 == first
    assert read(tmp_path / "other.png").sha256 != first
    patches = [read(tmp_path / "a.png", corner) for corner in (None, (0, 0), (1, 0), (0, 1), (11, 1), (1, 11))]
    assert len({patch.sha256 for patch in patches}) == 6
    assert {patch.image_sha256 for patch in patches} == {first}


@pytest.mark.parametrize(
    ("corner", "said"),
    [
        ((65, 0), "too small at 0.5 µm/px from x,y 65,0; seen: 31x32 px; wanted: at least 32x32"),
        ((0, 49), "too small at 0.5 µm/px from x,y 0,49; seen: 32x31 px; wanted: at least 32x32"),
        ((95, 79), "too small at 0.5 µm/px from x,y 95,79; seen: 1x1 px; wanted: at least 32x32"),
        ((96, 0), "no patch from x,y 96,0, which lies outside; seen: an image of 96x80 px"),
        ((0, 80), "no patch from x,y 0,80, which lies outside; seen: an image of 96x80 px"),
    ],
)
def test_patch_that_reaches_over_the_edge_is_refused(
    corner: tuple[int, int],
    said: str,
    tmp_path: Path,
    noise: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
) -> None:
    save_image(tmp_path / "a.png", noise)
    with pytest.raises(DataError) as raised:
        read(tmp_path / "a.png", corner)
    assert said in str(raised.value)


def test_patches_of_a_frame_outlive_it(
    tmp_path: Path, noise: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "a.png", noise)
    source = read_patch_source(tmp_path / "a.png", um_per_px=0.5, model_um_per_px=0.5)
    (tmp_path / "a.png").unlink()
    patch = source.patch((7, 40), 32)
    np.testing.assert_array_equal(patch.pixels, noise[40:72, 7:39])
    assert not np.shares_memory(patch.pixels, source.pixels)


def test_luminance_of_a_colour_image_is_its_patch(
    tmp_path: Path, noise: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    colours = np.dstack([noise, noise[::-1], noise])
    save_image(tmp_path / "colour.png", colours)
    save_image(tmp_path / "grey.png", np.dstack([noise, noise, noise]))
    colour, grey = read(tmp_path / "colour.png"), read(tmp_path / "grey.png")
    np.testing.assert_array_equal(colour.pixels, cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY))
    assert colour.colour
    np.testing.assert_array_equal(grey.pixels, noise)
    assert not grey.colour


def test_file_that_grows_too_large_at_the_models_scale_is_named(
    tmp_path: Path, noise: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    save_image(tmp_path / "a.png", noise)
    with pytest.raises(DataError) as raised:
        read(tmp_path / "a.png", um_per_px=5000)
    assert str(raised.value).startswith(f"{tmp_path / 'a.png'}: the frame would be too large at the model's scale")


def test_middle() -> None:
    pixels = np.arange(42, dtype=np.uint8).reshape(6, 7)
    np.testing.assert_array_equal(middle(pixels, 4), pixels[1:5, 1:5])


def test_what_must_not_be_scored_is_none_to_learn_from(tmp_path: Path, noise: npt.NDArray[np.uint8]) -> None:
    tifffile.imwrite(tmp_path / "odd.tif", noise, resolution=(20000, 30000), resolutionunit=3, photometric="minisblack")
    with pytest.raises(
        DataError, match=r"odd\.tif: this image must not be scored.*seen: scale: the pixels are not square"
    ):
        read(tmp_path / "odd.tif", um_per_px=None)
    # who trains says how large a pixel is
    np.testing.assert_array_equal(read(tmp_path / "odd.tif").pixels, noise)
    tifffile.imwrite(tmp_path / "dim.tif", noise.astype(np.uint16), photometric="minisblack")
    with pytest.raises(DataError, match="depth of grey is unknown"):
        read(tmp_path / "dim.tif")
