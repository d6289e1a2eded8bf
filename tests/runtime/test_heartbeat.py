"""The service manager is told by its own protocol, no oftener than it wants, and nobody is told where none asked."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.heartbeat import Heartbeat

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd's protocol")


class Manager:
    """The socket that systemd listens on."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Manager, str]]:
    name = str(tmp_path / "notify") if request.param == "file" else f"@inflamap-{os.getpid()}"
    opened = Manager(name.replace("@", "\0"))
    yield opened, name
    opened.socket.close()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_manager_hears_of_the_start_of_life_and_of_the_end(manager: tuple[Manager, str]) -> None:
    clock = Clock()
    heart = Heartbeat({"NOTIFY_SOCKET": manager[1], "WATCHDOG_USEC": "30000000"}, clock)
    heart.ready("0 waiting")
    assert manager[0].heard() == ["READY=1\nSTATUS=0 waiting"]
    for _ in range(30):
        clock.now += 1.0
        heart.beat(lambda: "two\nlines")
    # every ten seconds, for the manager waits thirty
    assert manager[0].heard() == ["WATCHDOG=1\nSTATUS=two lines"] * 3
    heart.stopping()
    assert manager[0].heard() == ["STOPPING=1\nSTATUS=finishing the image in hand"]


@pytest.mark.parametrize("watchdog", [{}, {"WATCHDOG_USEC": "junk"}, {"WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_of_ours_only_the_status_is_told(
    manager: tuple[Manager, str], watchdog: dict[str, str]
) -> None:
    Heartbeat({"NOTIFY_SOCKET": manager[1], **watchdog}).beat(lambda: "fine")
    assert manager[0].heard() == ["STATUS=fine"]


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/notify"])
def test_where_nobody_listens_nothing_happens(address: str) -> None:
    heart = Heartbeat({"NOTIFY_SOCKET": address})
    heart.ready("fine")
    heart.beat(lambda: "fine")
    heart.stopping()


def test_manager_that_does_not_read_does_not_hold_up_the_watch(manager: tuple[Manager, str]) -> None:
    clock = Clock()
    heart = Heartbeat({"NOTIFY_SOCKET": manager[1]}, clock)
    for _ in range(5000):
        clock.now += 100.0
        heart.beat(lambda: "x" * 1000)


def test_whoever_else_wants_to_know_is_told_at_every_beat() -> None:
    told: list[int] = []
    heart = Heartbeat({}, Clock(), alive=lambda: told.append(1))
    for _ in range(3):
        heart.beat(lambda: "fine")
    assert len(told) == 3
