"""The command: found by name, one line an error, the exit codes of the contract."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.cli import main
from runtime.version import NOTICE, __version__


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def test_version_says_what_it_is_not_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    said = capsys.readouterr().out
    assert __version__ in said
    assert NOTICE in said


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    said = capsys.readouterr().out
    for command in ("phantom", "train", "evaluate", "export", "score", "watch"):
        assert f"\n  {command} " in said
    assert "Research use only" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scoer"], "scoer"),
        (["score"], "PATH"),
        (["score", "x.png"], "--out"),
        (["score", "x.png", "--out", "o", "--um-per-px", "0"], "--um-per-px"),
        (["score", "x.png", "--out", "o", "--um-per-px", "nan"], "--um-per-px"),
        (["watch", "x", "--out", "o", "--min-free", "inf"], "--min-free"),
        (["score", "x.png", "--out", "o", "--frobnicate"], "--frobnicate"),
    ],
)
def test_wrong_usage_is_one_line_and_exits_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("inflamap: ")
    assert said in captured.err
    assert "--help" in captured.err


def test_debug_shows_the_traceback_of_an_error(tmp_path: Path) -> None:
    from runtime.errors import BundleError

    with pytest.raises(BundleError):
        main(["score", str(tmp_path), "--out", str(tmp_path.parent / "o"), "--bundle", str(tmp_path), "--debug"])


@pytest.mark.parametrize("debug", [False, True])
def test_details_of_an_error_stand_before_its_line(
    debug: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from runtime.errors import DataError

    def fail(*_arguments: object, **_options: object) -> None:
        raise DataError("scores.csv: 2 fault(s)", next_step="mend them", details=["row 2: odd", "row 3: \x1b[2J"])

    monkeypatch.setattr("runtime.cli.inflamap", fail)
    if debug:
        with pytest.raises(DataError):
            main(["train", "--debug"])
    else:
        assert run("train") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    last = [] if debug else ["inflamap: scores.csv: 2 fault(s); next: mend them"]
    assert captured.err.splitlines() == ["row 2: odd", "row 3: \\x1b[2J", *last]


def test_missing_extra_names_what_to_install() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\nfrom runtime.cli import main\nmain(['train', 'data', '--out', 'run'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'inflamap[train]'" in done.stderr


def test_score_and_watch_load_neither_torch_nor_the_trainer() -> None:
    script = (
        "import sys, runtime.cli, runtime.commands.score, runtime.commands.watch\n"
        "print({'torch', 'trainer', 'export', 'onnx', 'rich', 'tifffile', 'watchdog'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not list a process's threads")
@pytest.mark.parametrize(("said", "wanted"), [(None, 1), ("3", 3)])
def test_numpy_starts_no_threads_of_its_own_unless_told(said: str | None, wanted: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment |= {} if said is None else {"OPENBLAS_NUM_THREADS": said}
    script = (
        "import os, sys\nfrom runtime.cli import inflamap\nassert 'numpy' not in sys.modules\n"
        "inflamap.get_command(None, 'score')\nassert 'numpy' in sys.modules\n"
        # for the processes that it starts, nothing is said
        f"assert os.environ.get('OPENBLAS_NUM_THREADS') == {said!r}\nprint(len(os.listdir('/proc/self/task')))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) == wanted


@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers no SIGTERM to a process")
def test_command_that_is_asked_to_end_leaves_no_temporary_folder(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "runtime.cli", "bench", "--frames", "10000", "--threads", "1"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("inflamap-bench-*/results")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
