"""The software, the machine, the account, and the clock."""

import os
import platform
import sqlite3
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from runtime.doctor.finding import Case, Finding, Level
from runtime.doctor.folder import newest_change
from runtime.doctor.results import fresh_file_time
from runtime.ledger.database import OLDEST_SQLITE
from runtime.machine import this_machine
from runtime.version import __version__

NEEDED = ("numpy", "onnxruntime", "opencv-python-headless", "tifffile", "pydicom")
OPTIONAL = ("imagecodecs", "openvino", "tensorrt-rtx-cu13", "tensorrt")
# no image was saved before this program was there
RELEASED = 2026
# of file systems that count in two seconds, and a server's clock that is synchronised now and then
CLOCKS_APART_S = 5.0


def software(_case: Case) -> Sequence[Finding]:
    """Versions of what must be there, and of codecs and engines that may be."""
    missing = [name for name in NEEDED if _version(name) is None]
    versions = [f"{name} {version}" for name in (*NEEDED, *OPTIONAL) if (version := _version(name))]
    seen = f"inflamap {__version__}, Python {platform.python_version()}, {', '.join(versions)}"
    seen += f", SQLite {sqlite3.sqlite_version}; {sys.executable}"
    if missing:
        seen = f"not installed: {', '.join(missing)}; {seen}"
        return [Finding("software", Level.FAULT, seen, "pip install inflamap, in an environment of its own")]
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        seen = f"SQLite {sqlite3.sqlite_version} is older than {wanted}; {seen}"
        return [Finding("software", Level.FAULT, seen, "use the Python of python.org, or of a newer system")]
    return [Finding("software", Level.OK, seen)]


def machine(_case: Case) -> Sequence[Finding]:
    """System, processor and memory."""
    import psutil

    here, memory = this_machine(), psutil.virtual_memory()
    seen = (
        f"{here.system} {platform.release()}, {here.processor}, {here.cpus} logical processors, "
        f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB memory available"
    )
    return [Finding("machine", Level.OK, seen)]


def account(_case: Case) -> Sequence[Finding]:
    """Who asks: what this account may do, the service's account perhaps may not."""
    import psutil

    user = psutil.Process().username()
    if sys.platform == "win32" or os.geteuid() != 0:
        return [Finding("account", Level.OK, f"{user}: rights below are those of this account")]
    return [
        Finding(
            "account",
            Level.WARNING,
            f"{user}, who may do everything: the service's account may not",
            "runuser -u inflamap -- inflamap doctor ... shows what it may",
        )
    ]


def clock(case: Case) -> Sequence[Finding]:
    """Whether the clocks of machine, results and share agree: which image is the newest depends on them."""
    now = datetime.now(UTC)
    seen = [f"{now:%Y-%m-%d %H:%M:%S} UTC"]
    if now.year < RELEASED:
        return [
            Finding("clock", Level.FAULT, f"{seen[0]}, before there was this program", "set the clock of this machine")
        ]
    wrong: list[str] = []
    if case.out is not None and case.out.is_dir():
        apart = _apart(case)
        if apart is not None:
            (wrong if abs(apart) > CLOCKS_APART_S else seen).append(
                f"the results' disk {'agrees' if abs(apart) <= CLOCKS_APART_S else f'is {apart:+.0f} s from it'}"
            )
    newest = None if case.folder is None else newest_change(case.folder)
    if newest is not None and (ahead := newest - time.time()) > CLOCKS_APART_S:
        wrong.append(f"the newest file in the watched folder is of {ahead:.0f} s from now")
    if wrong:
        return [
            Finding(
                "clock",
                Level.WARNING,
                f"{seen[0]}; {'; '.join(wrong)}",
                "synchronise the clocks of this machine, the microscope and the server",
            )
        ]
    return [Finding("clock", Level.OK, "; ".join(seen))]


def _apart(case: Case) -> float | None:
    """Seconds from this machine's clock to the one of the results' disk; None where no file can be written."""
    try:
        assert case.out is not None
        before = time.time()
        stamped = fresh_file_time(case.out)
    except OSError:
        # said by the check of the results
        return None
    after = time.time()
    # within the time that it took there is nothing to tell
    return 0.0 if before <= stamped <= after else stamped - (after if stamped > after else before)


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
