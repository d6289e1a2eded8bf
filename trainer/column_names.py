"""Slips in the names of a table's columns, which would otherwise go unread."""

import re
from collections.abc import Iterable, Sequence

# other spellings that people use for the scale
_SAME = {"umpx": "umperpx", "umperpixel": "umperpx", "micronsperpixel": "umperpx", "micronsperpx": "umperpx"}
# a slip in a shorter name makes another word
_SHORTEST = 4
# one letter off, but words of their own
_WORDS = frozenset({"later", "patch", "rate", "rated", "slit", "spit", "store", "water"})


def misspelled(columns: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Return the known column that each misspelled one is meant for.

    A slip is a difference in case, blanks or punctuation, or of one letter in a longer name. A column that is one
    letter off a known one is taken for another where that one is there too.
    """
    there = list(columns)
    slips = {}
    for name in there:
        if not name or name in known or _plain(name) in _WORDS:
            continue
        for meant in known:
            same = _plain(name) == _plain(meant)
            near = len(meant) >= _SHORTEST and _is_one_letter_off(_plain(name), _plain(meant))
            if same or (near and meant not in there):
                slips[name] = meant
                break
    return slips


def unread(columns: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """Return the known column that each column's name begins with, as in `score 2`, where that is not read itself."""
    return {
        name: meant
        for name in columns
        for meant in known
        if len(meant) > _SHORTEST and name not in known and _plain(name).startswith(_plain(meant))
    }


def _plain(name: str) -> str:
    letters = re.sub(r"[\W_]", "", name.casefold().replace("µ", "u").replace("μ", "u"))
    return _SAME.get(letters, letters)


def _is_one_letter_off(name: str, meant: str) -> bool:
    """Whether one letter is missing, too many, another, or two neighbours are swapped."""
    if abs(len(name) - len(meant)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(name, meant, strict=False)) if a != b), min(len(name), len(meant)))
    rest, wanted = name[start:], meant[start:]
    swapped = wanted[1:2] + wanted[:1] + wanted[2:]
    return rest[1:] == wanted or rest == wanted[1:] or rest[1:] == wanted[1:] or rest == swapped
