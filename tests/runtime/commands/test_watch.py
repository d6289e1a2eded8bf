"""`inflamap watch` as a process of its own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from runtime.cli import main


def command(folder: Path, out: Path, *more: str) -> list[str]:
    fixed = ["--out", str(out), "--threads", "1", "--min-free", "0"]
    return [sys.executable, "-m", "runtime.cli", "watch", str(folder), *fixed, *more]


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "in").mkdir()
    arguments = command(tmp_path / "in", tmp_path / "out", "--um-per-px", "0.5", "--settle", "0.3")
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("engine ")
        assert process.stderr.readline().startswith("watching ")
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers no SIGTERM to a process")
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_new_images_are_scored_until_it_is_stopped_cleanly(
    stop: signal.Signals,
    tmp_path: Path,
    watching: subprocess.Popen[str],
    skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
) -> None:
    save_image(tmp_path / "in" / "site #1" / "v0000001.bmp", skin)
    record = tmp_path / "out" / "site #1" / "v0000001.bmp.score.json"
    deadline = time.monotonic() + 30
    while not record.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    watching.send_signal(stop)
    assert watching.wait(20) == 0
    assert watching.stderr is not None
    assert watching.stderr.read().splitlines()[-1] == (
        "this run: 1 scored or withheld, 0 failed; in all: 0 waiting, 1 scored, 0 withheld, 0 failed"
    )
    assert json.loads(record.read_text())["status"] == "scored"
    assert not list((tmp_path / "out").rglob("*.tmp*"))


def test_second_watch_on_the_same_results_is_refused_while_the_first_goes_on(
    tmp_path: Path,
    watching: subprocess.Popen[str],
    skin: npt.NDArray[np.uint8],
    save_image: Callable[..., str],
) -> None:
    second = subprocess.run(
        command(tmp_path / "in", tmp_path / "out", "--um-per-px", "0.5"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 2
    assert second.stdout == ""
    assert second.stderr.count("\n") == 1
    assert second.stderr.startswith("inflamap: ")
    assert "another inflamap watch writes its results there" in second.stderr

    assert watching.poll() is None
    save_image(tmp_path / "in" / "v.bmp", skin)
    deadline = time.monotonic() + 30
    while not (tmp_path / "out" / "v.bmp.score.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_results_folder_of_another_folder_is_refused(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str]
) -> None:
    def once(folder: str) -> subprocess.CompletedProcess[str]:
        arguments = command(tmp_path / folder, tmp_path / "out", "--um-per-px", "0.5", "--once")
        return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)

    for folder in ("in", "other"):
        save_image(tmp_path / folder / "v.bmp", skin)
    assert once("in").returncode == 0
    score = (tmp_path / "out" / "v.bmp.score.json").read_bytes()
    refused = once("other")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "holds results of another folder" in refused.stderr
    assert (tmp_path / "out" / "v.bmp.score.json").read_bytes() == score
    # moved elsewhere it is still the same folder
    (tmp_path / "in").rename(tmp_path / "moved")
    moved = once("moved")
    assert moved.returncode == 0
    assert "this run: 0 scored or withheld, 0 failed; in all: 0 waiting, 1 scored" in moved.stderr


def test_once_skips_what_was_done_and_tells_what_cannot_be_read(
    tmp_path: Path, skin: npt.NDArray[np.uint8], save_image: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(tmp_path / "in" / "a.bmp", skin)

    def watch_once() -> int:
        with pytest.raises(SystemExit) as stop:
            main(command(tmp_path / "in", tmp_path / "out", "--um-per-px", "0.5", "--once")[3:])
        return int(stop.value.code or 0)

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        assert watch_once() == 0
        assert watch_once() == 0
        assert "this run: 0 scored or withheld, 0 failed; in all: 0 waiting, 1 scored" in capsys.readouterr().err
        (tmp_path / "in" / "b.bmp").write_bytes(b"")
        assert watch_once() == 2
        said = capsys.readouterr().err
        assert "b.bmp: the file is empty" in said
        assert "this run: 0 scored or withheld, 1 failed; in all: 0 waiting, 1 scored, 0 withheld, 1 failed" in said
        # a score that is there, but in no ledger, is taken over
        for path in (tmp_path / "out").glob("inflamap.db*"):
            path.unlink()
        (tmp_path / "in" / "b.bmp").unlink()
        assert watch_once() == 0
        assert (
            "this run: 0 scored or withheld, 1 kept, 0 failed; in all: 0 waiting, 1 scored" in capsys.readouterr().err
        )
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


def test_real_frames_go_through_the_watch(real_frames: list[Path], tmp_path: Path) -> None:
    folder = Path(*real_frames[0].parts[: real_frames[0].parts.index("raw_data")])
    done = subprocess.run(
        command(folder, tmp_path / "out", "--um-per-px", "1.0416667", "--once"),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    assert (
        "this run: 40 scored or withheld, 0 failed; in all: 0 waiting, 0 scored, 40 withheld, 0 failed" in done.stderr
    )
    assert len(list((tmp_path / "out").rglob("*.score.json"))) == 40
