"""`inflamap watch`."""

import signal
import threading
from pathlib import Path

import click

from runtime.bundle import open_bundle
from runtime.commands.options import scoring_options
from runtime.console import reporter
from runtime.folder_watch import WatchSettings, require_folder
from runtime.outputs import check_output_folder, sweep_temporaries
from runtime.scoring import Model
from runtime.service import watch as watch_and_score


@click.command()
@click.argument("folder", type=click.Path(readable=False, path_type=Path))
@scoring_options
@click.option("--once", is_flag=True, help="Score what is there and end.")
@click.option(
    "--settle",
    "settle_s",
    type=float,
    default=WatchSettings.settle_s,
    show_default=True,
    help="Seconds a file must rest before it is read.",
)
@click.pass_context
def watch(
    context: click.Context,
    folder: Path,
    bundle_folder: Path,
    out: Path,
    engine: str,
    um_per_px: float | None,
    threads: int | None,
    once: bool,
    settle_s: float,
) -> None:
    """Score each image newly saved below FOLDER, and those already there. Stop with Ctrl-C."""
    settings = WatchSettings(settle_s=settle_s)
    require_folder(folder)
    check_output_folder(out, [folder])
    bundle = open_bundle(bundle_folder)
    model = Model.load(bundle, engine, threads=threads)
    sweep_temporaries(out, folder)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda _number, _frame: stop.set())
    with reporter() as report:
        report.say(
            f"watching {folder}; model {bundle.manifest.name} on {model.engine.name}; results in {out}"
            + ("; trained on synthetic images" if bundle.manifest.synthetic else "")
        )
        tally = watch_and_score(
            folder,
            out,
            model,
            settings,
            stop,
            um_per_px=um_per_px,
            once=once,
            say=report.say,
        )
        report.say(f"{tally.done} scored or withheld, {tally.skipped} done before, {tally.failed} failed")
    if once and tally.failed:
        context.exit(2)
