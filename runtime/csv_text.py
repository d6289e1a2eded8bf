"""Tables as CSV, for a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence


def csv_of(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> bytes:
    """A header and a line each; UTF-8. Bytes of names that are no UTF-8 are escaped as \\udcXX.

    Args:
        columns: in their order.
        lines: values by column; None is an empty cell.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode("utf-8", errors="backslashreplace")
