"""The option of every command that reads a watch's ledger; apart from `options`, which imports the engines."""

from pathlib import Path

import click

results_folder_option = click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The results' folder of a watch."
)
