"""Figures of patches, held against their definition pixel by pixel."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from runtime.dense_map import Geometry
from runtime.patch_statistics import PatchStatistics, patch_statistics


def by_definition(patch: npt.NDArray[np.uint8], block: int) -> tuple[float, float, float, float, float]:
    grey = patch.astype(float)
    variance = grey.var()

    def covariance(apart: int) -> float:
        squares = []
        for turned in (grey, grey.T):
            for left in range(turned.shape[1] - apart):
                # both within one block
                if left % block + apart < block:
                    squares.append((turned[:, left] - turned[:, left + apart]) ** 2)
        return float(variance - np.mean(squares) / 2)

    near = covariance(1)
    structure = near / variance if variance else 0.0
    detail = 1.0
    if block > 6 and near - covariance(6) > 0.05 * variance:
        detail = (near - covariance(3)) / (near - covariance(6))
    return grey.mean(), grey.std(), (patch == 255).mean(), min(1, max(0, structure)), min(1, max(0, detail))


@settings(max_examples=40, deadline=None)
@given(
    cells=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    rest=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    shape=st.sampled_from([(16, 8), (16, 4), (24, 8), (16, 16), (24, 16)]),
    seed=st.integers(0, 99),
    sigma=st.floats(0.3, 3),
)
def test_every_patch_has_its_own_figures(
    cells: tuple[int, int], rest: tuple[int, int], shape: tuple[int, int], seed: int, sigma: float
) -> None:
    patch_px, stride_px = shape
    geometry = Geometry(patch_px, stride_px, 0.5)
    height, width = (
        patch_px + (number - 1) * stride_px + min(more, stride_px - 1) for number, more in zip(cells, rest, strict=True)
    )
    noise = np.random.default_rng(seed).normal(120, 400, (height, width))
    pixels = np.clip(cv2.GaussianBlur(noise, (0, 0), sigma), 0, 255).astype(np.uint8)
    found = patch_statistics(pixels, geometry)
    assert found.mean.shape == cells
    block = int(np.gcd(patch_px, stride_px))
    for i, j in np.ndindex(cells):
        top, left = i * stride_px, j * stride_px
        wanted = by_definition(pixels[top : top + patch_px, left : left + patch_px], block)
        seen = [getattr(found, name)[i, j] for name in PatchStatistics.__struct_fields__]
        assert seen == pytest.approx(wanted, rel=1e-3, abs=2e-3)


def test_a_frame_in_bands_has_the_figures_of_its_parts() -> None:
    geometry = Geometry(128, 16, 0.5)
    pixels = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (2300, 200), np.uint8), (0, 0), 2)
    whole = patch_statistics(pixels, geometry)
    below = patch_statistics(pixels[1600:], geometry)
    np.testing.assert_allclose(whole.detail[100:], below.detail, atol=1e-4)
    np.testing.assert_allclose(whole.mean[100:], below.mean)


def test_tiles_make_up_the_frame() -> None:
    geometry = Geometry(32, 16, 0.5)
    pixels = np.random.default_rng(1).integers(0, 256, (97, 130), np.uint8)
    whole = patch_statistics(pixels, geometry)
    tiles = []
    for rows in (np.s_[0:2], np.s_[2:5]):
        for columns in (np.s_[0:3], np.s_[3:7]):
            below = pixels[16 * rows.start : 16 * rows.stop + 16, 16 * columns.start : 16 * columns.stop + 16]
            tiles.append(((rows, columns), patch_statistics(below, geometry)))
    together = PatchStatistics.of_tiles(tiles[::-1])
    for name, values in asdict(whole).items():
        np.testing.assert_array_equal(getattr(together, name), values)


def texture(sigma: float, *, shading: float = 0.0, noise: float = 0.0) -> float:
    """Median detail of fine texture out of focus by so much, unevenly lit, seen by a noisy camera."""
    rng = np.random.default_rng(3)
    fine = cv2.GaussianBlur(rng.normal(0, 1, (256, 256)), (0, 0), 1)
    seen = 120 + 25 * (cv2.GaussianBlur(fine, (0, 0), sigma) if sigma else fine) / fine.std()
    seen = seen * (1 + shading * np.linspace(-1, 1, 256)) + rng.normal(0, noise, seen.shape)
    pixels = np.clip(seen, 0, 255).astype(np.uint8)
    return float(np.median(patch_statistics(pixels, Geometry(128, 16, 0.5)).detail))


def test_blur_takes_detail_away() -> None:
    found = [texture(sigma) for sigma in (0.0, 1.0, 2.0, 3.0, 4.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.8
    assert found[-1] < 0.35


def test_neither_grain_nor_shading_changes_what_is_said_of_blur() -> None:
    for sigma in (0.0, 2.0):
        plain = texture(sigma)
        assert texture(sigma, noise=8) == pytest.approx(plain, abs=0.05)
        assert texture(sigma, shading=0.5) == pytest.approx(plain, abs=0.05)


def test_grain_alone_has_no_structure_and_says_nothing_of_detail() -> None:
    grain = np.random.default_rng(2).integers(0, 256, (256, 256), np.uint8)
    found = patch_statistics(grain, Geometry(128, 16, 0.5))
    assert np.abs(found.structure).max() < 0.05
    assert (found.detail > 0.6).all()
