"""`inflamap status`."""

import json
import shlex
import time
from pathlib import Path

import click

from runtime.commands.damaged_rows import tell_damaged_rows
from runtime.commands.results_folder import results_folder_option
from runtime.console import print_result
from runtime.errors import one_line
from runtime.ledger import ImageRow, State, open_ledger
from runtime.output_lock import is_held
from runtime.status import Status, status_of

MOST_FAILED_SHOWN = 10


@click.command()
@results_folder_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def status(out: Path, as_json: bool) -> None:
    """Tell how a watch stands: what waits, what is done, what failed and why."""
    with open_ledger(out) as ledger:
        found = status_of(ledger, running=is_held(out), now=time.time())
        damaged = ledger.damaged_rows()
    tell_damaged_rows(damaged)
    print_result(json.dumps(found.to_json(), indent=2) if as_json else "\n".join(_lines(found, out)))


def _lines(found: Status, out: Path) -> list[str]:
    """What a person reads."""
    watch = {
        True: f"running, process {found.process}",
        False: "not running",
        None: "not known: its lock may not be asked by this user",
    }[found.running]
    if found.paused or found.folder_fault:
        watch = f"{watch}; {'paused: ' + found.paused if found.paused else found.folder_fault}"
    model = f"{found.model} on {found.engine}{', trained on synthetic images' if found.synthetic else ''}"
    entries = [
        ("watch", watch),
        ("folder", f"{found.folder or 'none yet'}{', by polling' if found.discovery == 'polling' else ''}"),
        ("results", str(out.resolve())),
        ("model", model if found.model else "none yet"),
        *([("speed", f"{found.images_per_second:.1f} images/s over the last minute")] if found.running else []),
        *((str(state), _count(found, state)) for state in State),
    ]
    lines = [f"{name:<9} {one_line(text)}" for name, text in entries]
    if found.running is False and found.counts[State.WAITING]:
        again = ["inflamap", "watch", found.folder or "FOLDER", "--out", str(out), *found.options]
        lines += ["", f"next: {shlex.join(again)}"]
    if found.mixed_models:
        lines += ["", "results of several models, not to be compared with each other:"]
        lines += [f"  {share.images:>6}  {one_line(share.model)} ({share.sha256[:8]})" for share in found.models]
    elif found.of_another_model:
        lines += ["", f"{found.of_another_model} results are of another model than the watch's"]
    if found.mixed_models or found.of_another_model:
        lines += [f"  next: inflamap retry --all --out {shlex.quote(str(out))} has all scored by the watch's model"]
    if found.failed:
        lines += ["", "failed:"]
        lines += [f"  {_why(found, row)}" for row in found.failed[:MOST_FAILED_SHOWN]]
        if more := len(found.failed) - MOST_FAILED_SHOWN:
            lines += [f"  and {more} more: inflamap results --out {shlex.quote(str(out))}"] if more > 0 else []
    return lines


def _why(found: Status, row: ImageRow) -> str:
    again_in_s = found.again_in_s(row)
    if again_in_s is None:
        again = "not tried again until it changes"
    elif not found.running:
        again = "tried again by the next watch"
    else:
        again = f"tried again in {again_in_s:.0f} s" if again_in_s >= 1 else "tried again now"
    attempts = f"{row.attempts} attempt{'s' * (row.attempts != 1)}"
    return one_line(f"{row.path.as_posix()}: {row.reason} ({attempts}; {again})")


def _count(found: Status, state: State) -> str:
    count = f"{found.counts[state]:>6}"
    if state is State.WAITING and found.oldest_waiting_s is not None:
        return f"{count}  the oldest for {found.oldest_waiting_s:.1f} s"
    return count
