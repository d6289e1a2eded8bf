"""A scheduled task for Windows, as text on any system: started with the machine, and again whenever it has ended."""

import subprocess
from pathlib import PureWindowsPath
from xml.sax.saxutils import escape

from runtime.errors import InflamapError
from runtime.install.installation import Installation

NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
# what schtasks takes for UTF-16 whatever the console's code page is
ENCODING = "utf-16"


def task(installation: Installation) -> str:
    """The XML of the task, to be written as UTF-16 with its mark (`ENCODING`).

    Args:
        installation: with Windows paths.

    Raises:
        InflamapError: a path is not absolute.
    """
    check_paths(installation)
    command, *words = installation.command()
    # as schtasks and the C library split it
    arguments = subprocess.list2cmdline(words)
    logon = "Password" if needs_network(installation) else "S4U"
    return _TASK.format(
        namespace=NAMESPACE,
        name=escape(installation.name),
        user=escape(installation.user),
        logon=logon,
        command=escape(command),
        arguments=escape(arguments),
        folder=escape(str(PureWindowsPath(command).parent)),
    )


def next_steps(installation: Installation, file: str) -> list[str]:
    """Commands for an administrator's command prompt on that machine, and what to know of the account."""
    name, user = installation.name, installation.user
    create = f'schtasks /Create /TN {name} /XML "{file}"'
    if needs_network(installation):
        create += f' /RU "{user}" /RP *'
        account = (
            f"a path is on a share: {user} needs rights there, and its password is asked for and stored by Windows "
            "(without one a task has no rights in the network). A group managed service account needs none: --user "
            "DOMAIN\\NAME$, and register the file with PowerShell's Register-ScheduledTask"
        )
    else:
        account = (
            f"all paths are on this machine: the task runs as {user} without a stored password (S4U), and so "
            "without rights in the network"
        )
    return [
        create,
        f"schtasks /Run /TN {name}",
        f"schtasks /Query /TN {name} /V /FO LIST",
        f"account: {account}",
        "account: it needs the right to log on as a batch job, read access to the watched folder, and write access "
        "to the results",
    ]


def drives(installation: Installation) -> list[str]:
    """Drive letters of the paths that the watch reads and writes, such as `Z:`; in order, each once."""
    paths = (installation.folder, installation.out, installation.config, installation.bundle)
    found = [PureWindowsPath(path).drive.upper() for path in paths if path is not None]
    return list(dict.fromkeys(drive for drive in found if len(drive) == 2))


def check_mapped(drive: str) -> None:
    """Refuse a drive letter that stands for a share: it belongs to one person's session, not to the machine.

    Does nothing where that cannot be told. See pywin32 #88 and #1722.

    Raises:
        InflamapError: the letter is mapped.
    """
    if _is_mapped(drive):
        raise InflamapError(
            f"drive {drive} is mapped to a share, which a background task does not see",
            wanted=r"the share's own name, \\SERVER\SHARE\...",
            next_step=f"`net use {drive}` shows it; give that path",
        )


def check_paths(installation: Installation) -> None:
    """Refuse paths that need a working directory or a current drive.

    Raises:
        InflamapError: one is not absolute.
    """
    given = {
        "--python": installation.python,
        "FOLDER": installation.folder,
        "--out": installation.out,
        "--config": installation.config,
        "--bundle": installation.bundle,
    }
    for option, path in given.items():
        if path is not None and not PureWindowsPath(path).is_absolute():
            raise InflamapError(
                f"{option}: a task has no working directory",
                seen=path,
                wanted=r"a Windows path from the root on, C:\... or \\SERVER\SHARE\...",
                next_step="give it whole",
            )
    for option, path in (("FOLDER", installation.folder), ("--out", installation.out)):
        if path is None and installation.config is None:
            raise InflamapError(f"{option} is missing", next_step="give it, or --config FILE that names it")


def needs_network(installation: Installation) -> bool:
    """Whether a path leads to a share by its name."""
    paths = (installation.folder, installation.out, installation.config, installation.bundle, installation.python)
    return any(path is not None and PureWindowsPath(path).drive.startswith("\\\\") for path in paths)


def _is_mapped(drive: str) -> bool:
    import ctypes

    windll = getattr(ctypes, "windll", None)
    remote = 4  # DRIVE_REMOTE
    return windll is not None and windll.kernel32.GetDriveTypeW(f"{drive}\\") == remote


# The schema and what Windows itself writes differ in where a trigger's Enabled stands: it is left out, for true is
# the default. RestartOnFailure ends after 255 times at most, so the trigger also repeats for ever; while the task
# runs, IgnoreNew turns each repetition away. Priority 8 is below normal for processor and disk. PT0S: no limit.
_TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="{namespace}">
  <RegistrationInfo>
    <Description>inflamap watch (research use only): scores new images of the microscope.</Description>
    <URI>\\{name}</URI>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger>
      <Repetition>
        <Interval>PT5M</Interval>
        <StopAtDurationEnd>false</StopAtDurationEnd>
      </Repetition>
      <Delay>PT30S</Delay>
    </BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>{logon}</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <IdleSettings>
      <StopOnIdleEnd>false</StopOnIdleEnd>
      <RestartOnIdle>false</RestartOnIdle>
    </IdleSettings>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>8</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
      <WorkingDirectory>{folder}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""
