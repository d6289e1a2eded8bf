"""What ImageJ's own lines tell of a stack."""

import pytest

from runtime.images.imagej import image_count, is_imagej, read_imagej
from runtime.images.told import STEP_ALONE

STACK = "ImageJ=1.54f\nimages=6\nslices=3\nframes=2\nhyperstack=true\nunit={unit}\nspacing=5.0\nmin=0.0\nmax=99.0\n"


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        ("micron", 0.5),
        ("um", 0.5),
        ("µm", 0.5),
        ("\\u00B5m", 0.5),
        ("mm", 500.0),
        ("nm", 5e-4),
        ("pixel", None),
        ("", None),
    ],
)
def test_scale_in_imagejs_units(unit: str, um: float | None) -> None:
    told = read_imagej(STACK.format(unit=unit), 6, (2.0, 2.0))
    assert told.um_per_px == (None if um is None else pytest.approx(um))
    assert told.bits is None


def test_slices_repeat_with_time() -> None:
    told = read_imagej(STACK.format(unit="um"), 6, None)
    assert (told.z_um, told.notes) == ((0.0, 5.0, 10.0, 0.0, 5.0, 10.0), (STEP_ALONE,))


def test_channels_are_objected_to() -> None:
    told = read_imagej("ImageJ=1.54f\nimages=4\nchannels=2\nslices=2\nunit=um\nspacing=5\n", 4, None)
    assert told.objections[0].startswith("channels: 2")
    assert told.z_um == (0.0, 0.0, 5.0, 5.0)


def test_time_alone_is_no_depth() -> None:
    assert read_imagej("ImageJ=1.54f\nimages=3\nframes=3\nspacing=5\nunit=um\n", 3, None).z_um == (None,) * 3


@pytest.mark.parametrize("images", ["", "x", "-3", "²", "9" * 400])
def test_numbers_that_are_none(images: str) -> None:
    assert is_imagej("ImageJ=")
    assert image_count(f"ImageJ=1\nimages={images}\n") == 1


def test_pixels_that_are_not_square_have_no_scale() -> None:
    told = read_imagej("ImageJ=1\nunit=um\n", 1, (2.0, 3.0))
    assert told.um_per_px is None
    assert told.objections[0].startswith("scale: the pixels are not square")
