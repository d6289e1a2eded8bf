import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.errors import InflamapError
from runtime.images import Frame, GreyDepth, on_grid, picture, reduced_picture, to_model_scale

MODEL = 0.5
scales = st.floats(0.15, 1.5)
# a shared or busy machine is no failure
unhurried = settings(deadline=None)


def frame(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], um_per_px: float | None) -> Frame:
    return Frame(pixels, GreyDepth.of_bits(8 * pixels.dtype.itemsize, "type"), "00", um_per_px, "option")


def blob(height: int, width: int, y: float, x: float, sigma: float) -> npt.NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width]
    return np.rint(250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))).astype(np.uint8)


def centre(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(image * rows).sum(), (image * columns).sum()], float) / image.sum(dtype=float)


@unhurried
@given(
    st.integers(150, 420),
    st.integers(150, 420),
    scales.filter(lambda s: s != MODEL),
    st.floats(0, 1),
    st.floats(0, 1),
)
@example(419, 399, 0.25175, 1.0, 1.0)  # 210.97 px wanted: the ratio of rounded sizes would be off at the edge
@example(384, 384, 400 / 384, 1.0, 1.0)  # HRT3
@example(400, 400, 0.49975, 1.0, 1.0)  # 399.8 and 400.2 px wanted: the size stays, the scale does not
@example(400, 400, 0.50025, 1.0, 1.0)
def test_a_position_in_um_is_kept(height: int, width: int, um_per_px: float, v: float, u: float) -> None:
    sigma = 8.0
    margin = 5 * sigma
    y, x = margin + v * (height - 1 - 2 * margin), margin + u * (width - 1 - 2 * margin)
    scaled = to_model_scale(frame(blob(height, width, y, x, sigma), um_per_px), MODEL)
    # pixel centres lie half a pixel inside
    found_um = (centre(scaled) + 0.5) * MODEL
    true_um = (np.array([y, x]) + 0.5) * um_per_px
    assert np.abs(found_um - true_um).max() < 0.1 * min(MODEL, um_per_px)


def test_the_last_pixels_of_a_mosaic_are_where_they_should_be() -> None:
    strip = np.zeros((200, 16000), np.uint8)
    strip[:, -200:] = blob(200, 200, 100, 100, 8)
    scaled = to_model_scale(frame(strip, 0.49999), MODEL)
    assert (centre(scaled)[1] + 0.5) * MODEL == pytest.approx((16000 - 200 + 100.5) * 0.49999, abs=0.05)


def test_the_grid_begins_at_the_frames_edge_and_not_at_its_first_pixel_centre() -> None:
    # 2.4 px wanted, so 2: the second is sampled at 1.5 / 1.2 - 0.5 = 0.75 between the two; from centres, at 0.83
    step = np.array([[0, 255], [0, 255]], np.uint8)
    scaled = to_model_scale(frame(step, 1.2 * MODEL), MODEL)
    assert scaled[:, 1] == pytest.approx(0.75 * 255, abs=10)


@unhurried
@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.0005, 2.0))
@example(901, 903, 0.25)  # 450.5 and 451.5: halves go to the even size
@example(1, 300, 0.001)
def test_the_size_is_the_scaled_size_rounded_and_never_nothing(height: int, width: int, um_per_px: float) -> None:
    scaled = to_model_scale(frame(np.full((height, width), 77, np.uint8), um_per_px), MODEL)
    factor = um_per_px / MODEL
    assert scaled.shape == (max(1, round(height * factor)), max(1, round(width * factor)))
    assert scaled.dtype == np.uint8
    assert scaled.flags.c_contiguous
    assert (scaled == 77).all(), "a flat field stays flat, at its edges too"


def test_at_the_models_own_scale_the_very_pixels_come_back(grey: npt.NDArray[np.uint8]) -> None:
    for same in (to_model_scale(frame(grey, MODEL), MODEL), picture(frame(grey, None))):
        assert np.array_equal(same, grey)
        assert np.shares_memory(same, grey), "no copy"


@unhurried
@given(st.sampled_from([0.15, 0.3, 0.5, 0.7, 400 / 384, 1.5]), st.integers(2, 200))
def test_sixteen_bits_and_eight_bits_of_one_ramp_agree(um_per_px: float, width: int) -> None:
    ramp = np.tile(np.linspace(0, 255, width).round().astype(np.uint8), (20, 1))
    deep = ramp.astype(np.uint16) * 257
    from_8, from_16 = (to_model_scale(frame(image, um_per_px), MODEL).astype(int) for image in (ramp, deep))
    assert np.abs(from_8 - from_16).max() <= 1
    assert (from_8 != from_16).mean() < 0.02, "only ties may fall to the other side"


def test_depth_is_kept_until_after_resampling() -> None:
    # 10.51 three times and 9.60 of 255 have the mean 10.28; rounded before, 11 three times and 10, they have 10.75
    fine = np.tile(np.array([[2701, 2701], [2701, 2467]], np.uint16), (20, 20))
    scaled = to_model_scale(frame(fine, 0.25), MODEL)
    assert (scaled == 10).all()


@pytest.mark.parametrize("level", [0, 1, 128, 129, 385, 386, 32767, 65535])
def test_the_picture_of_sixteen_bits_is_the_nearest_of_256_levels(level: int) -> None:
    deep = frame(np.full((2, 3), level, np.uint16), 0.5)
    assert (picture(deep) == round(level / 257)).all()
    assert np.array_equal(to_model_scale(deep, 0.5), picture(deep))


def test_enlarging_keeps_the_contrast_of_texture() -> None:
    noise = cv2.GaussianBlur(np.random.default_rng(5).normal(0, 1, (300, 300)), (0, 0), 1)
    texture = (128 + 30 * noise / noise.std()).round().astype(np.uint8)
    scaled = to_model_scale(frame(texture, 0.7), MODEL)
    assert scaled.std() / texture.std() == pytest.approx(1, abs=0.03)


def test_overshoot_at_an_edge_does_not_wrap_round() -> None:
    edge = np.repeat(np.array([[0, 255]], np.uint8), 20, axis=1).repeat(20, axis=0)
    for um_per_px in (0.501, 0.7, 1.3):
        scaled = to_model_scale(frame(edge, um_per_px), MODEL).astype(int)
        assert (np.diff(scaled, axis=1) >= 0).all()


def test_shrinking_averages_instead_of_aliasing() -> None:
    stripes = np.zeros((300, 300), np.uint8)
    stripes[:, ::2] = 200
    scaled = to_model_scale(frame(stripes, 0.17), MODEL)
    assert scaled.std() < 25
    assert scaled.mean() == pytest.approx(100, abs=1)


@unhurried
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    um_per_px=st.sampled_from([0.15, 0.35, 0.49999, 0.5, 0.50025, 0.7, 400 / 384]) | scales,
    deep=st.booleans(),
    ends=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_windows_agree_with_the_whole_to_the_last_bit(
    size: tuple[int, int], um_per_px: float, deep: bool, ends: tuple[float, float, float, float]
) -> None:
    noise = np.random.default_rng(1).integers(0, 65536, size, np.uint16)
    grid = on_grid(frame(noise if deep else (noise >> 8).astype(np.uint8), um_per_px), MODEL)
    rows, columns = (
        np.s_[min(first, other) : max(first, other) + 1]
        for first, other in (
            [int(end * (length - 1)) for end in pair]
            for pair, length in zip((ends[:2], ends[2:]), grid.shape, strict=True)
        )
    )
    window = grid.window(rows, columns)
    np.testing.assert_array_equal(window, grid.whole()[rows, columns])
    assert window.flags.c_contiguous


def test_a_picture_is_reduced_to_what_can_be_shown() -> None:
    wide = np.tile(np.arange(0, 250, dtype=np.uint8), (3, 4))
    shown, factor = reduced_picture(frame(wide, None), 100)
    assert (shown.shape, factor) == ((1, 100), 0.1)
    np.testing.assert_allclose(shown[0], wide[0].reshape(100, 10).mean(axis=1), atol=0.5)
    assert reduced_picture(frame(wide, None), 1000)[1] == 1.0


def test_an_unknown_scale_is_an_error_that_names_the_option() -> None:
    with pytest.raises(InflamapError, match="--um-per-px"):
        to_model_scale(frame(np.zeros((5, 5), np.uint8), None), MODEL)


def test_a_scale_that_would_fill_memory_is_refused() -> None:
    with pytest.raises(InflamapError, match="too large at the model's scale"):
        to_model_scale(frame(np.zeros((1000, 1000), np.uint8), 500.0), MODEL)
