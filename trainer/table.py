"""Tables as people and their spreadsheets write them: CSV files whose first line names the columns."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.column_names import misspelled, unread

# where the columns are separated by ';', these are written with a decimal comma
_NUMBERS = frozenset({"score", "x", "y", "um_per_px"})
# of faults of one cause, and of a list without end
ROWS_SHOWN, LINES_SHOWN = 5, 20


@dataclass(frozen=True)
class Fault:
    """What must be mended before anything is trained.

    Attributes:
        row: line of the table as a person's editor shows it; 0 where no single row is at fault.
        said: the value seen and what was wanted.
        cause: the same for faults that one change mends; empty for a fault of its own kind.
    """

    row: int
    said: str
    cause: str = ""

    def __str__(self) -> str:
        return f"row {self.row}: {self.said}" if self.row else self.said


def fault_lines(faults: Iterable[Fault]) -> list[str]:
    """Return a line for each cause, in the order of the first rows: the first fault, and the number of others."""
    of_cause: dict[object, list[Fault]] = {}
    for number, fault in enumerate(sorted(faults, key=lambda fault: fault.row)):
        of_cause.setdefault(fault.cause or number, []).append(fault)
    return [_line(group) for group in of_cause.values()]


def abridged(lines: Sequence[str]) -> list[str]:
    """Return the first lines of a long list, and a line with the number of others."""
    if len(lines) <= LINES_SHOWN:
        return list(lines)
    return [*lines[:LINES_SHOWN], f"and {len(lines) - LINES_SHOWN} more like these"]


def _line(group: Sequence[Fault]) -> str:
    first, *others = group
    if not others:
        return str(first)
    rows = sorted({fault.row for fault in others if fault.row})
    shown = ", ".join(map(str, rows[:ROWS_SHOWN])) + (", ..." if len(rows) > ROWS_SHOWN else "")
    where = f" (rows {shown})" if len(rows) > 1 else f" (row {shown})" if rows else ""
    return f"{first}; and {len(others)} more of this kind{where}"


@dataclass(frozen=True)
class Table:
    """A table as a person or a spreadsheet wrote it.

    Attributes:
        columns: their names.
        rows: (line, value by column) of each that is not blank, empty where it has no value.
        faults: what keeps it from being read, or all of it.
        notes: columns that are not read although their names suggest it.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]


def read_table(path: Path, wanted: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """Read a CSV file whose first line names the columns.

    The columns are separated by commas, or by semicolons with decimal commas, as spreadsheets in much of Europe write
    them. Blanks around names and values do not count, but in paths. Bytes that are no UTF-8 are kept as
    `surrogateescape` does.

    Args:
        path: the file.
        wanted: columns it must have.
        optional: columns it may have. A column whose name is a slip for one of either is a fault; others are not read.

    Raises:
        OSError: it cannot be read.
    """
    # utf-8-sig: spreadsheets begin the file with a byte order mark
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    header = text.partition("\n")[0]
    semicolons = ";" in header and "," not in header
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if semicolons else ",", strict=True)
    columns: tuple[str, ...] = ()
    rows: list[tuple[int, dict[str, str]]] = []
    faults: list[Fault] = []
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue  # spreadsheets leave such rows at the end
            if any(cell.strip() for cell in cells[len(columns) :]):
                said = f"{len(cells)} values, wanted {len(columns)}, one a column"
                faults.append(Fault(reader.line_num, said, "too many values"))
                continue
            row = dict.fromkeys(columns, "") | {
                name: cell if name == "path" else cell.strip() for name, cell in zip(columns, cells, strict=False)
            }
            if semicolons:
                row |= {name: row[name].replace(",", ".") for name in _NUMBERS & row.keys()}
            rows.append((reader.line_num, row))
    except csv.Error as error:
        faults.append(Fault(reader.line_num, f"{path.name} cannot be read from here on: {error}"))
    known = (*wanted, *optional)
    slips = misspelled(columns, known)
    others = unread([name for name in columns if name not in slips], known)
    notes = tuple(f"{path.name}: column {name!r} is not read (is it {meant!r}?)" for name, meant in others.items())
    faults += [Fault(0, f"{path.name}: column {name!r}, wanted {meant!r}") for name, meant in slips.items()]
    missing = [name for name in wanted if name not in columns and name not in slips.values()]
    if missing:
        faults.append(Fault(0, f"{path.name}: no column {', '.join(missing)}, seen {', '.join(map(repr, columns))}"))
    faults += [
        Fault(0, f"{path.name}: {count} columns are named {name!r}, wanted one")
        for name, count in Counter(columns).items()
        if name and count > 1
    ]
    unusable = missing or set(slips.values()) & set(wanted)
    return Table(columns, () if unusable else tuple(rows), tuple(faults), notes)
