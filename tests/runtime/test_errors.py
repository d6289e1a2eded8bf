"""An error is one line: what, the value seen, the value wanted, the next step."""

import pytest

from runtime.errors import BundleError, CheckFailed, DataError, InflamapError, UnreadableImage


def test_line_holds_all_four_in_order() -> None:
    error = InflamapError("--stride", seen=7, wanted="a multiple of 8", next_step="give 8")
    assert str(error) == "--stride; seen: 7; wanted: a multiple of 8; next: give 8"


def test_what_is_not_given_is_not_said_and_zero_is_a_value() -> None:
    assert str(InflamapError("odd", seen=0)) == "odd; seen: 0"
    assert str(InflamapError("odd")) == "odd"


def test_it_stays_one_line_and_names_keep_their_spaces() -> None:
    error = UnreadableImage("a  b.bmp: broken", seen="first\nsecond")
    assert str(error) == "a  b.bmp: broken; seen: first second"


def test_nothing_in_a_name_reaches_the_terminal_as_a_command() -> None:
    assert str(UnreadableImage("\x1b[31mred\udcff ä µ.bmp")) == "\\x1b[31mred\\udcff ä µ.bmp"


def test_details_are_lines_of_their_own_and_as_safe() -> None:
    error = DataError("scores.csv: 2 fault(s)", details=(text for text in ("row 2:\n\x1b[31mred", "row 3: odd")))
    assert error.details == ("row 2: \\x1b[31mred", "row 3: odd")
    assert str(error) == "scores.csv: 2 fault(s)"
    assert InflamapError("odd").details == ()


@pytest.mark.parametrize(
    ("kind", "code"), [(InflamapError, 2), (UnreadableImage, 2), (BundleError, 2), (DataError, 2), (CheckFailed, 1)]
)
def test_exit_codes_of_the_contract(kind: type[InflamapError], code: int) -> None:
    assert kind.exit_code == code
