"""Ranges and patterns: what a person types and what TOML holds come to the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.said_values import read_pattern, read_patterns, read_range, write_range

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.tuples(finite, finite).map(sorted).filter(lambda both: both[0] < both[1]))
def test_a_range_reads_back(both: list[float]) -> None:
    low, high = both
    assert read_range(both) == read_range((low, high)) == read_range(write_range((low, high))) == (low, high)


@pytest.mark.parametrize(
    "raw", ["", "3", "3:", "5:3", "1:1", "nan:3", "1:inf", "a:b", "1:2:3", [1], [2, 1], [True, 3], 5, None]
)
def test_what_is_no_range_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match=r"range|number|could not convert"):
        read_range(raw)


@pytest.mark.parametrize(
    ("raw", "found"),
    [("HRT3*=1.04", ("HRT3*", 1.04)), ("a=b=0.5", ("a=b", 0.5)), (" Site 2 = 1 ", ("Site 2", 1.0))],
)
def test_the_last_sign_parts_pattern_and_number(raw: str, found: tuple[str, float]) -> None:
    assert read_pattern(raw) == found


@pytest.mark.parametrize("raw", ["", "=1", "a", "a=", "a=0", "a=-1", "a=nan", "a=b"])
def test_what_is_no_pattern_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|number|could not convert"):
        read_pattern(raw)


def test_patterns_keep_their_order() -> None:
    wanted = {"b": 1.0, "a": 0.5}
    assert (
        list(read_patterns("b=1; a=0.5;").items())
        == list(read_patterns({"b": 1, "a": 0.5}).items())
        == list(wanted.items())
    )


@pytest.mark.parametrize("raw", ["", ";", {}, {"a": 0}, {"": 1.0}, {"a": True}, {"a": "b"}, ["a"], 3])
def test_what_are_no_patterns_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match=r"pattern|number|could not convert"):
        read_patterns(raw)
