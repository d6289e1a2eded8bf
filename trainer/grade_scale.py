"""The scale of grades that a person gives on the command line, or a run remembers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from runtime.grade_names import whole_numbers

MOST_GRADES = 100
_RANGE = re.compile(r"(\d+)-(\d+)")
_WHOLE_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class GradeScale:
    """Names of the K grades, lowest first, with which scores and sub-folders are compared."""

    names: tuple[str, ...]

    @staticmethod
    def parse(text: str) -> "GradeScale":
        """Return the scale of `1-5`, or of names in their order as in `none,mild,severe`.

        Raises:
            ValueError: fewer than two grades, more than `MOST_GRADES`, or one twice.
        """
        found = _RANGE.fullmatch(text.strip())
        if found:
            lowest, highest = int(found[1]), int(found[2])
            names = [str(grade) for grade in range(lowest, min(highest, lowest + MOST_GRADES) + 1)]
        else:
            names = [name.strip() for name in text.split(",")]
        if not 2 <= len(names) <= MOST_GRADES or not all(names) or len({*names}) < len(names):
            raise ValueError(
                f"a range as 1-5, or 2 to {MOST_GRADES} different names in their order as none,mild,severe"
            )
        return GradeScale(tuple(names))

    def index(self, text: str) -> int:
        """Return the grade of a score as it stands in a table; `3.0` is `3`.

        Raises:
            ValueError: it is no grade of the scale.
        """
        if text in self.names:
            return self.names.index(text)
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if number.is_integer() and str(int(number)) in self.names:
            return self.names.index(str(int(number)))
        raise ValueError(f"a grade of {self}")

    @property
    def lowest(self) -> int | None:
        """The lowest grade of consecutive whole numbers; None for other names."""
        numbers = whole_numbers(self.names)
        return None if numbers is None else numbers[0]

    def __str__(self) -> str:
        return ",".join(self.names) if self.lowest is None else f"{self.names[0]}-{self.names[-1]}"


def in_natural_order(names: Sequence[str]) -> list[str]:
    """Return names in order, numbers in them by their value: `2` before `10`."""
    return sorted(names, key=lambda name: [_part(part) for part in re.split(r"(\d+)", name)])


def order_warning(grades: Sequence[str]) -> str | None:
    """Return a warning where the order of the grades is only that of the alphabet; None where numbers give it."""
    numbers = [found and int(found[0]) for found in map(_WHOLE_NUMBER.search, grades)]
    known = [number for number in numbers if number is not None]
    if len(known) == len(grades) and all(lower < higher for lower, higher in pairwise(known)):
        return None
    return (
        f"the grades {', '.join(grades)} are taken in the order of the alphabet, lowest first, as one scale: if that "
        f"is wrong, give the order as --grades {','.join(grades)}, or --loss cross-entropy where there is none"
    )


def _part(text: str) -> tuple[int, int, str]:
    """Return a key by which numbers come before words."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)
