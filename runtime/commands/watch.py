"""`inflamap watch`."""

import io
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from runtime.acquisition import Acquisition
from runtime.bundle import open_bundle
from runtime.commands.finite_range import FiniteRange
from runtime.commands.options import scoring_options
from runtime.configuration import Configured, WatchConfiguration, configure, to_toml
from runtime.console import print_result, reporter
from runtime.heartbeat import Heartbeat
from runtime.ledger import Ledger, State
from runtime.ledger.binding import bind_folder, is_bound
from runtime.ledger.damage import is_damage
from runtime.ledger.start import Start, started_ledger
from runtime.manifest import Manifest
from runtime.manners import lower_priority
from runtime.model import Model
from runtime.output_folder import check_output_folder, check_source_folder, sweep_temporaries
from runtime.output_lock import held
from runtime.patience import WatchSettings, settings_for
from runtime.pseudonyms import Pseudonyms, pseudonyms_of
from runtime.retention import Keep
from runtime.said_values import write_range
from runtime.service import ServiceSettings
from runtime.service import watch as watch_and_score
from runtime.service_log import ServiceLog

if TYPE_CHECKING:
    from runtime.viewer.address import Address

ABOVE_ZERO = FiniteRange(min=0, min_open=True)
# where an option is not called as its key
_FLAGS = {
    "settle_s": "--settle",
    "rescan_s": "--rescan",
    "min_free_gb": "--min-free",
    "depth_um": "--depth",
    "stack_step_um": "--stack-step",
}
NOT_SETTINGS = frozenset({"config_file", "print_config", "once"})


@click.command()
@click.argument("folder", required=False, type=click.Path(readable=False, path_type=Path))
@scoring_options(out_required=False)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Settings from this inflamap.toml; the command line and INFLAMAP_WATCH_* outdo it.",
)
@click.option("--print-config", is_flag=True, help="Print the settings that hold as such a file, and end.")
@click.option("--once", is_flag=True, help="Score what is there and end.")
@click.option(
    "--settle",
    "settle_s",
    type=FiniteRange(min=0, max=86_400),
    help="Seconds a file must rest before it is read. Default: 1, on a network share 4.",
)
@click.option(
    "--discovery",
    type=click.Choice(["auto", "events", "polling"]),
    default="auto",
    show_default=True,
    help="How new files are found; auto lists network shares again and again, for they tell of nothing.",
)
@click.option(
    "--rescan",
    "rescan_s",
    type=ABOVE_ZERO,
    help="Seconds from one listing of the folder to the next. Default: 30, by polling 5.",
)
@click.option(
    "--min-free",
    "min_free_gb",
    type=FiniteRange(min=0),
    default=ServiceSettings().min_free_gb,
    show_default=True,
    help="GB that stay free on the results' disk: scoring pauses below.",
)
@click.option(
    "--priority",
    type=click.Choice(["low", "normal"]),
    default="low",
    show_default=True,
    help="low: the microscope's program comes first.",
)
@click.option("--keep-overlays-days", type=ABOVE_ZERO, help="Remove older overlays; records and maps stay.")
@click.option("--keep-overlays-gb", type=ABOVE_ZERO, help="Remove the oldest overlays beyond this size.")
@click.option("--viewer", metavar="HOST:PORT", help="Serve the operator's page here, as in 127.0.0.1:8765.")
@click.option("--log-file", type=click.Path(path_type=Path), help="Also write lines of JSON here, rotated.")
@click.option("--log-max-mb", type=ABOVE_ZERO, help="Size at which a new log is begun. Default: 10.")
@click.option("--log-files", type=click.IntRange(min=2, max=9999), help="Logs kept. Default: 5.")
@click.option(
    "--pseudonymise",
    is_flag=True,
    help="No names of folders and files in messages, logs, overlays and maps; no dates on overlays.",
)
@click.pass_context
def watch(context: click.Context, /, config_file: Path | None, print_config: bool, once: bool, **_options: Any) -> None:
    """Score each image newly saved below FOLDER, and those already there. Stop with Ctrl-C."""
    configured = _configured(context, config_file)
    if print_config:
        # TOML is UTF-8, whatever the terminal's encoding
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")
        print_result(to_toml(configured).rstrip("\n"))
        return
    values = configured.values
    check_output_folder(values.out, [values.folder])
    check_source_folder(values.folder)
    address = _page_address(values.viewer)
    if values.log_file is not None:
        check_output_folder(values.log_file.parent, [values.folder], option="--log-file")
    bundle = open_bundle(values.bundle)
    with ExitStack() as stack:
        stack.enter_context(held(values.out))
        report = stack.enter_context(reporter())
        pseudonyms = pseudonyms_of(values.out) if values.pseudonymise else None
        log = _log(values, report.say, pseudonyms, stack)
        # before the ledger is touched: an exception out of a signal handler would pass for an error of SQLite
        stop = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda _number, _frame: stop.set())
        start = stack.enter_context(started_ledger(values.out, values.folder))
        ledger = start.ledger
        _tell_of_new_ledger(start, log)
        bind_folder(ledger, values.folder, values.out)
        if values.priority == "low":
            lower_priority()
        model = Model.load(bundle, values.engine, threads=values.threads, say=report.say)
        sweep_temporaries(values.out, values.folder)
        settings = _settings(values, once, pseudonyms)
        _note_start(ledger, model, values.um_per_px, settings.watch, log)
        ledger.note("options", _start_options(configured, config_file))
        log.event(
            "started",
            f"watching {values.folder}{'' if settings.watch.events or once else ' by polling'}; model "
            f"{bundle.manifest.name} on {model.engine.name}; results in {values.out}"
            + ("; trained on synthetic images" if bundle.manifest.synthetic else ""),
            model=model.sha256,
            engine=model.engine.name,
            synthetic=bundle.manifest.synthetic,
        )
        heartbeat = Heartbeat(alive=_page(address, values, bundle.manifest, report.say, log, stack))
        tally = watch_and_score(values.folder, values.out, ledger, model, settings, stop, log=log, heartbeat=heartbeat)
        heartbeat.stopping()
        counts = _counts(ledger)
        in_all = ", ".join(f"{count} {state}" for state, count in counts.items())
        kept = f", {tally.kept} kept" if tally.kept else ""
        log.event(
            "ended",
            f"this run: {tally.done} scored or withheld{kept}, {tally.failed} failed; in all: {in_all}",
            counts={str(state): count for state, count in counts.items()},
        )
    if once and tally.failed:
        context.exit(2)


def _tell_of_new_ledger(start: Start, log: ServiceLog) -> None:
    if start.damage is not None:
        log.event(
            "ledger_damaged",
            f"the ledger was damaged ({start.damage}) and is now {start.aside}; a new one was made of the "
            f"{start.taken_over} results{f' and {start.failures} failures' if start.failures else ''} there are, and "
            "nothing is scored again that was done",
            level="error",
            results=start.taken_over,
            failures=start.failures,
        )
    elif start.taken_over or start.failures:
        line = f"there was no ledger; {start.taken_over} earlier results were taken over from their score.json"
        line += f", {start.failures} failures from their failed.json" if start.failures else ""
        log.event("ledger_rebuilt", line, level="warning", results=start.taken_over, failures=start.failures)


def _counts(ledger: Ledger) -> dict[State, int]:
    # one that cannot be read any more was told of already
    try:
        return ledger.counts()
    except sqlite3.Error as error:
        if is_damage(error):
            raise
        return {}


def _configured(context: click.Context, config_file: Path | None) -> Configured:
    given = {
        "bundle" if name == "bundle_folder" else name: dict(value) if name == "um_per_px_in" else value
        for name, value in context.params.items()
        if name not in NOT_SETTINGS and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    return configure(given, config_file, os.environ, awaited=is_bound)


def _log(
    values: WatchConfiguration, say: Callable[[str], None], pseudonyms: Pseudonyms | None, stack: ExitStack
) -> ServiceLog:
    write = None
    if values.log_file is not None:
        from runtime.log_file import log_file

        write = stack.enter_context(log_file(values.log_file, max_mb=values.log_max_mb, files=values.log_files))
    return ServiceLog(say, write, pseudonyms)


def _page_address(viewer: str | None) -> "Address | None":
    """Where the operator's page is wanted, before anything is begun."""
    if viewer is None:
        return None
    from runtime.viewer.address import parse_address
    from runtime.viewer.process import require_viewer

    require_viewer()
    return parse_address(viewer)


def _page(
    address: "Address | None",
    values: WatchConfiguration,
    manifest: Manifest,
    say: Callable[[str], None],
    log: ServiceLog,
    stack: ExitStack,
) -> Callable[[], None]:
    """Have the operator's page served where it is wanted; returns what to call while the loop gets on."""
    if address is None:
        return lambda: None
    from runtime.viewer.process import ViewerProcess, new_token
    from runtime.viewer.setup import Scale, Setup

    setup = Setup(
        folder=values.folder.absolute(),
        out=values.out.absolute(),
        address=address,
        token=None if address.is_loopback else new_token(),
        min_free_gb=values.min_free_gb,
        pseudonymise=values.pseudonymise,
        scale=Scale.of(manifest),
    )
    return stack.enter_context(ViewerProcess(setup, say, log)).tell_alive


def _settings(values: WatchConfiguration, once: bool, pseudonyms: Pseudonyms | None) -> ServiceSettings:
    return ServiceSettings(
        settings_for(values.folder, discovery=values.discovery, settle_s=values.settle_s, rescan_s=values.rescan_s),
        Acquisition(
            values.um_per_px, values.um_per_px_in or {}, values.grey_range, values.depth_um, values.stack_step_um
        ),
        values.min_free_gb,
        once,
        Keep(values.keep_overlays_days, values.keep_overlays_gb),
        pseudonyms,
    )


def _start_options(configured: Configured, config_file: Path | None) -> list[str]:
    """What a watch has to be started with again to do the same: all that was not left to the file and the defaults."""
    options = [] if config_file is None else ["--config", str(config_file.absolute())]
    for key, origin in configured.origins.items():
        if key in ("folder", "out") or not (origin == "command line" or origin.startswith("environment")):
            continue
        value = getattr(configured.values, key)
        flag = _FLAGS.get(key, f"--{key.replace('_', '-')}")
        if value is True:
            options.append(flag)
        elif isinstance(value, dict):
            options += [text for pattern, number in value.items() for text in (flag, f"{pattern}={number!r}")]
        elif isinstance(value, tuple):
            options += [flag, write_range(value)]
        elif value is not None and value is not False:
            options += [flag, str(value.absolute() if isinstance(value, Path) else value)]
    return options


def _note_start(
    ledger: Ledger, model: Model, um_per_px: float | None, settings: WatchSettings, log: ServiceLog
) -> None:
    """What `inflamap status` tells of the watch; and a line where it was started otherwise the last time."""
    earlier = ledger.noted("um_per_px")
    if earlier is not None and um_per_px is None:
        log.event(
            "other_scale",
            f"the last watch took --um-per-px {earlier:g}; this one takes the scale each file tells",
        )
    ledger.note("um_per_px", um_per_px)
    ledger.note("folder_fault", None)
    ledger.note("engine", model.engine.name)
    manifest = model.bundle.manifest
    ledger.note(
        "model",
        {
            "name": manifest.name,
            "sha256": model.sha256,
            "synthetic": manifest.synthetic,
            "grades": manifest.grades,
            "ordered": manifest.ordered,
            "quantity": manifest.quantity,
        },
    )
    ledger.note("process", os.getpid())
    ledger.note("paused", None)
    ledger.note("discovery", "events" if settings.events else "polling")
