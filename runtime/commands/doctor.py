"""`inflamap doctor`."""

import json
import os
import shutil
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.commands.finite_range import FiniteRange
from runtime.console import print_result
from runtime.errors import InflamapError, one_line
from runtime.version import NOTICE, __version__

if TYPE_CHECKING:
    from runtime.doctor.finding import Case, Finding

_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}


@click.command()
@click.argument("folder", required=False, type=click.Path(readable=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="The results' folder.")
@click.option("--bundle", type=click.Path(path_type=Path), help="BUNDLE folder. Default: the one that ships.")
@click.option("--engine", help="Engine to try. Default: auto, as `watch` takes it.")
@click.option("--config", type=click.Path(path_type=Path), help="The configuration of the watch.")
@click.option("--min-free", "min_free_gb", type=FiniteRange(min=0), help="GB to stay free, as `watch` takes it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def doctor(context: click.Context, /, config: Path | None, as_json: bool, **given: Any) -> None:
    """Check all that a watch of FOLDER needs, and leave nothing behind. Exit code 1 where there is a fault."""
    from runtime.doctor.examination import examine
    from runtime.doctor.finding import Level

    case, found = _case_of({key: value for key, value in given.items() if value is not None}, config)
    if not as_json:
        for finding in found:
            _show(finding)
    for finding in examine(case):
        found.append(finding)
        if not as_json:
            _show(finding)
    faults, warnings = (sum(one.level is level for one in found) for level in (Level.FAULT, Level.WARNING))
    if as_json:
        document = {
            "checks": [finding.to_json() for finding in found],
            "faults": faults,
            "warnings": warnings,
            "version": __version__,
            "notice": NOTICE,
        }
        print_result(json.dumps(document, indent=2))
    else:
        print_result(_sum_up(case, faults, warnings))
    if faults:
        context.exit(1)


def _case_of(given: dict[str, Any], config: Path | None) -> "tuple[Case, list[Finding]]":
    """What to examine, and what is wrong with the settings themselves."""
    from runtime.configuration import configure
    from runtime.doctor.finding import Case, Finding, Level
    from runtime.watch_configuration import VARIABLE_PREFIX

    names = ("folder", "out", "bundle", "engine", "min_free_gb")
    if config is None and not any(name.startswith(VARIABLE_PREFIX) for name in os.environ):
        return Case(**given), []
    try:
        # a folder that is missing has a check of its own
        values = configure(given, config, os.environ, awaited=lambda _out, _folder: True).values
    except InflamapError as error:
        lines = [line.partition("; next: ") for line in error.details]
        faults = [Finding("settings", Level.FAULT, seen, step) for seen, _next, step in lines]
        return Case(**given, config=config), faults or [Finding.of_error("settings", error)]
    where = config or "the environment"
    named = {name: getattr(values, name) for name in names}
    return Case(**named, config=config), [Finding("settings", Level.OK, f"those of {where} are understood")]


def _show(finding: "Finding") -> None:
    """One line; on a terminal in colour, wrapped, and with the next step below it."""
    seen, step = one_line(finding.seen), one_line(finding.next_step)
    level, check = f"{finding.level:<8}", f"{finding.check:<11}"
    if not sys.stdout.isatty():
        print_result(f"{level} {check} {seen}" + (f"; next: {step}" if step else ""))
        return
    # one column less, for some terminals break a line that is full
    width, margin = shutil.get_terminal_size().columns - 1, " " * 21
    fill = partial(textwrap.wrap, width=max(width, 60), subsequent_indent=margin, break_long_words=False)
    first, *more = fill(f"{level} {check} {seen}", break_on_hyphens=False)
    lines = [click.style(level, fg=_COLOURS[finding.level], bold=True) + first[len(level) :], *more]
    if step:
        head, *tail = fill(f"next: {step}", initial_indent=margin, break_on_hyphens=False)
        lines += [head.replace("next:", click.style("next:", bold=True), 1), *tail]
    print_result("\n".join(lines))


def _sum_up(case: "Case", faults: int, warnings: int) -> str:
    missing = [name for name, value in (("FOLDER", case.folder), ("--out", case.out)) if value is None]
    counts = [
        f"{count} {word}{'s' * (count != 1)}" for count, word in ((faults, "fault"), (warnings, "warning")) if count
    ]
    lines = ["", " and ".join(counts) if counts else "nothing found that would keep a watch from its work"]
    if missing:
        lines.append(f"not examined: give {' and '.join(missing)} for the folders, the ledger and the disk")
    return "\n".join(lines)
