"""The watch steps back, and never asks for more than it had."""

import os
import subprocess
import sys

import pytest

_SHOW = """
import psutil
from runtime.manners import lower_priority
process = psutil.Process()
lower_priority()
print(process.nice(), int(process.ionice().ioclass), process.ionice().value)
"""


def shown(*before: str) -> list[str]:
    return subprocess.run(
        [*before, sys.executable, "-c", _SHOW], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's classes")
def test_processor_and_disk_are_left_to_others_first() -> None:
    assert shown() == [str(max(10, os.nice(0))), "2", "7"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's classes")
def test_what_was_lowered_further_stays_so() -> None:
    lowered = min(19, os.nice(0) + 15)
    assert shown("nice", "-n", "15", "ionice", "-c", "3")[:2] == [str(lowered), "3"]


def test_system_that_refuses_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    from runtime.manners import lower_priority

    def refuse(*_arguments: object) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "nice", refuse)
    monkeypatch.setattr(psutil.Process, "ionice", refuse, raising=False)
    lower_priority()
