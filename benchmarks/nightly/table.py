"""The table of the nightly job in its document."""

from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

from benchmarks.nightly.run import Row
from runtime.errors import InflamapError
from runtime.outputs import write_atomically

BEGIN, END = "<!-- table -->\n", "<!-- end -->"
HEAD = "| suite | result | figures | took | commit | date |\n|---|---|---|---|---|---|\n"


def rewrite(document: Path, rows: Iterable[Row], known: Iterable[str]) -> None:
    """Put rows into the table of a document; rows of other suites stay, those of suites that are gone go.

    Args:
        document: holds the table between its marks.
        rows: new rows.
        known: names of all suites there are, in the order of the table.

    Raises:
        InflamapError: the document does not hold the marks.
    """
    text = document.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _table, end, after = rest.partition(END)
    if not (begin and end):
        raise InflamapError(f"{document}: holds no table", wanted=f"the lines {BEGIN.strip()} and {END}")
    lines = {_cells(line)[0]: line for line in _table.splitlines() if line.startswith("| ")}
    lines |= {row.suite: _line(row) for row in rows}
    table = "".join(f"{lines[name]}\n" for name in known if name in lines)
    write_atomically(document, f"{before}{begin}{HEAD}{table}{end}{after}".encode())


def _line(row: Row) -> str:
    # a figure may hold what ends a cell, or a line
    return "| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in astuple(row)) + " |"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
