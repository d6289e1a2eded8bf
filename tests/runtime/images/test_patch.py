"""One patch out of a file: the right pixels, the right scale, and a hash that knows it again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from runtime.errors import DataError
from runtime.images.patch import PatchPixels, middle, read_patch


def read(path: Path, corner: tuple[int, int] | None = None, um_per_px: float | None = 0.5) -> PatchPixels:
    return read_patch(path, corner=corner, um_per_px=um_per_px, patch_px=32, model_um_per_px=0.5)


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
    corners = {read(tmp_path / "a.png", corner).sha256 for corner in (None, (0, 0), (1, 0), (0, 1))}
    assert len(corners) == 4


@pytest.mark.parametrize(("corner", "seen"), [((65, 0), "31x32"), ((0, 49), "32x31")])
def test_patch_that_reaches_over_the_edge_is_refused(
    corner: tuple[int, int],
    seen: str,
    tmp_path: Path,
    noise: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
) -> None:
    save_image(tmp_path / "a.png", noise)
    with pytest.raises(DataError, match=f"from x,y {corner[0]},{corner[1]}; seen: {seen} px; wanted: at least 32x32"):
        read(tmp_path / "a.png", corner)


def test_colour_patch_is_refused(tmp_path: Path, noise: npt.NDArray[np.uint8], save_image: Callable[..., str]) -> None:
    save_image(tmp_path / "a.png", np.dstack([noise, noise[::-1], noise]))
    with pytest.raises(DataError, match="a colour image; wanted: a grey confocal image"):
        read(tmp_path / "a.png")


def test_middle() -> None:
    pixels = np.arange(42, dtype=np.uint8).reshape(6, 7)
    np.testing.assert_array_equal(middle(pixels, 4), pixels[1:5, 1:5])
