"""One watch an output folder, and what a kill leaves is no lock."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime import output_lock
from runtime.errors import InflamapError
from runtime.output_lock import LOCK_FILE, held, is_held

HOLD = """
import sys
from pathlib import Path
from runtime.output_lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """Starts a process that holds the lock until its stdin is closed, or it is killed."""
    with ExitStack() as stack:

        def start(out: Path) -> "subprocess.Popen[str]":
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            return process

        yield start


def test_second_watch_is_refused_in_a_line_that_names_the_folder(
    tmp_path: Path, hold: Callable[[Path], "subprocess.Popen[str]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_lock, "PATIENCE_S", 0.2)
    out = tmp_path / "results"
    process = hold(out)
    assert is_held(out)
    told = r"another inflamap watch writes its results there.*next: stop it"
    with pytest.raises(InflamapError, match=told) as error, held(out):
        pytest.fail("held twice")
    assert str(error.value).startswith(f"{out}: ")
    assert "\n" not in str(error.value)
    # it asked, and did not take the lock from the one that has it
    assert is_held(out)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0
    assert not is_held(out)
    with held(out):
        assert is_held(out)


def test_kill_lets_go_of_it(
    tmp_path: Path, hold: Callable[[Path], "subprocess.Popen[str]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    process = hold(tmp_path)
    process.kill()
    process.wait(20)
    assert (tmp_path / LOCK_FILE).exists()
    assert not is_held(tmp_path)
    monkeypatch.setattr(output_lock, "PATIENCE_S", 0.0)
    with held(tmp_path):
        pass


def test_second_watch_of_the_same_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_lock, "PATIENCE_S", 0.1)
    with held(tmp_path):
        with pytest.raises(InflamapError, match="another inflamap watch"), held(tmp_path):
            pytest.fail("held twice")
        assert is_held(tmp_path)


def test_asking_makes_nothing(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "not there")
    assert list(tmp_path.iterdir()) == []


def test_asking_turns_no_starting_watch_away(tmp_path: Path) -> None:
    """`status` that is called again and again takes the lock for instants."""
    (tmp_path / LOCK_FILE).touch()
    script = (
        "import sys; from pathlib import Path; from runtime.output_lock import is_held\n"
        "print('asking', flush=True)\n"
        "while True: is_held(Path(sys.argv[1]))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True) as asking:
        try:
            assert asking.stdout is not None
            assert asking.stdout.readline() == "asking\n"
            for _ in range(3):
                with held(tmp_path):
                    time.sleep(0.02)
        finally:
            asking.kill()


def test_folder_is_made_and_let_go_when_the_watch_fails(tmp_path: Path) -> None:
    out = tmp_path / "new" / "results"

    def fail() -> None:
        with held(out):
            assert is_held(out)
            raise KeyError("whatever ends it")

    with pytest.raises(KeyError):
        fail()
    assert out.is_dir()
    assert not is_held(out)


def test_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InflamapError, match=r"cannot be written; seen: .*next: "), held(tmp_path / "file" / "results"):
        pass


def test_lock_file_that_cannot_be_one_is_told_and_not_taken_for_a_watch(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).mkdir()
    assert not is_held(tmp_path)
    with pytest.raises(InflamapError, match=r"cannot be written; seen: .*next: "), held(tmp_path):
        pass


def test_lock_that_may_not_be_asked_is_neither_held_nor_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_keywords: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / LOCK_FILE).touch()
    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    assert is_held(tmp_path) is None
