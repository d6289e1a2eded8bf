"""While one call is listened to, no other thread's line is lost, and no child inherits what is listened with."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime import stderr

CHECKOUT = Path(__file__).parents[2]

# decodes good and damaged JPEGs, while one thread writes lines and another starts children that write theirs
BUSY = """
import os, sys, threading
import cv2, numpy as np
from runtime.errors import UnreadableImage
from runtime.images.jpeg import decode_jpeg
from runtime.stderr import start_child

whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (400, 400), np.uint8))[1].tobytes()
damaged = whole[: len(whole) // 2] + b"\\xff\\xd9"
ended = threading.Event()
found = []

def decode():
    while not ended.is_set():
        decode_jpeg(whole)
        try:
            decode_jpeg(damaged)
        except UnreadableImage as error:
            found.append(str(error))

def write():
    for number in range(2000):
        os.write(2, f"line {number}\\n".encode())
        sys.stderr.write(f"word {number}\\n")

def start():
    for number in range(15):
        child = start_child([sys.executable, "-S", "-c", f"import os; os.write(2, b'child {number}\\\\n')"])
        assert child.wait() == 0

others = [threading.Thread(target=each) for each in (write, start)]
decoders = [threading.Thread(target=decode) for _ in range(2)]
for thread in (*decoders, *others):
    thread.start()
for thread in others:
    thread.join()
ended.set()
for thread in decoders:
    thread.join()
assert found and all("the JPEG is damaged; seen: Corrupt JPEG data: premature end" in each for each in found)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the script counts lines as they are written")
def test_every_line_of_threads_and_children_comes_through_once(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("wb") as file:
        subprocess.run([sys.executable, "-c", BUSY], cwd=CHECKOUT, stderr=file, check=True, timeout=120)
    lines = (tmp_path / "stderr").read_text().splitlines()
    wanted = [f"{word} {number}" for word in ("line", "word") for number in range(2000)]
    assert sorted(lines) == sorted([*wanted, *(f"child {number}" for number in range(15))])


def test_a_child_waits_for_the_end_of_listening(capfd: pytest.CaptureFixture[str]) -> None:
    listening, go_on = threading.Event(), threading.Event()

    def call() -> None:
        listening.set()
        assert go_on.wait(10)

    listener = threading.Thread(target=stderr.listen, args=(call, bytes))
    listener.start()
    assert listening.wait(10)
    command = [sys.executable, "-S", "-c", "import os; os.write(2, b'of a child')"]
    starter = threading.Thread(target=lambda: stderr.start_child(command).wait())
    starter.start()
    starter.join(0.3)
    assert starter.is_alive()
    go_on.set()
    for thread in (listener, starter):
        thread.join(20)
    assert capfd.readouterr().err == "of a child"


def test_what_is_not_the_calls_own_is_passed_on_though_it_raises(capfd: pytest.CaptureFixture[str]) -> None:
    def call() -> None:
        os.write(2, b"own\nanother thread's\nand a part")
        raise KeyError

    heard: list[bytes] = []

    def keep(said: bytes) -> bytes:
        heard.append(said)
        return said.replace(b"own\n", b"")

    with pytest.raises(KeyError):
        stderr.listen(call, keep)
    assert heard == [b"own\nanother thread's\nand a part"]
    assert capfd.readouterr().err == "another thread's\nand a part"


def test_without_a_stderr_the_call_is_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_stderr(_: int) -> int:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", no_stderr)
    assert stderr.listen(lambda: "done", bytes) == "done"


def test_a_slow_reader_gets_all_of_it(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    write: Callable[[int, bytes], int] = os.write
    monkeypatch.setattr(os, "write", lambda file, text: write(file, text[:3]))

    def call() -> None:
        write(2, b"in several parts\n")

    stderr.listen(call, bytes)
    assert capfd.readouterr().err == "in several parts\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that is full is no error there")
def test_a_child_that_keeps_the_pipe_open_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that a library started, without the lock; what it writes later is passed on."""
    monkeypatch.setattr(stderr, "LONGEST_WAIT_S", 0.1)
    command = [sys.executable, "-S", "-c", "import os; os.read(0, 1); os.write(2, b'late')"]

    def call() -> "subprocess.Popen[bytes]":
        os.write(2, b"in time ")
        return subprocess.Popen(command, stdin=subprocess.PIPE)

    child = stderr.listen(call, bytes)
    assert child.poll() is None
    assert capfd.readouterr().err == "in time "
    child.communicate(b"x", timeout=20)
    for thread in threading.enumerate():
        if thread.name == "stderr":
            thread.join(20)
    assert capfd.readouterr().err == "late"


def test_much_is_heard_without_holding_the_writer_up(capfd: pytest.CaptureFixture[str]) -> None:
    stderr.listen(lambda: [os.write(2, b"x" * 10_000) for _ in range(50)], bytes)
    assert len(capfd.readouterr().err) == 500_000
