"""Everything that is no good image comes into a watched folder, and the good ones are scored all the same.

One real process, of a user whom rights bind, watches while all of it arrives; each file is then a test of its own.
"""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from odd_files import arrive, contents, expected
from unprivileged import as_ordinary_user, own, place_for_all

from runtime.ledger import ImageRow, open_ledger
from runtime.outputs import read_record, result_files

SETTLE_S = 0.3
# rests long enough to be taken for complete
PAUSE_S = 3 * SETTLE_S
# a rescan, should the events of a new sub-folder be missed, and what two busy cores need
PATIENCE_S = 75.0
CHECKOUT = Path(__file__).parents[2]

EXPECTED = expected()
NO_ROW = ["folder.bmp", "notes.txt", "copying.bmp.part", "aside.part", "back"]


@dataclass(frozen=True)
class Outcome:
    """What was seen of the watch and left by it."""

    folder: Path
    out: Path
    rows: dict[str, ImageRow]
    was_running: bool
    exit_code: int
    stderr: str
    before: dict[str, object]
    after: dict[str, object]


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Whether it came true in time and while the process ran."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or process.poll() is not None:
            return False
        time.sleep(0.1)
    return True


def snapshot(folder: Path) -> dict[str, object]:
    """All that `folder` holds, with times and rights."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else None
        times = () if path.is_dir() else (status.st_mtime_ns, status.st_size)
        found[path.relative_to(folder).as_posix()] = (status.st_mode, *times, content)
    return found


@pytest.fixture(scope="module")
def outcome(skin: npt.NDArray[np.uint8]) -> Iterator[Outcome]:
    """One watch, all that arrived, and its end."""
    with place_for_all() as place:
        (place / "in").mkdir()
        (place / "out").mkdir()
        own(place / "out")
        yield watch_all_of_it(place, as_ordinary_user() or (), contents(skin[100:300, 100:300].copy()))


def watch_all_of_it(place: Path, prefix: tuple[str, ...], files: dict[str, bytes]) -> Outcome:
    folder, out, log = place / "in", place / "out", place / "stderr"
    (folder / "good before.bmp").write_bytes(files["good before.bmp"])
    options = ["--settle", str(SETTLE_S), "--threads", "1", "--min-free", "0", "--um-per-px", "0.5", "--rescan", "2"]
    watch = [sys.executable, "-m", "runtime.cli", "watch", str(folder), "--out", str(out), *options]
    rows: dict[str, ImageRow] = {}

    def all_there() -> bool:
        """Whether every file has come to its state, with the content it has now."""
        rows.clear()
        with open_ledger(out) as ledger:
            rows.update({row.path.as_posix(): row for row in ledger.rows()})
        return set(rows) >= set(EXPECTED) and all(
            rows[name].state == state
            and (state == "failed" or rows[name].outcome.sha256 == hashlib.sha256(files[name]).hexdigest())
            for name, (state, _reason) in EXPECTED.items()
        )

    with log.open("wb") as stderr, subprocess.Popen([*prefix, *watch], stderr=stderr, cwd=CHECKOUT) as process:
        try:
            assert wait_for(lambda: b"watching " in log.read_bytes(), process, 60), log.read_text(errors="replace")
            arrive(folder, files, PAUSE_S)
            before = snapshot(folder)
            # what is missing is told by the tests, file by file
            wait_for(lambda: all_there() and b"a link to a folder" in log.read_bytes(), process, PATIENCE_S)
            was_running = process.poll() is None
            process.send_signal(signal.SIGTERM)
            exit_code = process.wait(30)
        finally:
            process.kill()
    all_there()
    return Outcome(
        folder, out, dict(rows), was_running, exit_code, log.read_text(errors="replace"), before, snapshot(folder)
    )


def test_there_are_at_least_forty_kinds_that_are_not_simply_good() -> None:
    assert sum(not name.startswith("good ") for name in EXPECTED) >= 40


@pytest.mark.parametrize("name", EXPECTED, ids=ascii)
def test_file_comes_to_its_state_for_its_reason(outcome: Outcome, name: str) -> None:
    state, reason = EXPECTED[name]
    row = outcome.rows[name]
    assert (str(row.state), row.reason) == (state, "") if not reason else row.state == state
    assert reason in row.reason
    assert row.reason.isprintable()


@pytest.mark.parametrize("name", [name for name, (state, _) in EXPECTED.items() if state != "failed"], ids=ascii)
def test_result_of_a_readable_file_is_whole(outcome: Outcome, name: str) -> None:
    state, _reason = EXPECTED[name]
    relative = outcome.rows[name].path
    files = result_files(relative)
    record = read_record(outcome.out, relative)
    assert record is not None
    assert record["status"] == state
    source = outcome.folder / relative
    assert record["image"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert cv2.imdecode(np.frombuffer((outcome.out / files.overlay).read_bytes(), np.uint8), 0) is not None
    assert (outcome.out / files.map).exists() == (state == "scored")
    if state == "scored":
        assert tifffile.imread(outcome.out / files.map).shape[0] == 2


@pytest.mark.parametrize("name", [name for name, (state, _) in EXPECTED.items() if state == "failed"], ids=ascii)
def test_file_that_fails_leaves_no_result_and_is_said_once(outcome: Outcome, name: str) -> None:
    files = result_files(Path(name))
    assert not any((outcome.out / file).exists() for file in (files.score, files.overlay, files.map))
    # a name is said on one line, whatever it holds
    printed = ascii(name.replace("\n", " "))[1:-1]
    lines = [line for line in outcome.stderr.splitlines() if line.startswith(f"inflamap: {printed}: ")]
    assert len(lines) == 1
    assert lines[0].startswith("inflamap: ")


@pytest.mark.parametrize("name", NO_ROW)
def test_what_is_no_image_file_has_no_row(outcome: Outcome, name: str) -> None:
    assert name not in outcome.rows


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_link_to_a_folder_is_said(outcome: Outcome) -> None:
    assert "back: a link to a folder, which is not followed" in outcome.stderr


def test_there_are_no_other_rows_and_no_other_files(outcome: Outcome) -> None:
    assert set(outcome.rows) == set(EXPECTED)
    wanted: set[Path] = set()
    for name, (state, _reason) in EXPECTED.items():
        files = result_files(Path(name))
        wanted |= {files.score, files.overlay} if state != "failed" else {files.failure}
        wanted |= {files.map} if state == "scored" else set()
    there = {path.relative_to(outcome.out) for path in outcome.out.rglob("*") if not path.is_dir()}
    assert {path for path in there if not path.name.startswith("inflamap.")} == wanted


def test_the_watch_went_on_and_ended_cleanly(outcome: Outcome) -> None:
    assert outcome.was_running
    assert "Traceback" not in outcome.stderr
    assert "unexpected" not in outcome.stderr
    assert outcome.exit_code == 0 or sys.platform == "win32"


def test_the_watched_folder_is_untouched(outcome: Outcome) -> None:
    assert outcome.after == outcome.before
