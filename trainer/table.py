"""Tables as people and their spreadsheets write them: CSV files whose first line names the columns."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# where the columns are separated by ';', these are written with a decimal comma
_NUMBERS = frozenset({"score", "x", "y", "um_per_px"})


@dataclass(frozen=True)
class Fault:
    """What must be mended before anything is trained.

    Attributes:
        row: line of the table as a person's editor shows it; 0 where no single row is at fault.
        said: the value seen and what was wanted.
    """

    row: int
    said: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.said}" if self.row else self.said


@dataclass(frozen=True)
class Table:
    """A table as a person or a spreadsheet wrote it.

    Attributes:
        columns: their names.
        rows: (line, value by column) of each that is not blank, empty where it has no value.
        faults: what keeps it from being read, or all of it.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    faults: tuple[Fault, ...]


def read_table(path: Path, wanted: Iterable[str]) -> Table:
    """Read a CSV file whose first line names the columns.

    The columns are separated by commas, or by semicolons with decimal commas, as spreadsheets in much of Europe write
    them. Blanks around names and values do not count, but in paths. Bytes that are no UTF-8 are kept as
    `surrogateescape` does.

    Args:
        path: the file.
        wanted: columns it must have.

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
                faults.append(Fault(reader.line_num, f"{len(cells)} values, wanted {len(columns)}, one a column"))
                continue
            row = dict.fromkeys(columns, "") | {
                name: cell if name == "path" else cell.strip() for name, cell in zip(columns, cells, strict=False)
            }
            if semicolons:
                row |= {name: row[name].replace(",", ".") for name in _NUMBERS & row.keys()}
            rows.append((reader.line_num, row))
    except csv.Error as error:
        faults.append(Fault(reader.line_num, f"{path.name} cannot be read from here on: {error}"))
    missing = [name for name in wanted if name not in columns]
    if missing:
        faults.append(Fault(0, f"{path.name}: no column {', '.join(missing)}, seen {', '.join(map(repr, columns))}"))
    faults += [
        Fault(0, f"{path.name}: {count} columns are named {name!r}, wanted one")
        for name, count in Counter(columns).items()
        if name and count > 1
    ]
    return Table(columns, () if missing else tuple(rows), tuple(faults))
