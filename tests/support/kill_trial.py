"""A watch that is killed again and again while images are copied in and something else goes wrong, and what is left."""

import hashlib
import itertools
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import cv2
import numpy as np
import numpy.typing as npt
from troubles import NoTrouble, Trouble
from unprivileged import as_ordinary_user

from runtime.ledger import open_ledger
from runtime.ledger.ledger import MOST_INTERRUPTIONS
from runtime.outputs import result_files

SETTLE_S = 0.3
# of the real frames; synthetic ones are resampled to it
UM_PER_PX = 1.0416667
FOLDERS = ("", "site 1", "VivaStack #1", "site 1/näher")
# each does an image or more, and what is left to do by then is little
MOST_KILLS_AFTER_ALL = 40
CHECKOUT = Path(__file__).parents[2]


@dataclass
class Kills:
    """How often the watch was killed, and in the middle of what."""

    all: int = 0
    in_hand: int = 0
    writing: int = 0
    temporaries: int = 0
    refused: int = 0


@dataclass
class Trial:
    """A folder that images are copied into, slowly, and the watch on it, which an ordinary user runs.

    Attributes:
        place: holds both folders; others may enter it.
        sources: name below the watched folder, and content, in the order of arrival.
        least_kills: no image is copied before its share of them.
        trouble: what else goes wrong meanwhile.
    """

    place: Path
    sources: dict[str, bytes]
    least_kills: int
    rng: random.Random
    trouble: Trouble = field(default_factory=NoTrouble)
    kills: Kills = field(default_factory=Kills)
    arrived: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)
    # held while a file is copied, and while the folder is what it is not always
    folder_lock: threading.Lock = field(default_factory=threading.Lock)
    copied: list[str] = field(default_factory=list)
    records: dict[Path, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.place / "in"

    @property
    def out(self) -> Path:
        return self.place / "out"

    def command(self, *more: str) -> list[str]:
        options = ["--settle", str(SETTLE_S), "--threads", "1", "--min-free", "0", "--um-per-px", str(UM_PER_PX)]
        watch = [sys.executable, "-m", "runtime.cli", "watch", str(self.folder), "--out", str(self.out)]
        # nobody's own home is no place for a cache
        return [*(as_ordinary_user() or ()), "env", f"HOME={self.place}", *watch, *options, *more]

    def copy_in(self) -> None:
        """Half by half, and no faster than the kills come, so that they come all along."""
        rng = random.Random(11)
        for number, (name, data) in enumerate(self.sources.items()):
            while self.kills.all < number * self.least_kills // len(self.sources) and not self.abandoned.is_set():
                time.sleep(0.02)
            with self.folder_lock:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    file.write(data[: len(data) // 2])
                    file.flush()
                    # now and then it rests long enough to be taken for complete
                    time.sleep(rng.uniform(1.5, 2.5) * SETTLE_S if rng.random() < 0.2 else rng.uniform(0.0, 0.05))
                    file.write(data[len(data) // 2 :])
                self.copied.append(name)
            time.sleep(rng.uniform(0.0, 0.2))
        self.arrived.set()

    def make_trouble(self) -> None:
        """Now and then, until everything is there; then all is well."""
        rng = random.Random(13)
        while not self.arrived.wait(rng.uniform(0.5, 3.0)) and not self.abandoned.is_set():
            self.trouble.begin(self)
            time.sleep(rng.uniform(0.5, 3.0))
            self.trouble.end(self)

    @contextmanager
    def watching(self) -> Iterator[bool]:
        """The watch from the moment it says that it runs, killed at the end; False where it ended by itself, saying why
        it cannot run now."""
        log = self.place / "stderr"
        with log.open("wb") as stderr, subprocess.Popen(self.command(), stderr=stderr, cwd=CHECKOUT) as process:
            try:
                assert soon(lambda: b"watching " in log.read_bytes() or process.poll() is not None, 60)
                runs = process.poll() is None
                yield runs
                if process.poll() is not None:
                    self.require_refusal(process.returncode, log.read_text(errors="replace"))
            finally:
                process.kill()
                process.wait(20)
        assert b"Traceback" not in log.read_bytes()

    def require_refusal(self, returncode: int, said: str) -> None:
        """It ended by itself, for a reason that it said in one line; the service manager would start it again."""
        assert self.trouble.may_end_it, said
        assert returncode == 2, (returncode, said)
        assert said.splitlines()[-1].startswith("inflamap: "), said
        assert "unexpected" not in said, said
        self.kills.refused += 1

    def run_and_kill(self, kind: str) -> None:
        """Kill at any moment; or soon after an image is seen in hand; or when a result is seen half-written."""
        self.trouble.before_start(self)
        with self.watching() as runs:
            if not runs:
                time.sleep(0.2)
                return
            # aimed at the same image every time, it would be given up as the one that ends the program
            soon(lambda: self.seen_now(most_interruptions) < MOST_INTERRUPTIONS - 1, 60)
            at_the_latest = self.rng.uniform(0.05, 0.9)
            if kind == "any":
                time.sleep(at_the_latest)
            elif kind == "in hand":
                soon(lambda: self.seen_now(images_in_hand) > 0, at_the_latest)
                time.sleep(self.rng.uniform(0.0, 0.05))
            else:
                soon(lambda: bool(self.temporaries()), at_the_latest)
        self.kills.all += 1
        left = len(self.temporaries())
        self.kills.writing += left > 0
        self.kills.temporaries += left
        self.kills.in_hand += self.after_the_kill(images_in_hand) > 0
        self.see_records()

    def seen_now(self, read: Callable[[sqlite3.Connection], int]) -> int:
        """Something of the ledger while the watch runs; 0 where it cannot be read."""
        try:
            uri = f"{(self.out / 'inflamap.db').as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True)) as ledger:
                return read(ledger)
        except sqlite3.Error:
            return 0

    def after_the_kill(self, read: Callable[[sqlite3.Connection], int]) -> int:
        """Something of the ledger as the kill left it, read in a copy: the next watch finds it untouched."""
        copy = self.place / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self.out.glob("inflamap.db*"):
            shutil.copyfile(path, copy / path.name)
        with closing(sqlite3.connect(copy / "inflamap.db")) as ledger:
            try:
                return read(ledger)
            except sqlite3.Error:
                return 0

    def temporaries(self) -> list[Path]:
        return [Path(folder, name) for folder, _, names in os.walk(self.out) for name in names if ".tmp" in name]

    def see_records(self) -> None:
        """A record that is there is of whole content, for halves are no images: it must never be written again."""
        for path in self.out.rglob("*.score.json"):
            written = path.stat().st_mtime_ns
            assert self.records.setdefault(path, written) == written, f"{path} was scored again"


def soon(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.001)
    return held


def images_in_hand(ledger: sqlite3.Connection) -> int:
    return int(ledger.execute("SELECT COUNT(*) FROM images WHERE begun IS NOT NULL").fetchone()[0])


def most_interruptions(ledger: sqlite3.Connection) -> int:
    # the one that the last kill hit is counted when the next watch starts
    query = "SELECT COALESCE(MAX(interruptions + (begun IS NOT NULL)), 0) FROM images"
    return int(ledger.execute(query).fetchone()[0])


def images_done(ledger: sqlite3.Connection) -> int:
    return int(ledger.execute("SELECT COUNT(*) FROM images WHERE state IN ('scored', 'withheld')").fetchone()[0])


def synthetic(skin: npt.NDArray[np.uint8], number: int) -> bytes:
    """A phantom frame at the real frames' scale, each another; every third is large and so longer in hand."""
    turned = np.rot90(np.roll(skin, 37 * number, axis=0), number)
    small = cv2.resize(turned, None, fx=0.5 / UM_PER_PX, fy=0.5 / UM_PER_PX, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".bmp", np.tile(small, (3, 3)) if number % 3 == 0 else small)[1])


def interleaved(real: list[bytes], made: list[bytes]) -> dict[str, bytes]:
    """Name below the watched folder, and content, in the order of arrival."""
    every = max(1, len(real) // max(1, len(made)))
    groups = itertools.zip_longest([real[at : at + every] for at in range(0, len(real), every)], made)
    files: dict[str, bytes] = {}
    for frames, phantom in groups:
        for data, suffix in [*((frame, ".jpg") for frame in frames or ()), *([(phantom, ".bmp")] if phantom else ())]:
            folder = FOLDERS[len(files) % len(FOLDERS)]
            files[(PurePath(folder) / f"v{len(files):07d}{suffix}").as_posix()] = data
    return files


def undergo(trial: Trial) -> str:
    """Copy, kill and restart until all is done, check every trace, and sum it up in one line."""
    threads = [threading.Thread(target=trial.copy_in), threading.Thread(target=trial.make_trouble)]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    after_all = 0
    try:
        for kind in itertools.cycle(("any", "in hand", "writing")):
            all_there = trial.arrived.is_set() and not threads[1].is_alive()
            trial.run_and_kill(kind)
            # one that is never done is told by the traces
            after_all += all_there
            done = trial.after_the_kill(images_done) == len(trial.sources)
            if after_all and (done or after_all > MOST_KILLS_AFTER_ALL):
                break
    finally:
        trial.abandoned.set()
        for thread in threads:
            thread.join(60)
    last = subprocess.run(
        trial.command("--once"), capture_output=True, text=True, check=False, timeout=100, cwd=CHECKOUT
    )
    assert last.returncode == 0, last.stderr
    trial.see_records()
    statuses = check_traces(trial)
    kills = trial.kills
    refused = f", {kills.refused} starts refused with a reason" if kills.refused else ""
    real = sum(name.endswith(".jpg") for name in trial.sources)
    found = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    return (
        f"{trial.trouble.name}: {trial.trouble.count} times; {len(trial.sources)} arrivals ({real} of real frames), "
        f"{kills.all} kills{refused}, {kills.in_hand} with an image in hand, {kills.writing} amid a write that left "
        f"{kills.temporaries} temporaries; then {sum(statuses.values())} records ({found}), 0 waiting, 0 failed, "
        f"0 lost, 0 doubled, 0 scored again, 0 of other content, {len(trial.temporaries())} temporaries; "
        f"{time.monotonic() - started:.0f} s"
    )


def check_traces(trial: Trial) -> Counter[str]:
    """Each image has one row and the files of its own content's result, and nothing else is there."""
    with open_ledger(trial.out) as ledger:
        rows = list(ledger.rows())
        counts = {str(state): count for state, count in ledger.counts().items()}
        assert not ledger.waits()
    assert sorted(row.path.as_posix() for row in rows) == sorted(trial.sources)
    assert {row.path.as_posix(): row.reason for row in rows if row.state not in ("scored", "withheld")} == {}
    statuses: Counter[str] = Counter()
    wanted: set[str] = set()
    for row in rows:
        files = result_files(row.path)
        record = json.loads((trial.out / files.score).read_text())
        statuses[record["status"]] += 1
        assert record["status"] == row.state
        content = hashlib.sha256(trial.sources[row.path.as_posix()]).hexdigest()
        assert (record["image"]["path"], record["image"]["sha256"]) == (row.path.as_posix(), content)
        assert row.outcome.sha256 == content
        named = [files.score, files.overlay, *([files.map] if record["status"] == "scored" else [])]
        assert all((trial.out / file).stat().st_size for file in named)
        wanted |= {file.as_posix() for file in named}
    assert counts == {"waiting": 0, "failed": 0, "scored": statuses["scored"], "withheld": statuses["withheld"]}
    there = {path.relative_to(trial.out).as_posix() for path in trial.out.rglob("*") if path.is_file()}
    assert {name for name in there if not name.startswith("inflamap.")} == wanted
    for name, data in trial.sources.items():
        assert (trial.folder / name).read_bytes() == data
    return statuses
