"""Settings that hold more than one number: as a person types them, and as TOML holds them."""

import math
from collections.abc import Mapping, Sequence

Range = tuple[float, float]
RANGE, PATTERNS = "two numbers, the lower first", "patterns, each with a number above 0"


def read_range(raw: object) -> Range:
    """`0:80`, or two numbers in a list.

    Raises:
        ValueError: it is something else.
    """
    parts = raw.split(":") if isinstance(raw, str) else raw
    if isinstance(parts, Sequence) and len(parts) == 2:
        low, high = (_number(part) for part in parts)
        if low < high:
            return low, high
    raise ValueError(f"{raw!r} is no range; wanted: {RANGE}, as in 0:80")


def write_range(found: Range) -> str:
    """What `read_range` reads."""
    return f"{found[0]!r}:{found[1]!r}"


def read_pattern(raw: str) -> tuple[str, float]:
    """`Site 2=0.5`: a pattern may hold `=`, a number cannot.

    Raises:
        ValueError: it is something else.
    """
    pattern, equals, number = raw.rpartition("=")
    found = _number(number) if equals else math.nan
    if pattern.strip() and found > 0:
        return pattern.strip(), found
    raise ValueError(f"{raw!r} is no pattern with a number; wanted: PATTERN=NUMBER, as in HRT3*=1.04")


def read_patterns(raw: object) -> dict[str, float]:
    """Patterns in their order: of a table, or of a text with `;` between them.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(raw, str):
        return dict(read_pattern(part) for part in raw.split(";") if part.strip()) or _no_patterns(raw)
    if not isinstance(raw, Mapping):
        return _no_patterns(raw)
    found = {str(pattern): _number(number) for pattern, number in raw.items()}
    return found if found and all(pattern and number > 0 for pattern, number in found.items()) else _no_patterns(raw)


def _no_patterns(raw: object) -> dict[str, float]:
    raise ValueError(f"{raw!r}; wanted: {PATTERNS}")


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError(f"{raw!r} is no number")  # noqa: TRY004 - whoever reads a file catches one kind
    number = float(raw)
    if not math.isfinite(number):
        raise ValueError(f"{raw!r} is no number")
    return number
