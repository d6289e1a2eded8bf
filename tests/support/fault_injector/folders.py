"""The folders of a trial, the server that runs commands on them, and what can be read from them."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fault_injector.library import Call, Fault, build, read_log
from fault_injector.running_watch import Move, Script
from runtime.ledger import open_ledger
from runtime.outputs import SCORE, result_files

CHECKOUT = Path(__file__).parents[3]
UM_PER_PX = "0.5"
# Unix seconds: an overlay shows the date
SAVED = 1_700_000_000


class Ran(NamedTuple):
    """A command that ended: as `server.Answer` says, the lines it said, and its calls."""

    status: int | None
    said: list[str]
    calls: list[Call]


class Row(NamedTuple):
    """What the ledger tells of an image."""

    state: str
    reason: str
    score: float | None
    sha256: str | None
    overlay: str | None
    map: str | None


class Stamp(NamedTuple):
    """What a file that is written again does not keep."""

    inode: int
    mtime_ns: int


@dataclass
class Folders:
    """A watched folder, its results, images that are to come, and commands on them.

    Attributes:
        place: holds them all.
        server: runs the commands.
        pictures: files by the picture's name.
        weakness: name of a function in `weakened` that takes a guarantee away from every command; empty for none.
    """

    place: Path
    server: "subprocess.Popen[bytes]"
    pictures: dict[str, bytes]
    weakness: str = ""

    def save(self, folder: Path, files: dict[str, str]) -> None:
        """Save pictures as files below a folder, each picture at a time of its own. `files`: picture by path."""
        for name, picture in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(self.pictures[picture])
            saved = SAVED + list(self.pictures).index(picture)
            os.utime(path, (saved, saved))

    @property
    def watched(self) -> Path:
        return self.place / "in"

    @property
    def out(self) -> Path:
        return self.place / "out"

    @property
    def to_come(self) -> Path:
        return self.place / "to come"

    def watch(self, *more: str) -> list[str]:
        """The command line of a watch."""
        options = ["--settle", "0", "--threads", "1", "--min-free", "0", "--um-per-px", UM_PER_PX]
        return ["watch", str(self.watched), "--out", str(self.out), "--priority", "normal", *options, *more]

    def run(
        self,
        arguments: list[str],
        *,
        target: int = 0,
        fault: Fault = Fault.NONE,
        move: Move | None = None,
    ) -> Ran:
        """Run a command of inflamap, with a fault at one call, counted from 1. `move`: for a watch that goes on."""
        log, printed = self.place / "calls", self.place / "said"
        script = None if move is None else Script(move, str(printed), fault.lasts)
        request = {
            "arguments": arguments,
            "root": str(self.out),
            "log": str(log),
            "said": str(printed),
            "target": target,
            "fault": int(fault),
            "weakness": self.weakness,
            "script": script,
        }
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        # a server that ended told why on stderr
        with suppress(BrokenPipeError):
            self.server.stdin.write(msgspec.json.encode(request) + b"\n")
            self.server.stdin.flush()
        answer = self.server.stdout.readline()
        assert answer, "the server of commands ended"
        said = printed.read_text("utf-8", "replace").splitlines()
        return Ran(json.loads(answer)["status"], said, read_log(log))

    def keep(self) -> None:
        """Remember both folders as they are, for `restore`."""
        for folder in (self.watched, self.out):
            kept = kept_of(folder)
            shutil.rmtree(kept, ignore_errors=True)
            if folder.exists():
                shutil.copytree(folder, kept)

    def restore(self) -> None:
        """Make both folders what they were; an image that is as it was is left alone, for the ledger knows it."""
        shutil.rmtree(self.out, ignore_errors=True)
        if kept_of(self.out).exists():
            shutil.copytree(kept_of(self.out), self.out)
        now, then = images_in(self.watched), images_in(kept_of(self.watched))
        for name in now.keys() - then.keys():
            (self.watched / name).unlink()
        for name, content in then.items():
            if now.get(name) != content:
                shutil.copy2(kept_of(self.watched) / name, self.watched / name)

    def rows(self) -> dict[str, Row] | None:
        """Every image's row, read in a copy, so that the next start finds the ledger as it is; None where it cannot be
        read."""
        copy = self.place / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self.out.glob("inflamap.db*"):
            # SQLite makes the shared memory anew
            if path.suffix != ".db-shm":
                shutil.copyfile(path, copy / path.name)
        try:
            with open_ledger(copy) as ledger:
                return {row.path.as_posix(): _row(row) for row in ledger.rows()}
        # none, or a damaged one
        except Exception:
            return None

    def records(self) -> dict[str, dict[str, Any] | None]:
        """Every score.json by its path below the results' folder; None for one that is no JSON."""
        return {name: _record(self.out / name) for name in files_in(self.out) if name.endswith(SCORE)}


def files_in(folder: Path) -> list[str]:
    """Every file below a folder, by its path there."""
    found = [Path(place, name) for place, _folders, names in os.walk(folder) for name in names]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def images_in(folder: Path) -> dict[str, tuple[str, int]]:
    """Content and time of change of every file below a folder."""
    return {name: (sha256_of(folder / name), (folder / name).stat().st_mtime_ns) for name in files_in(folder)}


def stamp_of(path: Path) -> Stamp:
    """Which file it is."""
    status = path.stat()
    return Stamp(status.st_ino, status.st_mtime_ns)


def sha256_of(path: Path) -> str:
    """Hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def score_file(relative: str) -> str:
    """Where an image's record lies below the results' folder."""
    return result_files(Path(relative)).score.as_posix()


@contextmanager
def folders(place: Path, pictures: dict[str, bytes]) -> Iterator[Folders]:
    """Empty folders below `place`, and the server; `injector.so` is compiled there. `pictures`: files by their name."""
    # relative to the server's folder: the loader takes a blank or a colon for the end of a path
    preload = f"./{build(place).relative_to(place)}"
    environment = os.environ | {"LD_PRELOAD": preload, "OPENBLAS_NUM_THREADS": "1", "HOME": str(place)}
    search = [str(CHECKOUT), str(CHECKOUT / "tests" / "support"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, search))
    command = [sys.executable, "-m", "fault_injector.server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=place) as server:
        yield Folders(place.resolve(), server, pictures)
        assert server.stdin is not None
        server.stdin.close()
        server.wait(20)


def kept_of(folder: Path) -> Path:
    """Where a folder is remembered as it was."""
    return folder.with_name(f"{folder.name} as it was")


def _row(row: Any) -> Row:
    outcome = row.outcome
    return Row(str(row.state), row.reason, outcome.score, outcome.sha256, outcome.overlay_file, outcome.map_file)


def _record(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
