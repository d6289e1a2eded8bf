import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.images.grey import to_grey

Grey = npt.NDArray[np.uint8]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_equal_channels_become_their_value_for_every_level(dtype: type[np.uint8], channels: int) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(16, -1)
    stored = np.repeat(levels[:, :, None], channels, axis=2)
    stored[:, :, 3:] = 7  # alpha tells nothing
    pixels, colour = to_grey(stored)
    assert np.array_equal(pixels, levels)
    assert pixels.dtype == dtype
    assert not colour


def test_one_channel_passes_through_uncopied(grey: Grey) -> None:
    pixels, colour = to_grey(grey)
    assert pixels is grey
    assert not colour


def test_one_level_of_chroma_rounding_is_still_grey(grey: Grey) -> None:
    for red, blue in ((127, 127), (127, 128), (128, 129), (129, 127), (129, 129)):
        luma = np.clip(grey, 4, 251)
        stored = np.dstack([luma, np.full_like(grey, red), np.full_like(grey, blue)])
        pixels, colour = to_grey(cv2.cvtColor(stored, cv2.COLOR_YCrCb2BGR))
        assert not colour
        assert np.abs(pixels.astype(int) - luma).max() <= 1


@pytest.mark.parametrize("quality", [30, 75, 90, 100])
def test_grey_saved_as_a_colour_jpeg_is_grey(grey: Grey, quality: int) -> None:
    data = cv2.imencode(".jpg", cv2.merge([grey] * 3), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    _, colour = to_grey(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    assert not colour


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_a_single_coloured_pixel_is_colour(grey: Grey, channel: int) -> None:
    stored = np.repeat(grey[:, :, None] // 2, 3, axis=2)
    stored[30, 40, channel] += 12
    _, colour = to_grey(stored)
    assert colour


def test_sixteen_bits_have_no_tolerance() -> None:
    stored = np.full((5, 5, 3), 1000, np.uint16)
    stored[2, 2, 1] = 1004
    assert to_grey(stored)[1]
