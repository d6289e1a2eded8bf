"""Captions are read in the fonts that are likely, and in no font read wrongly."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.microscope_files.captions import KNOWN_FONTS, OTHER_FONTS, Said, draw_said, photographed
from runtime.images.caption import read_caption
from runtime.images.vivascope import NO_CAPTION, Caption

DRAW = KNOWN_FONTS["DejaVu Sans"]


def wrong(found: Caption, said: Said) -> list[str]:
    """What was read, and is not what stands there."""
    pairs = {"x": (found.x_mm, said.x_mm), "y": (found.y_mm, said.y_mm), "z": (found.z_um, said.z_um)}
    return [
        f"{name}: {got} of {said.text}" for name, (got, is_) in pairs.items() if got not in (None, pytest.approx(is_))
    ]


@pytest.mark.parametrize("font", KNOWN_FONTS)
@pytest.mark.parametrize("size", [20, 23, 26])
def test_captions_in_likely_fonts_are_read(font: str, size: int) -> None:
    rng = np.random.default_rng(size)
    fields = 0
    for _ in range(8):
        said = draw_said(rng)
        found = read_caption(photographed(KNOWN_FONTS[font](said.text, size), rng))
        assert wrong(found, said) == []
        fields += sum(value is not None for value in (found.x_mm, found.y_mm, found.z_um))
    assert fields >= 0.75 * 24


@pytest.mark.parametrize("font", KNOWN_FONTS | OTHER_FONTS)
def test_no_caption_is_read_wrongly(font: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(40):
        said, size = draw_said(rng), int(rng.integers(9, 28))
        strip = (KNOWN_FONTS | OTHER_FONTS)[font](said.text, size)
        assert wrong(read_caption(photographed(strip, rng)), said) == []


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("X: 1.25 mm  Y: -0.50 mm  Z: 35.2 um", Caption(1.25, -0.5, 35.2)),
        ("X: 1250 um  Y: 500 µm  Z: 0.035 mm", Caption(1.25, 0.5, 35.0)),
        ("Z: 35", Caption(z_um=35.0)),
        ("Z 12 X 3", Caption(x_mm=3.0, z_um=12.0)),
        # not one of a kind
        ("Z: 35 Z: 40", NO_CAPTION),
        ("Z: 35 Z X: 3", NO_CAPTION),
        # a label without a number behind a number, as a slanted 7 may look
        ("X: 3 Y: 2Z", Caption(x_mm=3.0)),
        # a number that goes on, ends early, or has none
        ("Z: 35.2.1", NO_CAPTION),
        ("Z: 35.", NO_CAPTION),
        ("Z:", NO_CAPTION),
        ("Z: 12345678", NO_CAPTION),
        # no unit of length, and words
        ("Z: 35 kg", NO_CAPTION),
        ("DEPTH 35", NO_CAPTION),
        # two numbers
        ("Z: 12   35", NO_CAPTION),
        # no microscope goes there
        ("X: 900 mm Z: 5000 um", NO_CAPTION),
        ("", NO_CAPTION),
    ],
)
def test_what_is_said(text: str, caption: Caption) -> None:
    found = read_caption(DRAW(text, 20))
    assert (found.x_mm, found.y_mm, found.z_um) == pytest.approx((caption.x_mm, caption.y_mm, caption.z_um))


def test_a_caption_of_two_lines() -> None:
    strip = np.maximum(DRAW("v0000012.bmp", 14), np.roll(DRAW("X: 1.5 Y: 2.5 Z: 30", 14), 20, 0))
    assert read_caption(strip) == Caption(1.5, 2.5, 30.0)


@pytest.mark.parametrize("sign", ["-", "."])
def test_a_stroke_that_is_nearly_lost_leaves_the_number_unread(sign: str) -> None:
    whole, without = DRAW("X: 1 Z: -3.5", 20), DRAW("X: 1 Z: -3.5".replace(sign, " "), 20)
    assert read_caption(whole).z_um == -3.5
    faint = np.where(whole != without, 0.4 * whole, whole).astype(np.uint8)
    assert read_caption(faint).z_um is None


@given(arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 120))))
def test_anything_else_is_no_crash(strip: npt.NDArray[np.uint8]) -> None:
    read_caption(strip)


@pytest.mark.parametrize("seed", range(20))
def test_tissue_and_noise_say_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (45, 1000), np.uint8)
    assert read_caption(noise) == NO_CAPTION
    assert read_caption((noise > 230).astype(np.uint8) * 255) == NO_CAPTION
