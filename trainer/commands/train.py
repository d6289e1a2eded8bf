"""`inflamap train`."""

from pathlib import Path

import click

from runtime.commands.finite_range import FiniteRange
from runtime.console import reporter
from runtime.errors import DataError
from runtime.images import find_images
from trainer.commands.given_options import given_options
from trainer.commands.grade_scale_parameter import GradeScaleParameter
from trainer.dataset import read_scored_patches
from trainer.evaluate import evaluate_network, read_severity
from trainer.fit import fit
from trainer.grade_scale import GradeScale, order_warning
from trainer.leakage import check_leakage, subjects_of
from trainer.loss import LOSSES
from trainer.network import NetworkConfig
from trainer.optimise import FitSettings
from trainer.report import write_report
from trainer.run import REPORT_FILE, check_run_folder
from trainer.split import default_split, split_patches
from trainer.split_warnings import split_warnings


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", "run", type=click.Path(path_type=Path), required=True, help="RUN folder to write.")
@click.option("--um-per-px", type=FiniteRange(min=0, min_open=True), help="Sampling of DATA where it tells none.")
@click.option("--epochs", type=click.IntRange(min=1), default=FitSettings.epochs, show_default=True)
@click.option(
    "--split",
    metavar="FILE|random|subject",
    help="Held-out part. Default: the data set's split column where it has one, else by subject where all are named, "
    "else random.",
)
@click.option("--allow-duplicates", is_flag=True, help="Only warn of images, or subjects, that stand in two parts.")
@click.option(
    "--loss",
    type=click.Choice(LOSSES),
    default=LOSSES[0],
    show_default=True,
    help="cross-entropy: classes without an order. Several raters are combined by their majority instead of their "
    "median.",
)
@click.option(
    "--grades",
    "scale",
    type=GradeScaleParameter(),
    help="Grades from the lowest to the highest, as 1-5 or none,mild,severe. Default: from 0, or the sub-folders.",
)
@click.option(
    "--refuse",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Images that the exported model must withhold, whatever else it learns; `export` fits and tries them.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def train(
    data: Path,
    run: Path,
    um_per_px: float | None,
    epochs: int,
    split: str | None,
    allow_duplicates: bool,
    loss: str,
    scale: GradeScale | None,
    refuse: Path | None,
    seed: int,
) -> None:
    """Train a texture network on the scored patches in DATA."""
    base = NetworkConfig()
    with reporter() as report:
        check_run_folder(run)
        if refuse is not None:
            _require_images(refuse)
        patches = read_scored_patches(
            data,
            patch_px=base.patch_px,
            model_um_per_px=base.um_per_px,
            um_per_px=um_per_px,
            scale=scale,
            ordered=loss == "ordinal",
            progress=report.progress,
        )
        order = order_warning(patches.grades) if patches.ordered and scale is None else None
        how = split or default_split(patches)
        parts = split_patches(patches, how, seed)
        leaks = check_leakage(patches, parts, how, allow_duplicates=allow_duplicates)
        warnings = (*leaks, *split_warnings(patches, parts), *([order] if order else []))
        for warning in (*patches.notes, *warnings):
            report.say(f"warning: {warning}")
        counts = ", ".join(f"{parts.count(part)} {part}" for part in ("train", "val", "test"))
        report.say(f"{len(patches)} patches, grades {', '.join(patches.grades)}; split {how}: {counts}")
        network = fit(
            patches,
            parts,
            NetworkConfig(grades=patches.grades, ordered=patches.ordered),
            FitSettings(epochs=epochs, loss=loss, seed=seed, split=how),
            run,
            source=data,
            warnings=warnings,
            # `column` is what a data set that names the parts itself gets unasked
            options=given_options(click.get_current_context(), {"split": None if how == "column" else how}),
            progress=report.progress,
            say=report.say,
        )
        chosen_by = patches.of_part(parts, "val")
        found = evaluate_network(
            network,
            chosen_by,
            trained_subjects=subjects_of(patches.of_part(parts, "train")),
            severity=read_severity(data, chosen_by),
            progress=report.progress,
        )
        write_report(run, found, "validation", data=data, page=run / REPORT_FILE)
        report.say(f"run in {run}, report in {run / REPORT_FILE}; next: inflamap evaluate {run} {data}")


def _require_images(refuse: Path) -> None:
    """Look for images to refuse now, and not only after the training, when `export` reads them.

    Raises:
        InflamapError: the folder cannot be listed.
        DataError: it holds no image.
    """
    if next(find_images(refuse), None) is None:
        raise DataError(
            f"--refuse {refuse}: no image in it",
            wanted="a folder of images that the model must withhold",
            next_step="give another folder, or leave --refuse out",
        )
