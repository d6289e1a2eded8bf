"""`inflamap export`."""

from pathlib import Path

import click

from export.package import DEFAULT_STRIDE_PX, export_bundle
from runtime.console import reporter


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="BUNDLE folder to write.")
@click.option("--name", help="Name of the model in every result. Default: the run's folder name.")
@click.option("--calibration", type=click.Path(path_type=Path), help="The run's data set, if it was moved.")
@click.option("--stride", type=int, default=DEFAULT_STRIDE_PX, show_default=True, help="Pixels between map cells.")
def export(run: Path, out: Path, name: str | None, calibration: Path | None, stride: int) -> None:
    """Turn a finished RUN into a bundle for the microscope PC, and check that it scores as the run does."""
    with reporter() as report:
        export_bundle(run, out, name=name, data=calibration, stride_px=stride, say=report.say)
        report.say(f"bundle in {out}; next: inflamap score IMAGE --bundle {out} --out RESULTS")
