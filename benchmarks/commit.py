"""The commit and the day that a figure in a document is of."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.child_process import run_child


def commit_of(checkout: Path) -> str:
    """Return the short name of the commit, with `-dirty` where tracked files differ from it; "unknown" without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=8", "--exclude=*"]
    try:
        done = run_child(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return "unknown"
    return done.stdout.decode().strip() or "unknown"


def today() -> str:
    """Return the date in UTC."""
    return datetime.now(UTC).date().isoformat()
