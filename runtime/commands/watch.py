"""`inflamap watch`."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import click

from runtime.bundle import open_bundle
from runtime.commands.finite_range import FiniteRange
from runtime.commands.options import scoring_options
from runtime.console import reporter
from runtime.folder_watch import WatchSettings, require_folder
from runtime.ledger import Ledger, open_ledger
from runtime.ledger.binding import bind_folder
from runtime.output_lock import held
from runtime.outputs import check_output_folder, sweep_temporaries
from runtime.scoring import Model
from runtime.service import ServiceSettings
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
@click.option(
    "--min-free",
    "min_free_gb",
    type=FiniteRange(min=0),
    default=ServiceSettings.min_free_gb,
    show_default=True,
    help="GB that stay free on the results' disk: scoring pauses below.",
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
    min_free_gb: float,
) -> None:
    """Score each image newly saved below FOLDER, and those already there. Stop with Ctrl-C."""
    settings = ServiceSettings(WatchSettings(settle_s=settle_s), um_per_px, min_free_gb, once)
    require_folder(folder)
    check_output_folder(out, [folder])
    bundle = open_bundle(bundle_folder)
    with held(out), open_ledger(out, create=True) as ledger, reporter() as report:
        bind_folder(ledger, folder, out)
        model = Model.load(bundle, engine, threads=threads, say=report.say)
        sweep_temporaries(out, folder)
        stop = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda _number, _frame: stop.set())
        _note_start(ledger, model, um_per_px, report.say)
        report.say(
            f"watching {folder}; model {bundle.manifest.name} on {model.engine.name}; results in {out}"
            + ("; trained on synthetic images" if bundle.manifest.synthetic else "")
        )
        tally = watch_and_score(folder, out, ledger, model, settings, stop, say=report.say)
        in_all = ", ".join(f"{count} {state}" for state, count in ledger.counts().items())
        kept = f", {tally.kept} kept" if tally.kept else ""
        report.say(f"this run: {tally.done} scored or withheld{kept}, {tally.failed} failed; in all: {in_all}")
    if once and tally.failed:
        context.exit(2)


def _note_start(ledger: Ledger, model: Model, um_per_px: float | None, say: Callable[[str], None]) -> None:
    """What `inflamap status` tells of the watch; and a line where it was started otherwise the last time."""
    earlier = ledger.noted("um_per_px")
    if earlier is not None and um_per_px is None:
        say(f"the last watch took --um-per-px {earlier:g}; this one takes the scale each file tells")
    ledger.note("um_per_px", um_per_px)
    ledger.note("folder_fault", None)
    ledger.note("engine", model.engine.name)
    manifest = model.bundle.manifest
    ledger.note("model", {"name": manifest.name, "sha256": model.sha256, "synthetic": manifest.synthetic})
    ledger.note("process", os.getpid())
    ledger.note("paused", None)
