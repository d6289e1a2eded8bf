"""`inflamap score`."""

import json
import shlex
from pathlib import Path, PurePath
from typing import Any

import click

from runtime.acquisition import Acquisition
from runtime.bundle import open_bundle
from runtime.commands.options import scoring_options
from runtime.console import print_result, reporter
from runtime.errors import InflamapError
from runtime.inputs import gather_inputs
from runtime.model import Model
from runtime.output_folder import HoldsResults, check_output_folder
from runtime.outputs import LEDGER_FILE
from runtime.result import Result, summary_line
from runtime.said_values import Range
from runtime.score_files import ResultWriter, score_files


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(readable=False, path_type=Path), metavar="PATH...")
@scoring_options()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def score(
    context: click.Context,
    paths: tuple[Path, ...],
    bundle_folder: Path,
    out: Path,
    engine: str,
    um_per_px: float | None,
    um_per_px_in: tuple[tuple[str, float], ...],
    grey_range: Range | None,
    depth_um: Range | None,
    stack_step_um: float | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Score images, or all images below folders, and write score, map and overlay of each under --out."""
    check_output_folder(out, paths)
    acquisition = Acquisition(um_per_px, dict(um_per_px_in), grey_range, depth_um, stack_step_um)
    inputs = gather_inputs(paths)
    bundle = open_bundle(bundle_folder)
    results: list[Result] = []
    failed: list[dict[str, Any]] = []
    with reporter() as report, ResultWriter() as writer:
        model = Model.load(bundle, engine, threads=threads, say=report.say)

        def fail(path: Path, error: InflamapError) -> None:
            failed.append({"path": str(path), "error": str(error)})
            report.say(f"inflamap: {error}")

        for path, fault in inputs.faults:
            fail(path, fault)
        for folder in inputs.left_out:
            report.say(str(HoldsResults.of(folder)))
        watched: frozenset[PurePath] = frozenset()
        if (out / LEDGER_FILE).exists():
            # some 50 ms, which only a folder that a watch keeps account of costs
            from runtime.ledger.binding import watched_images

            watched = watched_images(out)

        for image in inputs.images:
            if image.relative in watched:
                retry = f"inflamap retry --out {shlex.quote(str(out))} {shlex.quote(str(image.relative))}"
                problem = InflamapError(
                    f"{image.path}: its result in {out} belongs to a watch",
                    next_step=f"choose another --out, or `{retry}`",
                )
                fail(image.path, problem)
        images = [image for image in inputs.images if image.relative not in watched]
        outcomes = score_files(images, out, model, writer, acquisition)
        for done, (image, outcome) in enumerate(zip(images, outcomes, strict=True), 1):
            # neither a broken image nor a result that cannot be written or shown keeps the others from being done
            if isinstance(outcome, InflamapError):
                fail(image.path, outcome)
            else:
                results.append(outcome)
                try:
                    if not as_json:
                        print_result(summary_line(outcome))
                except InflamapError as error:
                    fail(image.path, error)
            report.progress("scoring", done, len(images))
    if as_json:
        print_result(json.dumps({"results": [result.to_json() for result in results], "failed": failed}, indent=2))
    if failed:
        context.exit(2)
