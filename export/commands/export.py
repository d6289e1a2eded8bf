"""`inflamap export`."""

from pathlib import Path

import click

from export.package import DEFAULT_STRIDE_PX, export_bundle
from runtime.console import reporter
from runtime.result import DEFAULT_QUANTITY


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="BUNDLE folder to write.")
@click.option("--name", help="Name of the model in every result. Default: the run's folder name.")
@click.option(
    "--quantity",
    default=DEFAULT_QUANTITY,
    show_default=True,
    help="What the score is called on overlay and page; grades without an order show their class instead.",
)
@click.option("--calibration", type=click.Path(path_type=Path), help="The run's data set, if it was moved.")
@click.option("--stride", type=int, default=DEFAULT_STRIDE_PX, show_default=True, help="Pixels between map cells.")
@click.option("--tensorrt", is_flag=True, help="Also build TensorRT's plans here and judge its engines; needs a GPU.")
@click.option(
    "--refuse",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Images that the model must withhold, whatever else it learned. Default: those given to `train --refuse`.",
)
def export(
    run: Path,
    out: Path,
    name: str | None,
    quantity: str,
    calibration: Path | None,
    stride: int,
    tensorrt: bool,
    refuse: Path | None,
) -> None:
    """Turn a finished RUN into a bundle for the microscope PC, and prove that it keeps the run's grades.

    Writes the model in FP32, in FP16 and in INT8 for TensorRT, and in INT8 for processors. A quantised model that does
    not keep the grades is not written, and the exit code is 1.
    """
    with reporter() as report:
        export_bundle(
            run,
            out,
            name=name,
            quantity=quantity,
            data=calibration,
            stride_px=stride,
            tensorrt=tensorrt,
            refuse=refuse,
            say=report.say,
        )
        report.say(f"bundle in {out}; next, on the microscope's PC: inflamap bench {out} --accept")
