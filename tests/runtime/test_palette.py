"""Colours of classes."""

from runtime.overlay.palette import CLASS_COLOURS, class_colour


def test_first_colours_are_those_named_and_repeats_are_lighter() -> None:
    assert CLASS_COLOURS == ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
    assert class_colour(0) == (0xE6, 0x9F, 0x00)
    assert class_colour(6) == (0xCC, 0x79, 0xA7)
    for index in range(7):
        first, second, third = (class_colour(index + 7 * repeat) for repeat in range(3))
        assert sum(first) < sum(second) < sum(third)
    assert len({class_colour(index) for index in range(21)}) == 21
