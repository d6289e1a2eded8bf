"""The commit and the day that a figure in a document is of."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.child_process import run_child

# runs write their figures here, which makes no other code
WRITTEN = ("docs/nightly.md", "docs/mutations.md")


def commit_of(checkout: Path) -> str:
    """Return the short name of the commit, with `-dirty` where files differ from it; "unknown" without git.

    Files that are new count too, those that git ignores do not.
    """
    name = _git(checkout, "rev-parse", "--short=8", "HEAD")
    if not name:
        return "unknown"
    changed = _git(checkout, "status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in WRITTEN))
    return f"{name}-dirty" if changed else name


def today() -> str:
    """Return the date in UTC."""
    return datetime.now(UTC).date().isoformat()


def _git(checkout: Path, *arguments: str) -> str:
    """Return what git prints; "" where it fails or is not installed."""
    try:
        done = run_child(["git", *arguments], cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return ""
    return str(done.stdout.decode().strip()) if done.returncode == 0 else ""
