"""Which engine `inflamap bench --accept` chose here: `accepted.json` in the bundle's folder, an entry a host.

It lies with the bundle, so that a service that runs as another user finds it. Whoever may write there may name another
engine, and no more: that one still has to reproduce the golden frames.
"""

import hashlib
import json
import stat
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import asdict

from runtime.bundle import Bundle
from runtime.errors import InflamapError, one_line
from runtime.machine import Machine, this_host, this_machine
from runtime.outputs import write_atomically

ACCEPTED_FILE = "accepted.json"
FORMAT = "inflamap.accepted/1"
# thousands of hosts
MOST_BYTES = 2**20
# of a value that somebody may have put there
LONGEST_SHOWN = 100


class Acceptance(msgspec.Struct, frozen=True):
    """One host's entry.

    Attributes:
        engine: its id.
        bundle: `bundle_identity` of the bundle it was chosen for.
        machine: where it was chosen.
        runs_on: `DeployedEngine.runs_on` at that time.
        threads: cores it might use at most.
        budget_ms: milliseconds a frame that it kept.
        frames: what was timed: `synthetic` or `own` frames.
        figures: what was measured: `p50_ms`, `p95_ms`, `p99_ms` of a frame, `frames_per_second`.
        version: of inflamap.
        accepted: when, UTC.
    """

    engine: str
    bundle: str
    machine: Machine
    runs_on: dict[str, str]
    threads: int
    budget_ms: float
    frames: str
    figures: dict[str, float]
    version: str
    accepted: datetime

    def changes(self, bundle: Bundle) -> tuple[str, ...]:
        """What of machine and bundle is not as it was, each with both values; needs no engine."""
        same_bundle = self.bundle == bundle_identity(bundle)
        return (
            *(() if same_bundle else ("the bundle is another one",)),
            *_differences(asdict(self.machine), asdict(this_machine())),
        )

    def changes_below(self, runs_on: Mapping[str, str]) -> tuple[str, ...]:
        """What of the engine's libraries, GPU and driver is not as it was, each with both values."""
        return _differences(self.runs_on, runs_on)


class _File(msgspec.Struct):
    """The file's shape. Another host's entry is handed on as it is, whatever version wrote it."""

    format: str
    hosts: dict[str, msgspec.Raw]


class _Damaged(InflamapError):
    """There is a file, and it is not one that was written by this module."""


def accepted_here(bundle: Bundle) -> Acceptance | None:
    """This host's entry; None when there is none.

    Raises:
        InflamapError: the file cannot be read, or is damaged.
    """
    entry = _read_hosts(bundle.folder / ACCEPTED_FILE).get(this_host())
    if entry is None:
        return None
    try:
        return msgspec.json.decode(entry, type=Acceptance)
    except msgspec.MsgspecError as error:
        raise _damaged(bundle.folder / ACCEPTED_FILE, str(error)) from error


def accept(bundle: Bundle, acceptance: Acceptance, say: Callable[[str], None]) -> Path:
    """Store this host's entry; those of other hosts stay. Gives the file.

    Args:
        bundle: the one it was chosen for.
        acceptance: the entry.
        say: told that a damaged file was replaced.

    Raises:
        InflamapError: the file cannot be read or written.
    """
    path = bundle.folder / ACCEPTED_FILE
    try:
        hosts = dict(_read_hosts(path))
    except _Damaged as damage:
        say(f"inflamap: replaced, and other machines' entries with it: {damage}")
        hosts = {}
    hosts[this_host()] = msgspec.Raw(msgspec.json.encode(acceptance))
    document = msgspec.json.format(msgspec.json.encode(_File(FORMAT, hosts)), indent=2)
    try:
        write_atomically(path, document + b"\n")
    except InflamapError as error:
        raise InflamapError(
            f"{path}: the choice cannot be stored",
            seen=error.seen,
            wanted="a folder that this user may write to",
            next_step="copy the bundle to one, and use it from there",
        ) from error
    return path


def bundle_identity(bundle: Bundle) -> str:
    """A sha256 over what the bundle's scores and speed depend on: its files, what they mean, what is tolerated."""
    document = {"facts": json.loads(bundle.facts), "files": bundle.manifest.files}
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _differences(was: Mapping[str, object], now: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(
        f"{one_line(key)} was {_shown(was.get(key))}, is {_shown(now.get(key))}"
        for key in (*was, *(key for key in now if key not in was))
        if was.get(key) != now.get(key)
    )


def _shown(value: object) -> str:
    return "not there" if value is None else one_line(str(value)[:LONGEST_SHOWN])


def _read_hosts(path: Path) -> Mapping[str, msgspec.Raw]:
    """All entries; none where there is no file."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise _damaged(path, "no plain file")
        if found.st_size > MOST_BYTES:
            raise _damaged(path, f"{found.st_size} bytes")
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InflamapError(
            f"{path}: cannot be read", seen=error.strerror, next_step="give this user read access to it"
        ) from error
    try:
        document = msgspec.json.decode(data, type=_File)
    # a RecursionError for brackets without end
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if document.format != FORMAT:
        raise _damaged(path, f"format {document.format!r}")
    return document.hosts


def _damaged(path: Path, seen: str) -> _Damaged:
    return _Damaged(f"{path}: damaged", seen=seen, wanted=FORMAT, next_step="accept an engine again")
