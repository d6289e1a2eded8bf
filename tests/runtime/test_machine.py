"""The machine is told apart from others."""

import platform

import pytest
from msgspec.structs import asdict

from runtime.machine import this_host, this_machine


def test_every_fact_is_known() -> None:
    machine = this_machine()
    assert all(asdict(machine).values())
    assert machine == this_machine()
    assert machine.system == platform.system()
    assert machine.processor != machine.system


def test_a_host_without_a_name_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "")
    assert this_host() == "localhost"
