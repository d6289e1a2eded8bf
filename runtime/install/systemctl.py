"""Putting the unit in place and taking it away again."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from runtime.errors import CheckFailed, InflamapError
from runtime.install.installation import Needs
from runtime.install.systemd_unit import MARK
from runtime.outputs import write_atomically

UNITS = Path("/etc/systemd/system")
# there while systemd runs the machine, sd_booted(3)
BOOTED = Path("/run/systemd/system")


def run_command(command: Sequence[str]) -> int:
    """Run it, its output on the terminal; the exit status."""
    return subprocess.run(command, check=False).returncode


def _am_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


class System(msgspec.Struct, frozen=True):
    """The machine that a unit is installed on; tests give one of their own.

    Attributes:
        say: told each command before it is run.
        run: runs a command, gives its exit status.
        units: where administrators' units lie.
        booted: there while systemd runs the machine.
        root: whether this user may install.
    """

    say: Callable[[str], None]
    run: Callable[[Sequence[str]], int] = run_command
    units: Path = UNITS
    booted: Path = BOOTED
    root: bool = msgspec.field(default_factory=_am_root)


def install(name: str, text: str, system: System) -> Path:
    """Write NAME.service, enable it and start it, or start it anew; gives the file.

    Raises:
        InflamapError: systemd does not run here, this user is not root, or another's unit has that name.
        CheckFailed: systemd refused a step, or the service did not start.
    """
    path = _unit_file(name, system)
    replaced = _require_ours(path)
    write_atomically(path, text.encode())
    # whatever umask root has: `systemctl cat` is for everybody
    path.chmod(0o644)
    system.say(f"wrote {path}")
    _systemctl(system, "daemon-reload")
    _systemctl(system, "enable", "--now", path.name, name=name)
    if replaced:
        # one that runs keeps its old settings otherwise
        _systemctl(system, "restart", path.name, name=name)
    return path


def uninstall(name: str, system: System) -> Path:
    """Stop the service, and remove its unit; results and watched folder stay. Gives the file that is gone.

    Raises:
        InflamapError: as `install`, or there is no such unit.
        CheckFailed: systemd refused a step.
    """
    path = _unit_file(name, system)
    if not _require_ours(path):
        raise InflamapError(
            f"{path}: no such service",
            seen=", ".join(installed(system)) or "none of inflamap's here",
            next_step="check --name",
        )
    _systemctl(system, "disable", "--now", path.name, name=name)
    path.unlink()
    system.say(f"removed {path}")
    _systemctl(system, "daemon-reload")
    return path


def installed(system: System) -> list[str]:
    """Names of the services that were installed here, in order."""
    found = []
    for path in sorted(system.units.glob("*.service")):
        try:
            if _is_ours(path):
                found.append(path.stem)
        except OSError:
            continue
    return found


def check_account(user: str) -> None:
    """Refuse to run the service as root, or as somebody who is not there.

    Raises:
        InflamapError: with the command that makes such an account.
    """
    import pwd

    make = f"useradd --system --no-create-home --shell /usr/sbin/nologin {shlex.quote(user)}"
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        raise InflamapError(f"account {user} of the service", seen="no such account", next_step=make) from None
    if uid == 0:
        raise InflamapError(
            f"account {user} of the service",
            seen="root, who may change everything",
            wanted="an account of its own",
            next_step="leave --user out, or name another",
        )


def check_results_folder(needs: Needs, user: str) -> None:
    """Refuse results in a folder that is not there, or that images are read from: the service may make nothing."""
    from runtime.output_folder import check_output_folder

    check_output_folder(needs.out, [needs.folder])
    if not needs.out.is_dir():
        raise InflamapError(
            f"{needs.out}: no such folder for the results",
            wanted=f"one that {user} may write to",
            next_step=f"install -d -o {shlex.quote(user)} -m 0750 {shlex.quote(str(needs.out))}",
        )


def _unit_file(name: str, system: System) -> Path:
    if not system.booted.is_dir():
        raise InflamapError(
            "a service can be installed where systemd runs the machine",
            seen=f"no {system.booted}",
            next_step="inflamap service print, and start that command by the means of this machine",
        )
    if not system.root:
        raise InflamapError("a service is installed by root", next_step="run it with sudo, by its full path")
    return system.units / f"{name}.service"


def _require_ours(path: Path) -> bool:
    """Whether the unit is there already; refuses one that somebody else wrote."""
    if not path.exists():
        return False
    if not _is_ours(path):
        raise InflamapError(
            f"{path}: a unit that inflamap did not write", next_step="choose another --name, or remove it yourself"
        )
    return True


def _is_ours(path: Path) -> bool:
    return path.read_bytes().startswith(MARK.encode())


def _systemctl(system: System, *words: str, name: str = "") -> None:
    command = ["systemctl", *words]
    system.say(f"$ {shlex.join(command)}")
    try:
        status = system.run(command)
    except OSError as error:
        raise InflamapError("systemctl cannot be run", seen=error.strerror, next_step="install systemd") from error
    if status:
        look = f"journalctl -u {name} -n 20; it is tried again every 10 s" if name else "see what systemctl says above"
        raise CheckFailed(f"{shlex.join(command)} failed", seen=f"exit status {status}", next_step=look)
