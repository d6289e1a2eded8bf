"""`inflamap phantom`."""

from pathlib import Path

import click

from runtime.console import reporter
from runtime.errors import InflamapError
from runtime.output_folder import check_output_folder
from runtime.outputs import said_plainly
from trainer.phantom import write_phantom


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--patches", type=click.IntRange(min=0), default=3797, show_default=True, help="Scored patches.")
@click.option("--frames", type=click.IntRange(min=0), default=8, show_default=True, help="Whole 1000x1000 frames.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def phantom(out: Path, patches: int, frames: int, seed: int) -> None:
    """Draw synthetic confocal skin with known severity into the folder OUT."""
    with reporter() as report:
        check_output_folder(out, [])
        try:
            with said_plainly(out):
                write_phantom(out, patches=patches, frames=frames, seed=seed, progress=report.progress)
        except ValueError as error:
            raise InflamapError(str(error)) from error
        report.say(f"{patches} synthetic patches and {frames} synthetic frames in {out}")
