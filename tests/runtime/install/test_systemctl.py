"""Installing and removing, with a machine of the test's own: no systemctl is run."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.errors import CheckFailed, InflamapError
from runtime.install import systemctl
from runtime.install.installation import Needs
from runtime.install.systemctl import System, check_account, check_results_folder, install, installed, uninstall
from runtime.install.systemd_unit import MARK

TEXT = f"{MARK}\n[Service]\nExecStart=/bin/true\n"


class Machine:
    """Notes what it is told and asked to run."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.ran: list[str] = []
        self.fails = ""
        (folder / "units").mkdir()
        self.system = System(self.said.append, self._run, folder / "units", folder, root=True)

    def _run(self, command: Sequence[str]) -> int:
        line = " ".join(command)
        # each command is announced before it is run
        assert self.said[-1] == f"$ {line}"
        self.ran.append(line)
        return 1 if self.fails and self.fails in line else 0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_unit_is_written_enabled_and_started(machine: Machine) -> None:
    path = install("inflamap", TEXT, machine.system)
    assert path == machine.system.units / "inflamap.service"
    assert path.read_text() == TEXT
    assert machine.ran == ["systemctl daemon-reload", "systemctl enable --now inflamap.service"]
    assert machine.said[0] == f"wrote {path}"
    assert list(machine.system.units.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="rights of Linux")
def test_unit_may_be_read_by_everybody(machine: Machine) -> None:
    assert install("inflamap", TEXT, machine.system).stat().st_mode & 0o777 == 0o644


def test_installing_again_restarts_with_the_new_settings(machine: Machine) -> None:
    install("inflamap", TEXT, machine.system)
    machine.ran.clear()
    path = install("inflamap", TEXT + "Nice=1\n", machine.system)
    assert path.read_text().endswith("Nice=1\n")
    assert machine.ran[-1] == "systemctl restart inflamap.service"


def test_uninstalling_stops_and_removes(machine: Machine) -> None:
    path = install("site-2", TEXT, machine.system)
    machine.ran.clear()
    assert uninstall("site-2", machine.system) == path
    assert not path.exists()
    assert machine.ran == ["systemctl disable --now site-2.service", "systemctl daemon-reload"]


def test_another_programs_unit_is_left_alone(machine: Machine) -> None:
    path = machine.system.units / "sshd.service"
    path.write_text("[Service]\n")
    for act in (lambda: install("sshd", TEXT, machine.system), lambda: uninstall("sshd", machine.system)):
        with pytest.raises(InflamapError, match="a unit that inflamap did not write"):
            act()
    assert path.read_text() == "[Service]\n"
    assert machine.ran == []


def test_service_that_is_not_there_is_told_with_those_that_are(machine: Machine) -> None:
    install("site-1", TEXT, machine.system)
    (machine.system.units / "other.service").write_text("[Service]\n")
    assert installed(machine.system) == ["site-1"]
    with pytest.raises(InflamapError, match=r"no such service; seen: site-1; next: check --name"):
        uninstall("inflamap", machine.system)


def test_step_that_fails_is_named_and_ends_the_rest(machine: Machine) -> None:
    machine.fails = "enable"
    with pytest.raises(CheckFailed, match=r"systemctl enable --now inflamap\.service failed; seen: exit status 1") as e:
        install("inflamap", TEXT, machine.system)
    assert "journalctl -u inflamap" in e.value.next_step
    assert e.value.exit_code == 1


def test_machine_without_systemd_and_user_without_rights_are_refused(machine: Machine) -> None:
    for system, said in (
        (replace(machine.system, booted=Path("/not there")), "where systemd runs"),
        (replace(machine.system, root=False), "by root"),
    ):
        with pytest.raises(InflamapError, match=said):
            install("inflamap", TEXT, system)
    assert list(machine.system.units.iterdir()) == []


def test_systemctl_that_cannot_be_run_is_one_line(machine: Machine) -> None:
    def missing(_command: Sequence[str]) -> int:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(InflamapError, match="systemctl cannot be run; seen: No such file"):
        install("inflamap", TEXT, replace(machine.system, run=missing))


def test_commands_are_run_and_their_status_given() -> None:
    assert systemctl.run_command([sys.executable, "-c", "raise SystemExit(3)"]) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="accounts of Linux")
def test_root_and_unknown_accounts_are_refused() -> None:
    with pytest.raises(InflamapError, match=r"useradd --system --no-create-home --shell /usr/sbin/nologin no-such"):
        check_account("no-such")
    with pytest.raises(InflamapError, match="root, who may change everything"):
        check_account("root")
    check_account("nobody")


def test_results_must_be_there_and_outside_of_the_watched_folder(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out put"
    folder.mkdir()
    with pytest.raises(InflamapError, match=r"install -d -o lab -m 0750 '.*out put'"):
        check_results_folder(Needs(folder=folder, out=out, read=()), "lab")
    with pytest.raises(InflamapError, match="only read"):
        check_results_folder(Needs(folder=folder, out=folder / "out", read=()), "lab")
    out.mkdir()
    check_results_folder(Needs(folder=folder, out=out, read=()), "lab")
