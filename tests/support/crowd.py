"""Very many files in a watched folder."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from made_up import arrive, result_of

from benchmarks.child_process import child_process
from runtime.file_state import FileState
from runtime.ledger import Ledger

CHECKOUT = Path(__file__).parents[2]
PER_FOLDER = 100


def crowd(folder: Path, count: int, content: bytes) -> list[Path]:
    """`count` files of the same content in folders of a hundred, saved a second apart and long ago; their paths."""
    paths = []
    for number in range(count):
        path = folder / f"site {number // PER_FOLDER}" / f"v{number:07d}.bmp"
        if number % PER_FOLDER == 0:
            path.parent.mkdir()
        path.write_bytes(content)
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
        paths.append(path)
    return paths


@contextmanager
def watching(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A watch from the moment it says that it runs, when its ledger is there for others; killed at the end."""
    with log.open("wb") as stderr, child_process(command, obey_s=0.0, cwd=CHECKOUT, stderr=stderr) as process:
        while b"watching " not in log.read_bytes():
            assert process.poll() is None, log.read_text(errors="replace")
            time.sleep(0.05)
        yield process


def know(ledger: Ledger, folder: Path, paths: list[Path]) -> None:
    """As if a watch had scored them all."""
    for path in paths:
        relative, state = path.relative_to(folder), FileState.of(path)
        assert state is not None
        arrive(ledger, relative, state, 1.0)
        row = ledger.take(1000.0)
        assert row is not None
        ledger.finished(row, result_of(Path(row.path)), 1.0)
