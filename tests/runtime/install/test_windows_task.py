"""The task for Windows, as far as it can be proved elsewhere: its XML, its order, its quoting, its account."""

import xml.etree.ElementTree as ET
from pathlib import PureWindowsPath
from typing import Any

import pytest

from runtime.errors import InflamapError
from runtime.install import windows_task
from runtime.install.installation import Installation
from runtime.install.windows_task import ENCODING, NAMESPACE, check_mapped, drives, next_steps, task

# as Windows itself writes them
ORDER = {
    "Task": ["RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"],
    "RegistrationInfo": ["Description", "URI"],
    # triggerBaseType's sequence, then bootTriggerType's
    "BootTrigger": ["Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit", "Delay"],
    "Repetition": ["Interval", "Duration", "StopAtDurationEnd"],
    "Principal": ["UserId", "LogonType", "RunLevel"],
    "Settings": [
        *("MultipleInstancesPolicy", "DisallowStartIfOnBatteries", "StopIfGoingOnBatteries", "AllowHardTerminate"),
        *("StartWhenAvailable", "RunOnlyIfNetworkAvailable", "IdleSettings", "AllowStartOnDemand", "Enabled"),
        *("Hidden", "RunOnlyIfIdle", "WakeToRun", "ExecutionTimeLimit", "Priority", "RestartOnFailure"),
    ],
    "RestartOnFailure": ["Interval", "Count"],
    "Exec": ["Command", "Arguments", "WorkingDirectory"],
}


def of_windows(**changes: Any) -> Installation:
    paths = {"python": r"C:\Program Files\inflamap\python.exe", "folder": r"C:\scans", "out": r"D:\results"}
    more = {key: value for key, value in changes.items() if key in {"name", "user", "more"}}
    named = {**paths, **{key: value for key, value in changes.items() if key not in more}}
    return Installation(**{key: value and PureWindowsPath(value) for key, value in named.items()}, **more)


def parsed(installation: Installation) -> ET.Element:
    """The root, read from the bytes that are handed to schtasks."""
    data = task(installation).encode(ENCODING)
    assert data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return ET.fromstring(data)


def text(root: ET.Element, name: str) -> str:
    (found,) = root.iter(f"{{{NAMESPACE}}}{name}")
    return found.text or ""


def test_elements_stand_in_the_schemas_order() -> None:
    root = parsed(of_windows())
    seen = set()
    for element in root.iter():
        name = element.tag.removeprefix(f"{{{NAMESPACE}}}")
        if name in ORDER:
            seen.add(name)
            children = [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]
            assert children == [known for known in ORDER[name] if known in children]
            assert set(children) <= set(ORDER[name])
    assert seen == set(ORDER)


def test_task_starts_with_the_machine_and_again_for_ever() -> None:
    root = parsed(of_windows())
    assert len(list(root.iter(f"{{{NAMESPACE}}}BootTrigger"))) == 1
    assert not list(root.iter(f"{{{NAMESPACE}}}Duration"))
    assert text(root, "MultipleInstancesPolicy") == "IgnoreNew"
    assert text(root, "ExecutionTimeLimit") == "PT0S"
    assert text(root, "RunLevel") == "LeastPrivilege"
    # the schema's limit
    assert int(text(root, "Count")) <= 255
    assert int(text(root, "Priority")) in {7, 8}


def test_command_line_holds_what_was_given() -> None:
    root = parsed(of_windows(folder="C:\\scans of Mü & <x>\\", more=("--settle", "2")))
    assert text(root, "Command") == r"C:\Program Files\inflamap\python.exe"
    assert text(root, "Arguments") == (r'-P -m runtime.cli watch "C:\scans of Mü & <x>" --out D:\results --settle 2')


def test_local_paths_need_no_password_and_a_share_needs_one() -> None:
    local, share = of_windows(), of_windows(folder=r"\\server\scans\in", user="LAB\\inflamap")
    assert text(parsed(local), "LogonType") == "S4U"
    assert "/RP" not in next_steps(local, "x.xml")[0]
    assert text(parsed(share), "LogonType") == "Password"
    assert next_steps(share, "x.xml")[0] == ('schtasks /Create /TN inflamap /XML "x.xml" /RU "LAB\\inflamap" /RP *')


@pytest.mark.parametrize("changes", [{"out": r"results"}, {"folder": r"\scans"}, {"python": "python.exe"}])
def test_paths_that_depend_on_a_working_directory_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(InflamapError, match="a task has no working directory"):
        task(of_windows(**changes))


@pytest.mark.parametrize("missing", ["folder", "out"])
def test_folders_may_be_left_to_a_configuration_only(missing: str) -> None:
    with pytest.raises(InflamapError, match="is missing"):
        task(of_windows(**{missing: None}))
    assert "--config" in task(of_windows(**{missing: None}, config=r"C:\inflamap\inflamap.toml"))


def test_drive_letters_are_told_and_a_mapped_one_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drives(of_windows(folder=r"z:\in", out=r"\\server\out")) == ["Z:"]
    check_mapped("Z:")
    monkeypatch.setattr(windows_task, "_is_mapped", "Z:".__eq__)
    check_mapped("D:")
    with pytest.raises(InflamapError, match="drive Z: is mapped to a share"):
        check_mapped("Z:")
