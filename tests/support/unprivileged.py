"""Processes that rights bind: root is bound by none, so that a test about rights would pass whatever the code does."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

NOBODY = 65_534
CHECKOUT = Path(__file__).parents[2]


@cache
def as_ordinary_user() -> tuple[str, ...] | None:
    """What goes before a command, so that it runs as a user without privileges; None where that cannot be had.

    An ordinary user runs it as it is. Root runs it as nobody; where the interpreter lies in a folder that is closed to
    others, in a mount namespace of its own in which that folder shows the interpreter and the checkout alone.
    """
    if os.geteuid() != 0:
        return ()
    drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all")
    if shutil.which("setpriv") is None:
        return None
    if _works(drop):
        return drop
    script = " && ".join(
        [
            "set -e",
            *(_shown_alone(closed) for closed in _closed_folders()),
            f'exec {" ".join(drop)} "$@"',
        ]
    )
    inside = ("unshare", "--mount", "sh", "-c", script, "sh")
    return inside if shutil.which("unshare") and _works(inside) else None


@contextmanager
def place_for_all() -> Iterator[Path]:
    """A folder that an ordinary user may enter, which pytest's own are not; the test skips where none is to be had."""
    if as_ordinary_user() is None:
        pytest.skip("rights bind no root, and the interpreter cannot be run as another user here")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


def own(path: Path) -> None:
    """Give a file or folder to the user whom `as_ordinary_user` runs as."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def _works(prefix: tuple[str, ...]) -> bool:
    # Python finds another standard library, should there be one, where it cannot read its own
    script = f"import os, runtime; assert os.geteuid(); assert os.__file__ == {os.__file__!r}"
    command = [*prefix, sys.executable, "-c", script]
    try:
        return subprocess.run(command, capture_output=True, check=False, cwd=CHECKOUT, timeout=30).returncode == 0
    except OSError:
        return False


def _needed() -> list[Path]:
    return [Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), CHECKOUT]


def _closed_folders() -> list[Path]:
    """Folders above what is needed that others may not enter, the uppermost ones."""
    closed = {
        folder
        for place in _needed()
        for folder in place.parents
        if not folder.stat().st_mode & 0o001 and folder != Path("/")
    }
    return sorted(folder for folder in closed if not any(other in folder.parents for other in closed))


def _shown_alone(closed: Path) -> str:
    """Shell that lays an open folder over a closed one and shows in it only what is needed."""
    places = [place for place in _needed() if closed in place.parents]
    keep = [f"mkdir -p /mnt/{number} && mount --bind '{place}' /mnt/{number}" for number, place in enumerate(places)]
    show = [f"mkdir -p '{place}' && mount --bind /mnt/{number} '{place}'" for number, place in enumerate(places)]
    lay = ["mount -t tmpfs -o mode=755 tmpfs /mnt", *keep, f"mount -t tmpfs -o mode=755 tmpfs '{closed}'", *show]
    return " && ".join(lay)
