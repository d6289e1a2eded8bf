"""`inflamap service` as an engineer meets it; no systemctl is run."""

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import pytest
from shown_commands import require_understood

from runtime.cli import main
from runtime.install import systemctl
from runtime.install.systemctl import System

linux = pytest.mark.skipif(sys.platform == "win32", reason="systemd is meant")
DOCUMENT = (Path(__file__).parents[3] / "docs" / "service.md").read_text(encoding="utf-8")


def service(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["service", *words])
    return int(stop.value.code or 0)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """(watched, results), both there."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return str(tmp_path / "in"), str(tmp_path / "out")


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commands that a machine of the test's own was asked to run."""
    commands: list[str] = []
    units = tmp_path / "units"
    units.mkdir()

    def run(command: Sequence[str]) -> int:
        commands.append(" ".join(command))
        return 0

    monkeypatch.setattr(systemctl, "System", lambda say: System(say, run, units, tmp_path, root=True))
    return commands


@linux
def test_unit_is_printed_whole_and_nothing_else(
    folders: tuple[str, str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder, out = folders
    assert service("print", folder, "--out", out, "--name", "left", "--", "--settle", "2", "--um-per-px=0.5") == 0
    captured = capfdbinary.readouterr()
    assert captured.err == b""
    text = captured.out.decode("utf-8")
    assert text.startswith("# Written by `inflamap service`")
    assert text.endswith("WantedBy=multi-user.target\n")
    assert f"watch {folder} --out {out} --settle 2 --um-per-px=0.5\n" in text


@linux
def test_relative_paths_count_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert service("print", "in", "--out", "../out") == 0
    assert f"watch {tmp_path / 'in'} --out {tmp_path.parent / 'out'}\n" in capfd.readouterr().out


@linux
def test_configuration_alone_will_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "inflamap.toml"
    config.write_text('[watch]\nfolder = "in"\nout = "out"\n')
    assert service("print", "--config", str(config), "--", "--settle", "2") == 0
    text = capfd.readouterr().out
    assert f"watch --config {config} --settle 2\n" in text
    assert str(tmp_path / "in") in text


@linux
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/in"], "out: named neither"),
        ([], "folder: named neither"),
        (["/in", "--out", "/out", "--", "--setle", "2"], "--setle"),
        (["/in", "--out", "/out", "--", "--engine", "cuda"], "cuda"),
        (["/in", "--out", "/out", "--", "--once"], "--once: not for a service"),
        (["/in", "--out", "/out", "--name", "a b"], "--name"),
        (["/in", "--out", "/out", "--user", ""], "--user"),
        (["/in", "--out", "/out", "--python", "x"], "--python is for Windows"),
        (["/in", "--out", "/out", "extra"], "extra"),
        ([r"C:\in", "--out", r"C:\out", "--for", "windows"], "--python"),
        ([r"in", "--out", r"C:\out", "--for", "windows", "--python", r"C:\p.exe"], "FOLDER: a task"),
    ],
)
def test_what_cannot_work_is_one_line_and_exits_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert service("print", *words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_task_for_windows_is_made_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "task.xml"
    words = [r"\\server\lab\scans", "--out", r"D:\results", "--for", "windows", "--python", r"C:\v\python.exe"]
    assert service("print", *words, "--to", str(file), "--", "--threads", "2") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f'next: schtasks /Create /TN inflamap /XML "{file}" /RU "inflamap" /RP *\n' in captured.err
    assert "D: must be a disk of that machine" in captured.err
    arguments = [
        element.text for element in ET.fromstring(file.read_bytes()).iter() if element.tag.endswith("Arguments")
    ]
    assert arguments == [r"-P -m runtime.cli watch \\server\lab\scans --out D:\results --threads 2"]


def test_task_in_a_pipe_is_what_schtasks_reads(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    words = [r"C:\scans", "--out", r"C:\results", "--for", "windows", "--python", r"C:\v\python.exe"]
    assert service("print", *words) == 0
    captured = capfdbinary.readouterr()
    assert ET.fromstring(captured.out).tag.endswith("}Task")
    assert b"must be a disk" not in captured.err


@linux
def test_install_and_uninstall_say_what_they_do(
    folders: tuple[str, str], ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = folders
    assert service("install", folder, "--out", out, "--user", "nobody") == 0
    said = capsys.readouterr().out
    assert ran == ["systemctl daemon-reload", "systemctl enable --now inflamap.service"]
    assert all(f"$ {command}\n" in said for command in ran)
    assert f"inflamap status --out {out}" in said
    assert (tmp_path / "units" / "inflamap.service").read_text(encoding="utf-8").count("User=nobody\n") == 1
    assert service("uninstall") == 0
    assert "results, ledger and configuration stay" in capsys.readouterr().out
    assert list((tmp_path / "units").iterdir()) == []


@linux
def test_share_that_is_not_mounted_yet_is_told_and_no_reason_to_refuse(
    folders: tuple[str, str], ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = folders
    assert service("install", f"{folder}/share", "--out", out, "--user", "nobody") == 0
    assert f"{folder}/share is not there yet" in capsys.readouterr().out
    assert len(ran) == 2


@linux
@pytest.mark.parametrize("user", ["root", "no-such-account"])
def test_install_refuses_before_it_writes(
    user: str, folders: tuple[str, str], ran: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = folders
    assert service("install", folder, "--out", out, "--user", user) == 2
    assert f"account {user}" in capsys.readouterr().err
    assert (ran, list((tmp_path / "units").iterdir())) == ([], [])


@pytest.mark.parametrize("what", ["install", "uninstall"])
def test_on_windows_the_way_to_a_task_is_told(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("runtime.commands.service.HERE", "windows")
    assert service(what, *(["C:\\in", "--out", "C:\\out"] if what == "install" else [])) == 2
    said = capsys.readouterr().err
    assert "is for Linux with systemd" in said
    assert ("inflamap service print" if what == "install" else "schtasks /Delete") in said


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"^(?:runuser -u inflamap -- )?(inflamap .+)$", DOCUMENT, re.M)))
)
def test_command_that_the_document_shows_is_understood(line: str) -> None:
    # in a bat block backslashes are Windows's own
    require_understood(line.replace("\\", "/"))
