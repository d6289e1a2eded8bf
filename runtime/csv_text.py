"""Tables as CSV, for a spreadsheet."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

# what a spreadsheet takes for the beginning of a formula, after `unicodedata` made full-width and raised forms plain;
# U+2212 is the minus sign of a printed text
_FORMULA = frozenset("=+-@\u2212")
# a cell that begins with one of these is cut there by some programs, and what follows is a cell of its own
_BREAKS = frozenset("\t\r\n")


def csv_of(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> bytes:
    """Write a header and a line each, as UTF-8. Bytes of names that are no UTF-8 are escaped as \\udcXX.

    Text that a spreadsheet would take for a formula gets a leading apostrophe; numbers stay as they are.

    Args:
        columns: in their order.
        lines: values by column; None is an empty cell.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(map(as_cell, columns))
    writer.writerows([as_cell(line.get(column)) for column in columns] for line in lines)
    return text.getvalue().encode("utf-8", errors="backslashreplace")


def as_cell(value: object) -> object:
    """Return a value as it stands in a cell: text that may be run as a formula begins with an apostrophe.

    Names of files come from outside, and a spreadsheet runs `=cmd|...` or `@SUM(...)` when it opens the table. To
    undo it, remove the first apostrophe of a cell whose rest would have been given one.
    """
    return f"'{value}" if isinstance(value, str) and _may_be_run(value) else value


def _may_be_run(text: str) -> bool:
    """Tell whether the first character that counts begins a formula; spaces, quotes and invisible ones do not count."""
    for letter in text:
        if letter in _BREAKS:
            return True
        if letter in "'\"`" or unicodedata.category(letter) in _SKIPPED:
            continue
        return unicodedata.normalize("NFKC", letter)[:1] in _FORMULA
    return False


# spaces, control and format characters (zero-width ones, the byte order mark), quotation marks
_SKIPPED = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Pi", "Pf"})
