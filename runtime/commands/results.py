"""`inflamap results`."""

from pathlib import Path

import click

from runtime.commands.results_folder import results_folder_option
from runtime.console import print_result, reporter
from runtime.errors import InflamapError
from runtime.ledger import open_ledger
from runtime.ledger.binding import FOLDER_NOTE
from runtime.output_folder import check_output_folder
from runtime.outputs import LEDGER_FILE, write_atomically
from runtime.result_table import to_csv, to_lines


@click.command()
@results_folder_option
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write the whole table to this file; - for stdout.",
)
def results(out: Path, csv_file: Path | None) -> None:
    """List every image with its score, or the reason why it has none."""
    with open_ledger(out) as ledger:
        rows = list(ledger.rows())
        models = ledger.models()
        watched = ledger.noted(FOLDER_NOTE)
    if len(models) > 1:
        click.echo(f"inflamap: results of {len(models)} models, not to be compared with each other", err=True)
    if csv_file is None:
        print_result("\n".join(to_lines(rows)) if rows else "no images yet")
        return
    if csv_file == Path("-"):
        print_result(to_csv(rows).decode("utf-8").rstrip("\r\n"))
        return
    if csv_file.is_dir():
        raise InflamapError(f"--csv {csv_file}: this is a folder", wanted="the name of a file")
    # the watched folder is only read
    check_output_folder(csv_file.parent, [Path(watched)] if watched else [], option="--csv")
    if csv_file.resolve().parent == out.resolve() and csv_file.name.lower().startswith(LEDGER_FILE):
        raise InflamapError(f"--csv {csv_file}: this is the ledger itself", next_step="choose another name")
    write_atomically(csv_file, to_csv(rows))
    with reporter() as report:
        report.say(f"{len(rows)} image{'s' * (len(rows) != 1)} in {csv_file}")
