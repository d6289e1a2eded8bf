"""The watch is killed again and again while images are copied in, and loses none, doubles none, mixes none up."""

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
import pytest

from runtime.ledger import open_ledger
from runtime.ledger.ledger import MOST_INTERRUPTIONS
from runtime.outputs import result_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not to be had there")

SETTLE_S = 0.3
# of the real frames; synthetic ones are resampled to it
UM_PER_PX = 1.0416667
FOLDERS = ("", "site 1", "VivaStack #1", "site 1/näher")
# each does an image or more, and what is left to do by then is little
MOST_KILLS_AFTER_ALL = 20
LEDGER_FILES = ("inflamap.db", "inflamap.db-wal", "inflamap.db-shm", "inflamap.lock")


@dataclass
class Kills:
    """How often the watch was killed, and in the middle of what."""

    all: int = 0
    in_hand: int = 0
    writing: int = 0
    temporaries: int = 0


@dataclass
class Trial:
    """A folder that images are copied into, slowly, and the watch on it."""

    place: Path
    sources: dict[str, bytes]
    least_kills: int
    rng: random.Random
    kills: Kills = field(default_factory=Kills)
    arrived: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)

    @property
    def folder(self) -> Path:
        return self.place / "in"

    @property
    def out(self) -> Path:
        return self.place / "out"

    def command(self, *more: str) -> list[str]:
        options = ["--settle", str(SETTLE_S), "--threads", "1", "--min-free", "0", "--um-per-px", str(UM_PER_PX)]
        watch = [sys.executable, "-m", "runtime.cli", "watch", str(self.folder), "--out", str(self.out)]
        return [*watch, *options, *more]

    def copy_in(self) -> None:
        """Half by half, and no faster than the kills come, so that they come all along."""
        rng = random.Random(11)
        for number, (name, data) in enumerate(self.sources.items()):
            while self.kills.all < number * self.least_kills // len(self.sources) and not self.abandoned.is_set():
                time.sleep(0.02)
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(data[: len(data) // 2])
                file.flush()
                # now and then it rests long enough to be taken for complete
                time.sleep(rng.uniform(1.5, 2.5) * SETTLE_S if rng.random() < 0.35 else rng.uniform(0.0, 0.1))
                file.write(data[len(data) // 2 :])
            time.sleep(rng.uniform(0.0, 0.3))
        self.arrived.set()

    @contextmanager
    def watching(self) -> Iterator["subprocess.Popen[bytes]"]:
        """The watch from the moment it says that it runs; killed at the end."""
        log = self.place / "stderr"
        with log.open("wb") as stderr, subprocess.Popen(self.command(), stderr=stderr) as process:
            try:
                assert soon(lambda: b"watching " in log.read_bytes() or process.poll() is not None, 60)
                assert process.poll() is None, log.read_text(errors="replace")
                yield process
                assert process.poll() is None, log.read_text(errors="replace")
            finally:
                process.kill()
                process.wait(20)
        assert b"Traceback" not in log.read_bytes()

    def run_and_kill(self, kind: str) -> None:
        """Kill at any moment; or soon after an image is seen in hand; or when a result is seen half-written."""
        database = f"{(self.out / 'inflamap.db').as_uri()}?mode=ro"
        with self.watching(), closing(sqlite3.connect(database, uri=True)) as ledger:
            # aimed at the same image every time, it would be given up as the one that ends the program
            assert soon(lambda: most_interruptions(ledger) < MOST_INTERRUPTIONS - 1, 60)
            at_the_latest = self.rng.uniform(0.2, 1.5)
            if kind == "any":
                time.sleep(at_the_latest)
            elif kind == "in hand":
                soon(lambda: images_in_hand(ledger) > 0, at_the_latest)
                time.sleep(self.rng.uniform(0.0, 0.1))
            else:
                soon(lambda: bool(self.temporaries()), at_the_latest)
        self.kills.all += 1
        left = len(self.temporaries())
        self.kills.writing += left > 0
        self.kills.temporaries += left
        self.kills.in_hand += self.after_the_kill(images_in_hand) > 0

    def after_the_kill(self, read: Callable[[sqlite3.Connection], int]) -> int:
        """Something of the ledger as the kill left it, read in a copy: the next watch finds it untouched."""
        copy = self.place / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self.out.glob("inflamap.db*"):
            shutil.copy(path, copy)
        with closing(sqlite3.connect(copy / "inflamap.db")) as ledger:
            return read(ledger)

    def temporaries(self) -> list[Path]:
        return [Path(folder, name) for folder, _, names in os.walk(self.out) for name in names if ".tmp" in name]


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


def images_not_done(ledger: sqlite3.Connection) -> int:
    query = "SELECT COUNT(*) FROM images WHERE state NOT IN ('scored', 'withheld')"
    return int(ledger.execute(query).fetchone()[0])


def images_known(ledger: sqlite3.Connection) -> int:
    return int(ledger.execute("SELECT COUNT(*) FROM images").fetchone()[0])


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
    trial.folder.mkdir()
    copying = threading.Thread(target=trial.copy_in)
    copying.start()
    started = time.monotonic()
    after_all = 0
    try:
        for kind in itertools.cycle(("any", "in hand", "writing")):
            all_there = trial.arrived.is_set()
            trial.run_and_kill(kind)
            known = trial.after_the_kill(images_known)
            done = known == len(trial.sources) and not trial.after_the_kill(images_not_done)
            # one that is never done is told by the traces
            after_all += all_there
            if after_all and (done or after_all > MOST_KILLS_AFTER_ALL):
                break
    finally:
        trial.abandoned.set()
        copying.join(60)
    last = subprocess.run(trial.command("--once"), capture_output=True, text=True, check=False, timeout=100)
    assert last.returncode == 0, last.stderr
    statuses = check_traces(trial)
    kills = trial.kills
    return (
        f"{len(trial.sources)} arrivals ({sum(name.endswith('.jpg') for name in trial.sources)} of real frames), "
        f"{kills.all} kills, {kills.in_hand} with an image in hand, {kills.writing} amid a write that left "
        f"{kills.temporaries} temporaries; then {sum(statuses.values())} records ({statuses['scored']} scored, "
        f"{statuses['withheld']} withheld), 0 waiting, 0 failed, 0 lost, 0 doubled, 0 of other content, "
        f"{len(trial.temporaries())} temporaries; {time.monotonic() - started:.0f} s"
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
    assert there - set(LEDGER_FILES) == wanted
    for name, data in trial.sources.items():
        assert (trial.folder / name).read_bytes() == data
    return statuses


def test_killed_at_any_instant_it_loses_nothing(
    tmp_path: Path,
    skin: npt.NDArray[np.uint8],
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real: list[bytes] = []
    if "INFLAMAP_REAL_FRAMES" in os.environ:
        real = [path.read_bytes() for path in request.getfixturevalue("real_frames")[:10]]
    made = [synthetic(skin, number) for number in range(16 - len(real))]
    trial = Trial(tmp_path, interleaved(real, made), 6, random.Random(1))
    line = undergo(trial)
    with capsys.disabled():
        print(f"\nkilled, short form: {line}")
    assert trial.kills.all >= 6
    assert trial.kills.in_hand >= 3


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_all_along_it_loses_nothing(
    tmp_path: Path, skin: npt.NDArray[np.uint8], real_frames: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    real = [path.read_bytes() for path in real_frames] * 3
    made = [synthetic(skin, number) for number in range(12)]
    trial = Trial(tmp_path, interleaved(real, made), 27, random.Random(2))
    line = undergo(trial)
    with capsys.disabled():
        print(f"\nkilled, full form: {line}")
    assert trial.kills.all >= 25
    assert trial.kills.in_hand >= 10
    assert trial.kills.writing >= 2


# the decoder or the engine ends the process, as a fault in native code does
_DEADLY = """
import os, signal, sys
from runtime import service
from runtime.cli import main

examine = service.examine

def deadly(path, *arguments, **keywords):
    if path.name == "deadly.bmp":
        os.kill(os.getpid(), signal.SIGKILL)
    return examine(path, *arguments, **keywords)

service.examine = deadly
main(sys.argv[1:])
"""


def test_image_that_ends_the_program_is_given_up_and_no_other(tmp_path: Path, skin: npt.NDArray[np.uint8]) -> None:
    made = synthetic(skin, 1)
    trial = Trial(tmp_path, dict.fromkeys(["a.bmp", "b.bmp", "deadly.bmp", "z.bmp"], made), 0, random.Random(3))
    trial.folder.mkdir()
    for name, data in trial.sources.items():
        (trial.folder / name).write_bytes(data)
    arguments = [sys.executable, "-c", _DEADLY, *trial.command("--once")[3:]]
    deaths = 0
    while (ended := subprocess.run(arguments, capture_output=True, check=False, timeout=60)).returncode < 0:
        deaths += 1
        assert deaths <= MOST_INTERRUPTIONS
    assert deaths == MOST_INTERRUPTIONS
    assert b"deadly.bmp: given up" in ended.stderr
    with open_ledger(trial.out) as ledger:
        states = {row.path.as_posix(): str(row.state) for row in ledger.rows()}
    assert states == {"a.bmp": "scored", "b.bmp": "scored", "deadly.bmp": "failed", "z.bmp": "scored"}
