"""`inflamap train`."""

from pathlib import Path

import click

from runtime.commands.finite_range import FiniteRange
from runtime.console import reporter
from trainer.dataset import read_scored_patches
from trainer.evaluate import evaluate_network, read_severity
from trainer.fit import fit
from trainer.leakage import check_leakage
from trainer.loss import LOSSES
from trainer.network import NetworkConfig
from trainer.optimise import FitSettings
from trainer.report import write_report
from trainer.run import REPORT_FILE, check_run_folder
from trainer.split import split_patches


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", "run", type=click.Path(path_type=Path), required=True, help="RUN folder to write.")
@click.option("--um-per-px", type=FiniteRange(min=0, min_open=True), help="Sampling of DATA where it tells none.")
@click.option("--epochs", type=click.IntRange(min=1), default=FitSettings.epochs, show_default=True)
@click.option(
    "--split",
    metavar="FILE|random|subject",
    help="Held-out part. Default: the data set's split column where it has one, else random.",
)
@click.option("--allow-duplicates", is_flag=True, help="Only warn of images, or subjects, that stand in two parts.")
@click.option("--loss", type=click.Choice(LOSSES), default=LOSSES[0], show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def train(
    data: Path,
    run: Path,
    um_per_px: float | None,
    epochs: int,
    split: str | None,
    allow_duplicates: bool,
    loss: str,
    seed: int,
) -> None:
    """Train a texture network on the scored patches in DATA."""
    base = NetworkConfig()
    with reporter() as report:
        check_run_folder(run)
        patches = read_scored_patches(
            data,
            patch_px=base.patch_px,
            model_um_per_px=base.um_per_px,
            um_per_px=um_per_px,
            progress=report.progress,
        )
        for note in patches.notes:
            report.say(f"warning: {note}")
        how = split or ("column" if any(patch.split for patch in patches.patches) else "random")
        parts = split_patches(patches, how, seed)
        for warning in check_leakage(patches, parts, how, allow_duplicates=allow_duplicates):
            report.say(f"warning: {warning}")
        counts = ", ".join(f"{parts.count(part)} {part}" for part in ("train", "val", "test"))
        report.say(f"{len(patches)} patches, grades {', '.join(patches.grades)}; split {how}: {counts}")
        network = fit(
            patches,
            parts,
            NetworkConfig(grades=patches.grades, ordered=loss == "ordinal"),
            FitSettings(epochs=epochs, loss=loss, seed=seed, split=how),
            run,
            source=data,
            progress=report.progress,
            say=report.say,
        )
        chosen_by = patches.of_part(parts, "val")
        found = evaluate_network(network, chosen_by, severity=read_severity(data, chosen_by), progress=report.progress)
        write_report(run, found, "validation", data=data, page=run / REPORT_FILE)
        report.say(f"run in {run}, report in {run / REPORT_FILE}; next: inflamap evaluate {run} {data}")
