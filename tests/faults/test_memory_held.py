"""Memory of a watch and of `score` over many large files, good and bad: no more than that of one.

pytest -m slow -s tests/faults/test_memory_held.py      # the full form: 50 files of 100 to 200 MB
"""

import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from crowd import CHECKOUT, watching
from large_files import LARGE_FILES

from runtime.ledger import open_ledger

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")

# of the peak with the most expensive file alone
MOST_MORE = 1.1
# kinds that need most; the others are no more
EXPENSIVE = ("dicom_cut", "png_cut", "tiff_with_absurd_numbers")
# of each kind one that loads what its kind needs, before the peak is of interest
SMALL = [(kind, 1) for kind in LARGE_FILES]
OPTIONS = ["--threads", "1"]
FORMS = [
    pytest.param((30, 60), 10, id="short", marks=pytest.mark.timeout(300)),
    pytest.param((100, 200), 50, id="full", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
]


def peak_mb(status: str) -> float:
    """The most memory that a process had resident at once, in 10^6 bytes, by what /proc says of it."""
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


class Watched:
    """A watch that large files are given to, one at a time."""

    def __init__(self, tmp_path: Path, name: str) -> None:
        self._made, self._folder, self._out = (tmp_path / f"{name} {part}" for part in ("made", "in", "out"))
        for folder in (self._made, self._folder):
            folder.mkdir()
        self._log = tmp_path / f"{name}.log"

    def peak_over(self, files: Iterable[tuple[str, int]], *, tries: int = 1) -> float:
        """The peak of a watch over files by their kind and megabytes, each tried some times, in 10^6 bytes."""
        options = ["--settle", "0.1", "--rescan", "1", "--min-free", "0", *OPTIONS]
        watch = [sys.executable, "-m", "runtime.cli", "watch", str(self._folder), "--out", str(self._out), *options]
        with watching(watch, self._log) as process:
            for number, (kind, megabytes) in enumerate([*SMALL, *files]):
                name = f"{number:03d} {kind}.bmp"
                LARGE_FILES[kind](self._made / name, megabytes)
                place = self._made / name
                for attempt in range(1, (1 if number < len(SMALL) else tries) + 1):
                    # another time is another content
                    os.utime(place, (attempt, attempt))
                    place = place.replace(self._folder / name)
                    self._wait(process, name, attempt * 10**9)
                place.unlink()
            return peak_mb(Path(f"/proc/{process.pid}/status").read_text())

    def _wait(self, process: "subprocess.Popen[bytes]", name: str, changed_ns: int) -> None:
        """Wait until a file is done, or has failed, in the state that it was given at a time."""
        until = time.monotonic() + 60
        while not self._is_done(name, changed_ns):
            assert process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, f"{name} is not done\n{self._log.read_text()}"
            time.sleep(0.1)

    def _is_done(self, name: str, changed_ns: int) -> bool:
        with open_ledger(self._out) as ledger:
            rows = {row.path.as_posix(): row for row in ledger.rows()}
        row = rows.get(name)
        return row is not None and row.file.mtime_ns == changed_ns and row.state in ("failed", "withheld")


def drawn(sizes: tuple[int, int], count: int) -> list[tuple[str, int]]:
    """Files of each kind in turn, in a drawn order; the largest first of each kind."""
    rng = random.Random(22)
    files = [(kind, rng.randint(*sizes)) for kind in itertools.islice(itertools.cycle(LARGE_FILES), count)]
    rng.shuffle(files)
    return files


def most_of_one(tmp_path: Path, files: list[tuple[str, int]]) -> tuple[float, str]:
    """The peak of a watch over one file alone, and its kind: the most of those that were found to need most."""
    largest = {kind: max(size for each, size in files if each == kind) for kind, _ in files if kind in EXPENSIVE}
    return max((Watched(tmp_path, f"alone {kind}").peak_over([(kind, size)]), kind) for kind, size in largest.items())


@pytest.mark.parametrize(("sizes", "count"), FORMS)
def test_a_watch_over_many_large_files_peaks_at_that_of_one(
    sizes: tuple[int, int], count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = drawn(sizes, count)
    alone, kind = most_of_one(tmp_path, files)
    together = Watched(tmp_path, "all").peak_over(files)
    with capsys.disabled():
        print(f"\nwatch: {count} files peak at {together:.0f} MB, {kind} alone at {alone:.0f} MB")
    assert together <= MOST_MORE * alone


@pytest.mark.parametrize(("sizes", "count"), FORMS)
def test_retries_of_files_that_fail_peak_at_that_of_one_try(
    sizes: tuple[int, int], count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [(kind, sizes[1]) for kind in ("tiff_deflated_with_damage", "png_cut", "dicom_cut")]
    alone, kind = most_of_one(tmp_path, files)
    together = Watched(tmp_path, "retried").peak_over(files, tries=count // 2)
    with capsys.disabled():
        print(f"\nretries: {count // 2} tries of 3 files peak at {together:.0f} MB, {kind} alone at {alone:.0f} MB")
    assert together <= MOST_MORE * alone


def peak_of_score(tmp_path: Path, name: str, files: list[tuple[str, int]]) -> float:
    """The peak of `score` over files by their kind and megabytes, in 10^6 bytes."""
    folder = tmp_path / name
    folder.mkdir()
    for number, (kind, megabytes) in enumerate([*SMALL, *files]):
        LARGE_FILES[kind](folder / f"{number:03d} {kind}.bmp", megabytes)
    paths = [str(path) for path in sorted(folder.iterdir())]
    command = ["score", *paths, "--out", str(tmp_path / f"{name} out"), "--json", *OPTIONS]
    # ru_maxrss would be that of the test's own process, where it is larger
    code = (
        "import sys\nfrom runtime.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    print(open('/proc/self/status').read(), file=sys.stderr)\n"
    )
    run = [sys.executable, "-c", code, *command]
    done = subprocess.run(run, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert len(found["results"]) + len(found["failed"]) == len(SMALL) + len(files)
    for path in paths:
        Path(path).unlink()
    return peak_mb(done.stderr)


@pytest.mark.parametrize(("sizes", "count"), [FORMS[0], pytest.param((100, 200), 20, id="full", marks=FORMS[1].marks)])
def test_score_over_many_large_files_peaks_at_that_of_one(
    sizes: tuple[int, int], count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = drawn(sizes, count)
    largest = {kind: max(size for each, size in files if each == kind) for kind in EXPENSIVE}
    alone, kind = max(
        (peak_of_score(tmp_path, f"alone {kind}", [(kind, size)]), kind) for kind, size in largest.items()
    )
    together = peak_of_score(tmp_path, "all", files)
    with capsys.disabled():
        print(f"\nscore: {count} files peak at {together:.0f} MB, {kind} alone at {alone:.0f} MB")
    assert together <= MOST_MORE * alone
