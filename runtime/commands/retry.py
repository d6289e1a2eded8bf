"""`inflamap retry`."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import click

from runtime.commands.damaged_rows import tell_damaged_rows
from runtime.commands.results_folder import results_folder_option
from runtime.console import reporter
from runtime.errors import InflamapError, one_line
from runtime.file_state import is_gone
from runtime.ledger import ImageRow, Ledger, State, open_ledger
from runtime.ledger.binding import FOLDER_NOTE
from runtime.missing_outputs import Listings, missing_outputs
from runtime.output_lock import is_held

MOST_NAMED = 3


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH...]")
@results_folder_option
@click.option("--all", "everything", is_flag=True, help="All images, those that were scored too.")
@click.option("--missing", is_flag=True, help="Images whose score.json, overlay or map is no longer there.")
def retry(paths: tuple[Path, ...], out: Path, everything: bool, missing: bool) -> None:
    """Have images scored anew: those that failed, the images or folders at PATH, --missing, or --all.

    PATH is as `inflamap results` shows it, or where the image lies. A running watch takes them up at once.
    """
    given = [name for name, is_given in (("PATH", paths), ("--missing", missing), ("--all", everything)) if is_given]
    if len(given) > 1:
        both = "both " if len(given) == 2 else ""
        raise InflamapError(f"retry: {both}{' and '.join(given)}", wanted="one of them")
    with open_ledger(out) as ledger:
        tell_damaged_rows(ledger.damaged_rows())
        chosen, gone = _missing(ledger, out) if missing else (_chosen(ledger, paths, everything), [])
        ledger.retry(chosen, time.time())
    idle = bool(chosen) and is_held(out) is False
    hint = f"; next: inflamap watch FOLDER --out {out}, for none is running" if idle else ""
    with reporter() as report:
        report.say(f"{len(chosen)} image{'s' * (len(chosen) != 1)} to be scored anew{hint}")
        if gone:
            named = ", ".join(one_line(path.as_posix()) for path in gone[:MOST_NAMED])
            more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
            report.say(
                f"images that are gone themselves, so that their files cannot be made again: {len(gone)}, "
                f"{named}{more}; next: bring the files, or the images, back from a backup"
            )


def _missing(ledger: Ledger, out: Path) -> tuple[list[PurePath], list[PurePath]]:
    """Return the images whose results lack a file: those that can be scored anew, and those that are gone."""
    watched, listings = ledger.noted(FOLDER_NOTE), Listings()
    again: list[PurePath] = []
    gone: list[PurePath] = []
    for files in ledger.named_files():
        if missing_outputs(out, files, listings.is_missing):
            is_lost = watched is not None and is_gone(Path(watched), Path(watched) / files.path)
            (gone if is_lost else again).append(files.path)
    return again, gone


def _chosen(ledger: Ledger, paths: Sequence[Path], everything: bool) -> list[PurePath]:
    if not paths:
        return [row.path for row in _sound(ledger, None if everything else State.FAILED)]
    below: dict[PurePath, list[PurePath]] = {}
    for row in _sound(ledger):
        for place in (row.path, *row.path.parents):
            below.setdefault(PurePath(place), []).append(row.path)
    watched = Path(ledger.noted(FOLDER_NOTE) or ".")
    chosen: dict[PurePath, None] = {}
    for path in paths:
        # as shown comes first: the user may stand anywhere, in the watched folder too
        found = next((below[place] for place in _places(watched, path) if place in below), None)
        if found is None:
            raise InflamapError(
                f"{path}: no such image among the results",
                wanted="a path as `inflamap results` shows it, or one of the watched folder",
                next_step="check the path; nothing was changed",
            )
        chosen |= dict.fromkeys(found)
    return list(chosen)


def _sound(ledger: Ledger, state: State | None = None) -> Iterator[ImageRow]:
    """Rows that can be changed; the image of a damaged one is found again when the ledger is repaired."""
    return (row for row in ledger.rows(state) if not row.damaged)


def _places(watched: Path, path: Path) -> Iterator[PurePath]:
    """The path as the ledger may know it: as it stands, or from where it lies in the watched folder."""
    # an empty argument, as of a variable that is not set, is no request for all images
    if path.parts:
        yield PurePath(path)
    # the image itself may be a link, which the ledger knows by its own name
    place = path.parent.resolve() / path.name if path.name else path.resolve()
    if place.is_relative_to(watched):
        yield PurePath(place.relative_to(watched))
