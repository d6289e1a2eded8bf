"""`inflamap results`."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from runtime.commands.damaged_rows import tell_damaged_rows
from runtime.commands.results_folder import results_folder_option
from runtime.console import print_result, reporter
from runtime.errors import InflamapError
from runtime.ledger import ImageRow, open_ledger
from runtime.ledger.binding import FOLDER_NOTE
from runtime.output_folder import check_output_folder
from runtime.outputs import LEDGER_FILE, write_atomically
from runtime.result_table import to_csv, to_lines
from runtime.version import SYNTHETIC_WARNING


@click.command()
@results_folder_option
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write the whole table to this file; - for stdout.",
)
@click.option("--by", type=click.Choice(["image", "folder"]), default="image", help="A line an image, or a folder.")
@click.option(
    "--plot",
    "plot_file",
    type=click.Path(path_type=Path),
    help="With --by folder: draw the table, as SVG, to this file.",
)
def results(out: Path, csv_file: Path | None, by: str, plot_file: Path | None) -> None:
    """List every image with its score, or the reason why it has none; or what the images of each folder come to."""
    if plot_file is not None and by != "folder":
        raise InflamapError("--plot draws folders", next_step="add --by folder")
    with open_ledger(out) as ledger:
        rows = list(ledger.rows())
        models = ledger.models()
        watched = ledger.noted(FOLDER_NOTE)
        quantity = (ledger.noted("model") or {}).get("quantity")
        damaged = sum(row.damaged for row in rows) + ledger.damaged_notes()
    tell_damaged_rows(damaged)
    warnings = []
    if by == "folder" and any(row.outcome.synthetic for row in rows):
        warnings.append(SYNTHETIC_WARNING)
    if len(models) > 1:
        warnings.append(f"results of {len(models)} models, not to be compared with each other")
    for line in warnings:
        click.echo(f"inflamap: {line}", err=True)
    table = _Folders(rows, out, warnings, quantity) if by == "folder" else _Images(rows)
    if csv_file is None and plot_file is None:
        print_result("\n".join(table.lines()) if rows else "no images yet")
    elif csv_file == Path("-"):
        print_result(table.csv().decode("utf-8").rstrip("\r\n"))
    elif csv_file is not None:
        _write(csv_file, "--csv", out, watched, table.csv(), table.what)
    if plot_file is not None and isinstance(table, _Folders):
        _write(plot_file, "--plot", out, watched, table.svg(), table.what)


class _Images:
    """A line an image."""

    def __init__(self, rows: list[ImageRow]) -> None:
        self._rows = rows
        self.what = f"{len(rows)} image{'s' * (len(rows) != 1)}"

    def lines(self) -> Iterable[str]:
        return to_lines(self._rows)

    def csv(self) -> bytes:
        return to_csv(self._rows)


class _Folders:
    """A line a folder."""

    def __init__(self, rows: list[ImageRow], out: Path, warnings: list[str], quantity: str | None) -> None:
        # numpy and all that reads images, which a list of them need not wait for
        from runtime import folder_report

        self._report, self._warnings, self._quantity = folder_report, warnings, quantity
        self._grades = folder_report.grade_numbers(rows)
        self._folders = folder_report.fold(rows, out, self._grades, by_area=folder_report.has_classes(rows))
        self.what = f"{len(self._folders)} folder{'s' * (len(self._folders) != 1)}"

    def lines(self) -> Iterable[str]:
        width = shutil.get_terminal_size((100, 24)).columns
        return self._report.to_lines(self._folders, self._grades, width, sys.stdout.encoding)

    def csv(self) -> bytes:
        return self._report.to_csv(self._folders)

    def svg(self) -> bytes:
        return self._report.to_svg(self._folders, self._grades, self._warnings, self._quantity)


def _write(path: Path, option: str, out: Path, watched: str | None, data: bytes, what: str) -> None:
    if path.is_dir():
        raise InflamapError(f"{option} {path}: this is a folder", wanted="the name of a file")
    # the watched folder is only read
    check_output_folder(path.parent, [Path(watched)] if watched else [], option=option)
    if path.resolve().parent == out.resolve() and path.name.lower().startswith(LEDGER_FILE):
        raise InflamapError(f"{option} {path}: this is the ledger itself", next_step="choose another name")
    write_atomically(path, data)
    with reporter() as report:
        report.say(f"{what} in {path}")
