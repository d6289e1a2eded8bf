"""The files of the results, compared with what the ledger says is there."""

import random
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from runtime.doctor.finding import Case, Finding, Level
from runtime.doctor.ledger import read_only
from runtime.errors import one_line
from runtime.file_state import is_gone
from runtime.ledger import Ledger
from runtime.ledger.account import NamedFiles
from runtime.ledger.binding import FOLDER_NOTE
from runtime.missing_outputs import missing_outputs, retry_missing_hint
from runtime.outputs import LEDGER_FILE

# a share may take some milliseconds for each file
LOOK_S = 5.0
MOST_NAMED = 3
# the watched folder may lie on a share of its own
MOST_IMAGES = 200


def outputs(case: Case) -> Sequence[Finding]:
    """Check that score.json, overlay and map of each result exist; check a sample where that takes long."""
    assert case.out is not None
    path = case.out / LEDGER_FILE
    if not path.is_file():
        return []
    try:
        return [_compared(path, case.out)]
    except sqlite3.Error:
        # the check of the ledger tells what is wrong with it
        return []


def _compared(path: Path, out: Path) -> Finding:
    with read_only(path) as database:
        kept = Ledger(database)
        listed, watched = kept.named_files(), kept.noted(FOLDER_NOTE)
        lacking, looked_at = _lacking(out, listed)
        if lacking:
            # a watch that writes a result anew removes the earlier one first
            now = {files.path: files for files in kept.named_files()}
            lacking = [now[files.path] for files in lacking if files.path in now]
            lacking = [files for files in lacking if missing_outputs(out, files)]
    seen = f"results whose files were looked at: {looked_at}"
    if looked_at < len(listed):
        seen += f", a sample of {len(listed)}"
    if not lacking:
        return Finding("outputs", Level.OK, f"{seen}; none is missing")
    return _judged(out, seen, lacking, None if watched is None else Path(watched))


def _lacking(out: Path, listed: list[NamedFiles]) -> tuple[list[NamedFiles], int]:
    """Return results that lack a file, and the number of results looked at, in random order while time lasts."""
    end = time.monotonic() + LOOK_S
    lacking: list[NamedFiles] = []
    # each time another sample
    order = random.sample(listed, len(listed))
    for number, files in enumerate(order):
        if time.monotonic() >= end:
            return lacking, number
        if missing_outputs(out, files):
            lacking.append(files)
    return lacking, len(order)


def _judged(out: Path, seen: str, lacking: list[NamedFiles], watched: Path | None) -> Finding:
    lacking = sorted(lacking, key=lambda files: files.path)
    asked = lacking[:MOST_IMAGES]
    gone = 0 if watched is None else sum(is_gone(watched, watched / files.path) for files in asked)
    names = [name for files in lacking[:MOST_NAMED] for name in missing_outputs(out, files)[:1]]
    more = f" and of {len(lacking) - MOST_NAMED} more" if len(lacking) > MOST_NAMED else ""
    seen = f"{seen}; results that lack a file: {len(lacking)} ({', '.join(map(one_line, names))}{more})"
    if not gone:
        return Finding("outputs", Level.WARNING, seen, retry_missing_hint(out))
    least = "at least " if len(asked) < len(lacking) else ""
    seen = f"{seen}; of images that are gone, and cannot be scored anew: {least}{gone}"
    step = "bring their files back from a backup"
    if gone < len(lacking):
        step = f"{retry_missing_hint(out)}; of the images that are gone, {step}"
    return Finding("outputs", Level.WARNING, seen, step)
