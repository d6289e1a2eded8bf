"""Whole numbers as names of grades: where the scale of the scores begins."""

from collections.abc import Iterable

# up to here float32, as in a map, holds a grade to a thousandth
MAX_DIGITS = 4


def whole_numbers(names: Iterable[str]) -> range | None:
    """Return the numbers that name the grades; None where they are not consecutive whole numbers, lowest first."""
    found = tuple(names)
    if not found or not (found[0].isascii() and found[0].isdecimal() and len(found[0]) <= MAX_DIGITS):
        return None
    numbers = range(int(found[0]), int(found[0]) + len(found))
    return numbers if found == tuple(map(str, numbers)) else None


def lowest_grade(names: Iterable[str]) -> int:
    """Return the number of the lowest of ordered grades: the one that names it, else 0; see `whole_numbers`."""
    numbers = whole_numbers(names)
    return 0 if numbers is None else numbers[0]
