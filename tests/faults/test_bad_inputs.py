"""Everything that is no good image comes into a watched folder, and the good ones are scored all the same.

One real process watches while all of it arrives; each file is then a test of its own.
"""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from runtime.ledger import ImageRow, open_ledger
from runtime.outputs import read_record, result_files

WINDOWS = sys.platform == "win32"
# rights do not bind root
ROOT = not WINDOWS and os.geteuid() == 0
SETTLE_S = 0.3
# rests long enough to be taken for complete
PAUSE_S = 3 * SETTLE_S
# a rescan, should the events of a new sub-folder be missed, and what two busy cores need
PATIENCE_S = 75.0

# what becomes of each, and a word of its reason; in the order in which they arrive
EXPECTED: dict[str, tuple[str, str]] = {
    "good before.bmp": ("scored", ""),
    "empty.bmp": ("failed", "the file is empty"),
    "empty.png": ("failed", "the file is empty"),
    "empty.jpg": ("failed", "the file is empty"),
    "empty.tif": ("failed", "the file is empty"),
    "cut.bmp": ("failed", "truncated"),
    "cut.png": ("failed", "truncated"),
    "cut.jpg": ("failed", "truncated"),
    "cut.tif": ("failed", "truncated"),
    "header only.bmp": ("failed", "truncated"),
    "text.bmp": ("failed", "not an image"),
    "good between.png": ("scored", ""),
    "colour.bmp": ("withheld", "colour"),
    "colour.jpg": ("withheld", "colour"),
    "pixel.png": ("withheld", "too small"),
    "black.bmp": ("withheld", "dark"),
    "full range.tif": ("scored", ""),
    "full range.png": ("scored", ""),
    "12 bit.tif": ("withheld", "depth of grey unknown"),
    "12 bit.png": ("withheld", "depth of grey unknown"),
    "with  spaces .bmp": ("scored", ""),
    "site #1.bmp": ("scored", ""),
    "Häut ß 皮膚.bmp": ("scored", ""),
    "VivaStack #1/v0000001.bmp": ("scored", ""),
    "unreadable.bmp": ("scored", "") if ROOT or WINDOWS else ("failed", "Permission denied"),
    "in two halves.bmp": ("scored", ""),
    "preallocated.bmp": ("scored", ""),
    "good after.jpg": ("scored", ""),
    "good after.tif": ("scored", ""),
    "good after.bmp": ("scored", ""),
}
if not WINDOWS:
    EXPECTED |= {
        os.fsdecode(b"caf\xe9.bmp"): ("scored", ""),
        os.fsdecode(b"cut caf\xe9.bmp"): ("failed", "truncated"),
        "a\nline.bmp": ("scored", ""),
        "cut\nline.bmp": ("failed", "truncated"),
        "x" * 246 + ".bmp": ("scored", ""),
        "x" * 245 + "y.bmp": ("scored", ""),
    }
ARRIVING_LATER = ("in two halves.bmp", "preallocated.bmp")
NO_ROW = ["folder.bmp", "notes.txt", "copying.bmp.part"] + ([] if WINDOWS else ["pipe.bmp", "gone.bmp"])


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


def encoded(suffix: str, pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> bytes:
    if suffix != ".tif":
        return bytes(cv2.imencode(suffix, pixels)[1])
    file = io.BytesIO()
    tifffile.imwrite(file, pixels)
    return file.getvalue()


def contents(skin: npt.NDArray[np.uint8]) -> dict[str, bytes]:
    """Every file of EXPECTED, whole."""
    whole = {suffix: encoded(suffix, skin) for suffix in (".bmp", ".png", ".jpg", ".tif")}
    photo = np.dstack([skin // 3, skin // 2, skin])
    deep = skin.astype(np.uint16)
    special = {
        "header only.bmp": whole[".bmp"][:20],
        "text.bmp": b"Patient seen on Monday; BM was taken.\n" * 50,
        "colour.bmp": encoded(".bmp", photo),
        "colour.jpg": encoded(".jpg", photo),
        "pixel.png": encoded(".png", skin[:1, :1]),
        "black.bmp": encoded(".bmp", np.zeros_like(skin)),
        "full range.tif": encoded(".tif", deep * 257),
        "full range.png": encoded(".png", deep * 257),
        "12 bit.tif": encoded(".tif", deep * 16),
        "12 bit.png": encoded(".png", deep * 16),
    }
    found = {}
    for name in EXPECTED:
        data = special.get(name) or whole[name[-4:]]
        found[name] = b"" if name.startswith("empty") else data[: len(data) // 2] if name.startswith("cut") else data
    return found


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


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def all_arrive(folder: Path, files: dict[str, bytes]) -> None:
    """What comes while the watch runs."""
    data = files["in two halves.bmp"]
    zeroed = len(data) // 3
    write(folder / "in two halves.bmp", data[: len(data) // 2])
    write(folder / "preallocated.bmp", data[:zeroed] + bytes(len(data) - zeroed))
    (folder / "folder.bmp").mkdir()
    (folder / "notes.txt").write_text("no image")
    (folder / "copying.bmp.part").write_bytes(data)
    if not WINDOWS:
        os.mkfifo(folder / "pipe.bmp")
        (folder / "gone.bmp").symlink_to(folder / "nowhere.bmp")
    for name, content in files.items():
        if name in ARRIVING_LATER or name == "good before.bmp" or name.startswith("good after"):
            continue
        write(folder / name, content)
        if name == "unreadable.bmp":
            (folder / name).chmod(0)
    time.sleep(PAUSE_S)
    with (folder / "in two halves.bmp").open("ab") as file:
        file.write(data[len(data) // 2 :])
    with (folder / "preallocated.bmp").open("r+b") as file:
        file.seek(zeroed)
        file.write(data[zeroed:])
    for name, content in files.items():
        if name.startswith("good after"):
            write(folder / name, content)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, skin: npt.NDArray[np.uint8]) -> Outcome:
    """One watch, all that arrived, and its end."""
    place = tmp_path_factory.mktemp("bad inputs")
    folder, out = place / "in", place / "out"
    files = contents(skin[100:300, 100:300].copy())
    write(folder / "good before.bmp", files["good before.bmp"])
    options = ["--settle", str(SETTLE_S), "--threads", "1", "--min-free", "0", "--um-per-px", "0.5"]
    arguments = [sys.executable, "-m", "runtime.cli", "watch", str(folder), "--out", str(out), *options]
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

    with (place / "stderr").open("wb") as stderr, subprocess.Popen(arguments, stderr=stderr) as process:
        try:
            started = wait_for(lambda: b"watching " in (place / "stderr").read_bytes(), process, 60)
            assert started, (place / "stderr").read_text(errors="replace")
            all_arrive(folder, files)
            before = snapshot(folder)
            # what is missing is told by the tests, file by file
            wait_for(all_there, process, PATIENCE_S)
            was_running = process.poll() is None
            process.send_signal(signal.SIGTERM)
            exit_code = process.wait(30)
        finally:
            process.kill()
    all_there()
    said = (place / "stderr").read_text(errors="replace")
    return Outcome(folder, out, rows, was_running, exit_code, said, before, snapshot(folder))


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
    assert name in outcome.before
    assert name not in outcome.rows


def test_there_are_no_other_rows_and_no_other_files(outcome: Outcome) -> None:
    assert set(outcome.rows) == set(EXPECTED)
    wanted: set[Path] = set()
    for name, (state, _reason) in EXPECTED.items():
        files = result_files(Path(name))
        wanted |= {files.score, files.overlay} if state != "failed" else set()
        wanted |= {files.map} if state == "scored" else set()
    there = {path.relative_to(outcome.out) for path in outcome.out.rglob("*") if not path.is_dir()}
    assert {path for path in there if not path.name.startswith("inflamap.")} == wanted


def test_the_watch_went_on_and_ended_cleanly(outcome: Outcome) -> None:
    assert outcome.was_running
    assert "Traceback" not in outcome.stderr
    assert "unexpected" not in outcome.stderr
    assert outcome.exit_code == 0 or WINDOWS


def test_the_watched_folder_is_untouched(outcome: Outcome) -> None:
    assert outcome.after == outcome.before
